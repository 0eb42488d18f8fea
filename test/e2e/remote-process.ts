/** `bellhop handlers` as a process beside a broker, with a plugins folder and a store of its own. */
import { Child } from './child.ts';
import { type Broker, bellhop, type Folder } from './executable.ts';

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
