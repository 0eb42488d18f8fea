/** Plugins beside the executable: packages of their own, and whatever is wrong with them. */
import { expect, setDefaultTimeout, test } from 'bun:test';
import { cpSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { MqttClient } from 'mqtt';
import { connect } from './connect.ts';
import { Broker, Folder, run } from './executable.ts';

setDefaultTimeout(60_000);

const valibot = join(import.meta.dir, '..', '..', 'node_modules', 'valibot');

function folderOf(files: { readonly [name: string]: string }): Folder {
  const folder = new Folder();
  mkdirSync(join(folder.path, 'plugins', 'migrations'), { recursive: true });
  for (const [name, text] of Object.entries(files)) folder.write(join('plugins', name), text);
  return folder;
}

/** Publishes a command and resolves to what comes on the user's topics next. */
async function ask(client: MqttClient, command: string, payload: string): Promise<string> {
  const answer = new Promise<string>((resolve) => {
    client.once('message', (topic, message) => resolve(`${topic} ${message}`));
  });
  await client.publishAsync(command, payload, { qos: 1 });
  return answer;
}

test('a plugin uses its own node_modules, relative imports and the paths of its tsconfig', async () => {
  using folder = folderOf({
    'package.json': '{ "dependencies": { "valibot": "*" } }',
    'tsconfig.json': '{ "compilerOptions": { "paths": { "~/*": ["./*"] } } }',
    'double.ts': 'export const double = (n: number): number => 2 * n;\n',
    'count.ts': `import { defineHandler } from 'bellhop';
import * as v from 'valibot';
import { double } from '~/double.ts';

export default defineHandler({
  topic: 'count',
  input: v.object({ n: v.number() }),
  reply: 'counted',
  run: ({ input }) => double(input.n),
});
`,
  });
  cpSync(valibot, join(folder.path, 'plugins', 'node_modules', 'valibot'), { recursive: true });
  await using broker = await Broker.start(folder);
  const client = await connect(broker, 'u');
  await client.subscribeAsync('u_counted', { qos: 1 });
  expect(await ask(client, 'count', '{"n":21}')).toBe('u_counted 42');
  await client.publishAsync('count', '{"n":"x"}', { qos: 1 });
  const line = await broker.line((each) => each.includes('handler failed'));
  expect(JSON.parse(line)).toMatchObject({
    ...{ handler: 'count', reason: 'input', at: 'count.ts', topic: 'count', user: 'u' },
    detail: 'n: Invalid type: Expected number but received "x"',
  });
  await client.endAsync();
});

test('whatever plugins do, the broker serves, and the log names file and line', async () => {
  using folder = folderOf({
    'broken.ts': 'export default {\n  a: ;\n};\n',
    'exits.ts': 'process.exit(7);\n',
    'evil.ts': `import { defineHandler } from 'bellhop';
export default [
  defineHandler({ topic: 'evil_loop', run() { for (;;); } }),
  defineHandler({ topic: 'evil_exit', run() { process.exit(7); } }),
  defineHandler({ topic: 'evil_throw', run() {
    throw new Error('on purpose');
  } }),
  defineHandler({ topic: 'evil_leave', run() { setTimeout(() => { throw new Error('left behind'); }); } }),
];
`,
    'echo.ts': `import { defineHandler } from 'bellhop';
export default defineHandler({ topic: 'echo', reply: 'echo', run: ({ input }) => input });
`,
  });
  const env = { HANDLER_TIMEOUT_MS: '300', HANDLER_WORKERS: '2' };
  await using broker = await Broker.start(folder, [], env);
  const client = await connect(broker, 'u');
  await client.subscribeAsync('u_echo', { qos: 1 });
  const evil = ['evil_loop', 'evil_exit', 'evil_throw', 'evil_leave'];
  for (const topic of evil) {
    await client.publishAsync(topic, '', { qos: 1 });
    expect(await ask(client, 'echo', `"${topic}"`)).toBe(`u_echo ${topic}`);
  }
  const logged = async (...parts: string[]) =>
    JSON.parse(await broker.line((line) => parts.every((part) => line.includes(part))));
  expect(await logged('does not load', 'broken')).toMatchObject({ at: 'broken.ts:2' });
  expect(await logged('does not load', 'exits')).toMatchObject({ at: 'exits.ts' });
  expect(await logged('handler failed', 'evil_loop')).toMatchObject({ reason: 'timeout' });
  expect(await logged('handler failed', 'evil_exit')).toMatchObject({ reason: 'worker-lost' });
  expect(await logged('handler failed', 'evil_throw')).toMatchObject({ at: 'evil.ts:6' });
  expect(await logged('left behind by a handler')).toMatchObject({ at: 'evil.ts:8' });
  await client.endAsync();
  broker.signal('SIGTERM');
  expect(await broker.ended()).toBe(0);
});

test('a migration that fails stops the start, in one line with file and line', async () => {
  using folder = folderOf({
    'migrations/0001_a.sql': 'create table a (n integer);\n',
    'migrations/0002_b.sql': 'create table b (n integer);\ncreate tabel c (n integer);\n',
  });
  const started = await run(folder, [
    'serve',
    '--mqtts-port',
    '0',
    '--https-port',
    '0',
    '--mqtt-port',
    '1',
  ]);
  expect(started.err).toBe(
    'bellhop: PLUGINS_DIR: migrations/0002_b.sql:2: near "tabel": syntax error\n',
  );
  expect(started.code).toBe(1);
});
