/** `bellhop handlers` as a process beside a broker, with a plugins folder and a store of its own. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { MqttClient } from 'mqtt';
import { Child } from './child.ts';
import { type Broker, bellhop, Folder } from './executable.ts';

export type Files = { readonly [name: string]: string };

/** A folder with handlers in `remote`, which the broker does not look at. */
export function folderOf(files: Files): Folder {
  const folder = new Folder();
  mkdirSync(join(folder.path, 'remote', 'migrations'), { recursive: true });
  for (const [name, text] of Object.entries(files)) folder.write(join('remote', name), text);
  return folder;
}

/** Where `folderOf` has them. */
export const remote = ['--plugins-dir', 'remote'];

/** What comes to `client`, to be awaited by what it says. */
export class Received {
  readonly messages: string[] = [];
  #arrived: () => void = () => {};

  constructor(client: MqttClient) {
    client.on('message', (topic, payload) => {
      this.messages.push(`${topic} ${payload}`);
      this.#arrived();
    });
  }

  async until(enough: (messages: readonly string[]) => boolean): Promise<void> {
    while (!enough(this.messages)) {
      await new Promise<void>((resolve) => {
        this.#arrived = resolve;
      });
    }
  }

  async has(message: string): Promise<void> {
    await this.until((messages) => messages.includes(message));
  }
}

export class Handlers extends Child {
  /** Begins one that runs what is in `plugins` of `folder`; it need not come up. */
  static spawn(
    folder: Folder,
    broker: Pick<Broker, 'mqttsPort'>,
    written: readonly string[] = [],
    env: { readonly [name: string]: string } = {},
  ): Handlers {
    const url = `mqtts://localhost:${broker.mqttsPort}`;
    const command = [...bellhop, 'handlers', '--broker', url, ...written];
    return new Handlers(command, folder.path, { LOG_FORMAT: 'json', HANDLER_WORKERS: '2', ...env });
  }

  /** As `spawn`, and resolves once it serves. */
  static async start(...given: Parameters<typeof Handlers.spawn>): Promise<Handlers> {
    const handlers = Handlers.spawn(...given);
    await handlers.serving();
    return handlers;
  }
}
