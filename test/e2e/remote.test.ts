/** Handlers in processes of their own, over MQTTS to the broker. */
import { expect, setDefaultTimeout, test } from 'bun:test';
import { renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { connect } from './connect.ts';
import { Broker, run } from './executable.ts';
import { folderOf, Handlers, Received, remote } from './remote-process.ts';

setDefaultTimeout(60_000);

const echo = (answer: string) => `import { defineHandler } from 'bellhop';
export default defineHandler({ topic: 'echo', reply: 'echo', run: ({ input }) => '${answer} ' + input });
`;

test('devices may publish the commands of a remote process, and nothing else, while its session lives', async () => {
  using folder = folderOf({ 'echo.ts': echo('hello') });
  await using broker = await Broker.start(folder);
  const client = await connect(broker, 'u');
  const refused = client.publishAsync('echo', '"a"', { qos: 1 });
  await expect(refused).rejects.toThrow(/Not authorized/);
  const handlers = await Handlers.start(folder, broker, remote);
  const received = new Received(client);
  await client.subscribeAsync('u_echo', { qos: 1 });
  await client.publishAsync('echo', '"b"', { qos: 1 });
  await received.has('u_echo hello b');
  // While the process is away its commands are declared and wait.
  handlers.signal('SIGTERM');
  expect(await handlers.ended()).toBe(0);
  await client.publishAsync('echo', '"c"', { qos: 1 });
  await using _again = await Handlers.start(folder, broker, remote);
  await received.has('u_echo hello c');
  await client.endAsync();
});

test('SIGTERM: what is under way is done and acknowledged, and what was not begun goes to another', async () => {
  using folder = folderOf({
    'slow.ts': `import { defineHandler } from 'bellhop';
export default defineHandler({
  topic: 'slow',
  reply: 'slow',
  async run({ input, log }) {
    log.info('begun');
    await new Promise((resolve) => setTimeout(resolve, 300));
    return input;
  },
});
`,
  });
  await using broker = await Broker.start(folder);
  const client = await connect(broker, 'u');
  const received = new Received(client);
  await client.subscribeAsync('u_slow', { qos: 1 });
  const first = await Handlers.start(folder, broker, [...remote, '--store-dir', 'one']);
  await client.publishAsync('slow', '"a"', { qos: 1 });
  await first.line((line) => line.includes('begun'));
  first.signal('SIGTERM');
  expect(await first.ended()).toBe(0);
  await received.has('u_slow a');
  await client.publishAsync('slow', '"b"', { qos: 1 });
  await using second = await Handlers.start(folder, broker, [...remote, '--store-dir', 'one']);
  await received.has('u_slow b');
  expect(received.messages).toEqual(['u_slow a', 'u_slow b']);
  expect(second.lines.filter((line) => line.includes('"handler ran"'))).toHaveLength(1);
  await client.endAsync();
});

test('a token is renewed from its file before it expires, without the connection being dropped', async () => {
  using folder = folderOf({ 'echo.ts': echo('hello') });
  await using broker = await Broker.start(folder);
  const mint = async (seconds: number) => {
    const args = ['token', '--sub', 'h', '--role', 'handler', '--expires', `${seconds}s`];
    const { out, err } = await run(folder, args);
    if (out === '') throw new Error(err);
    return folder.write(`token.${seconds}`, out);
  };
  // Both are made before, so that nothing but the start is to be done while the first one lasts.
  const [later, first] = [await mint(3_600), await mint(10)];
  renameSync(first, join(folder.path, 'token'));
  await using handlers = await Handlers.start(folder, broker, [...remote, '--token-file', 'token']);
  renameSync(later, join(folder.path, 'token'));
  const { out: short } = await run(folder, ['token', '--sub', 'u', '--expires', '10s']);
  const witness = await connect(broker, 'u', { password: short.trim() });
  const expired = new Promise<void>((resolve) => witness.once('close', () => resolve()));
  await handlers.line((line) => line.includes('token renewed'));
  expect(handlers.lines.filter((line) => line.includes('"connected to the broker"'))).toHaveLength(
    1,
  );
  await expired; // of a later token than the first, so that one has expired as well
  const client = await connect(broker, 'u');
  const received = new Received(client);
  await client.subscribeAsync('u_echo', { qos: 1 });
  await client.publishAsync('echo', '"a"', { qos: 1 });
  await received.has('u_echo hello a');
  expect(handlers.lines.filter((line) => line.includes('not connected'))).toEqual([]);
  await client.endAsync();
});

test('a change in the folder goes live: new commands are declared, and those removed are not', async () => {
  using folder = folderOf({ 'echo.ts': echo('hello') });
  await using broker = await Broker.start(folder);
  await using handlers = await Handlers.start(folder, broker, remote);
  const client = await connect(broker, 'u');
  const received = new Received(client);
  await client.subscribeAsync('u_echo', { qos: 1 });
  await client.publishAsync('echo', '"a"', { qos: 1 });
  await received.has('u_echo hello a');
  const from = handlers.lines.length;
  writeFileSync(
    join(folder.path, 'remote', 'echo.ts'),
    echo('good day').replace("'echo'", "'shout'"),
  );
  await handlers.line((line) => line.includes('plugins swapped'), from);
  const shout = async (): Promise<void> => {
    // SUBSCRIBE may still be on its way.
    for (;;) {
      try {
        await client.publishAsync('shout', '"b"', { qos: 1 });
        return;
      } catch (error) {
        if (!/Not authorized/.test(String(error))) throw error;
      }
    }
  };
  await shout();
  await received.has('u_echo good day b');
  const removed = client.publishAsync('echo', '"c"', { qos: 1 });
  await expect(removed).rejects.toThrow(/Not authorized/);
  await client.endAsync();
});

test('who may not serve commands is told so at once, in one line', async () => {
  using folder = folderOf({ 'echo.ts': echo('hello') });
  await using broker = await Broker.start(folder);
  const { out: device } = await run(folder, ['token', '--sub', 'u']);
  const url = `mqtts://localhost:${broker.mqttsPort}`;
  const args = ['handlers', '--broker', url, ...remote];
  const notHandler = await run(folder, args, { env: { BELLHOP_TOKEN: device.trim() } });
  expect(notHandler.err).toBe(
    'bellhop: the broker refuses the subscription to $share/bellhop/echo (NotAuthorized); the token needs the role handler\n',
  );
  expect(notHandler.code).toBe(1);
  const noToken = await run(folder, args, { env: { BELLHOP_TOKEN: 'nonsense' } });
  expect(noToken.err).toMatch(/^bellhop: the broker does not let us in: .+\n$/);
  expect(noToken.code).toBe(1);
  const stranger = await run(folder, [
    ...args,
    '--data-dir',
    'elsewhere',
    '--token',
    device.trim(),
  ]);
  expect(stranger.err).toMatch(/^bellhop: the certificate is not trusted: .+\n$/);
  expect(stranger.code).toBe(1);
});

test('what the broker refuses of what a handler sends is logged without the secrets in its topic', async () => {
  using folder = folderOf({
    'leak.ts': `import { defineHandler } from 'bellhop';
export default defineHandler({
  topic: 'leak',
  secrets: ['DOOR_KEY'],
  run: ({ publish, secrets }) => publish('doors/' + secrets.DOOR_KEY + '/a'.repeat(1_000), ''),
});
`,
  });
  await using broker = await Broker.start(folder);
  const secrets = { DOOR_KEY: 'sesame-open' };
  await using handlers = await Handlers.start(folder, broker, remote, secrets);
  const client = await connect(broker, 'u');
  await client.publishAsync('leak', '', { qos: 1 });
  const line = await handlers.line((each) => each.includes('refused by the broker'));
  expect(JSON.parse(line).to).toStartWith('doors/[DOOR_KEY]/a/a');
  expect(handlers.lines.join('')).not.toContain('sesame');
  await client.endAsync();
});

test('what a handler gave up is a dead letter in the folder of its process, and is replayed by its next start', async () => {
  using folder = folderOf({
    'fails.ts': `import { defineHandler } from 'bellhop';
export default defineHandler({ topic: 'fail', retry: false, run() { throw new Error('on purpose'); } });
`,
  });
  await using broker = await Broker.start(folder);
  const client = await connect(broker, 'u');
  const handlers = await Handlers.start(folder, broker, remote);
  await client.publishAsync('fail', '"a"', { qos: 1 });
  await handlers.line((line) => line.includes('handler failed'));
  handlers.signal('SIGTERM');
  expect(await handlers.ended()).toBe(0);
  const there = ['--data-dir', 'data-handlers'];
  const listed = await run(folder, ['dead', 'list', '--json', ...there]);
  expect(JSON.parse(listed.out)).toMatchObject({ handler: 'fails', detail: 'on purpose' });
  const replayed = await run(folder, ['dead', 'replay', '--all', ...there]);
  expect(replayed.code).toBe(0);
  folder.write(
    'remote/fails.ts',
    `import { defineHandler } from 'bellhop';
export default defineHandler({ topic: 'fail', reply: 'done', run: ({ input }) => input });
`,
  );
  const received = new Received(client);
  await client.subscribeAsync('u_done', { qos: 1 });
  await using _again = await Handlers.start(folder, broker, remote);
  await received.has('u_done a');
  await client.endAsync();
});

test('schedules run where they are asked for, and hooks in the broker alone: both are said', async () => {
  using folder = folderOf({
    'clock.ts': `import { defineHandler } from 'bellhop';
export default [
  defineHandler({ schedule: '* * * * * *', run: ({ log }) => log.info('tick') }),
  defineHandler({ on: 'connect', run: ({ log }) => log.info('hook') }),
];
`,
  });
  await using broker = await Broker.start(folder);
  await using idle = await Handlers.start(folder, broker, [...remote, '--store-dir', 'one']);
  const said = idle.lines.map((line) => JSON.parse(line) as { level: string; message: string });
  expect(said.filter(({ level }) => level === 'warn').map(({ message }) => message)).toEqual([
    'hooks run in the broker alone: these handlers stay idle here',
    'schedules run with --schedules alone: these handlers stay idle here',
  ]);
  const args = [...remote, '--store-dir', 'two', '--schedules'];
  await using clock = await Handlers.start(folder, broker, args);
  const first = await clock.line((line) => line.includes('"tick"'));
  await clock.line((line) => line.includes('"tick"'), clock.lines.indexOf(first) + 1);
  expect(idle.lines.some((line) => line.includes('"tick"'))).toBe(false);
});
