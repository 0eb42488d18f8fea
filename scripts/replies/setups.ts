/** Where the handler of `replies.ts` runs: in the broker, in a process beside it, and as a client of a peer. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Broker, bellhop, mosquitto, SECRET } from '../bench/brokers.ts';

/** What is asked of each set-up. */
export interface Case {
  readonly qos: 0 | 1;
  /** Whether the handler inserts a row before it answers. */
  readonly stores: boolean;
}

export interface Program {
  readonly command: readonly string[];
  readonly env: { readonly [name: string]: string };
}

export interface SetUp {
  readonly name: string;
  readonly broker: Broker;
  /** Puts the handler into the broker's folder of plugins, where it runs there. */
  place(folder: string, asked: Case): void;
  /** What the handler's own process is started with, once the broker listens; it prints `serving`. */
  handler(folder: string, port: number, asked: Case): Program | undefined;
}

export const IN_BROKER = 'Bellhop, handler in the broker';
export const PEER = 'Mosquitto, an MQTT.js client';

const MIGRATION = `create table placed (
  id integer primary key,
  user text not null,
  body blob not null
) strict;
`;

const storing = `import { defineHandler } from 'bellhop';

export default defineHandler({
  topic: 'bench_command',
  decode: 'bytes',
  reply: 'bench_reply',
  run({ input, user, store }) {
    store.run\`insert into placed (user, body) values (\${user.id}, \${input})\`;
    return input;
  },
});
`;

const answering = `import { defineHandler } from 'bellhop';

export default defineHandler({
  topic: 'bench_command',
  decode: 'bytes',
  reply: 'bench_reply',
  run: ({ input }) => input,
});
`;

function writePlugins(plugins: string, { stores }: Case): void {
  mkdirSync(join(plugins, 'migrations'), { recursive: true });
  writeFileSync(join(plugins, 'answer.ts'), stores ? storing : answering);
  if (stores) writeFileSync(join(plugins, 'migrations', '0001_placed.sql'), MIGRATION);
}

/** Those that can be had here: a peer that is not installed is left out. */
export function setUps(binary: string): readonly SetUp[] {
  const broker = bellhop(binary);
  const inBroker: SetUp = {
    name: IN_BROKER,
    broker,
    place: (folder, asked) => writePlugins(join(folder, 'plugins'), asked),
    handler: () => undefined,
  };
  const remote: SetUp = {
    name: 'Bellhop, `bellhop handlers` beside it',
    broker,
    place() {},
    handler(folder, port, asked) {
      const plugins = join(folder, 'handlers', 'plugins');
      writePlugins(plugins, asked);
      const store = ['--store-dir', join(folder, 'handlers', 'data')];
      return {
        command: [binary, 'handlers', '--broker', `mqtt://127.0.0.1:${port}`, ...store],
        env: { JWT_SECRET: SECRET, PLUGINS_DIR: plugins, LOG_FORMAT: 'json' },
      };
    },
  };
  const peer = mosquitto();
  if (peer === undefined) return [inBroker, remote];
  const client = fileURLToPath(new URL('client.ts', import.meta.url));
  const beside: SetUp = {
    name: PEER,
    broker: peer,
    place() {},
    handler(folder, port, { qos, stores }) {
      const file = stores ? [join(folder, 'placed.sqlite')] : [];
      const url = `mqtt://127.0.0.1:${port}`;
      return { command: [process.execPath, client, url, String(qos), ...file], env: {} };
    },
  };
  return [inBroker, remote, beside];
}
