/** `bellhop pub`, `sub` and `health` against a broker: a first try without installing anything. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { SignJWT } from 'jose';
import { Broker, bellhop, type Finished, Folder, freePorts, run } from './executable.ts';

setDefaultTimeout(60_000);

let folder: Folder;
let broker: Broker;
beforeAll(async () => {
  folder = new Folder();
  broker = await Broker.start(folder);
});
afterAll(async () => {
  await broker[Symbol.asyncDispose]();
  folder[Symbol.dispose]();
});

const url = () => `mqtts://localhost:${broker.mqttsPort}`;

const publish = (topic: string, message: string, ...more: string[]): Promise<Finished> =>
  run(folder, [
    ...['pub', '--url', url(), '--user', 'shop', '--role', 'handler'],
    ...['--topic', topic, '--message', message, ...more],
  ]);

const subscribe = (user: string, ...more: string[]): Promise<Finished> =>
  run(folder, ['sub', '--url', url(), '--user', user, ...more]);

test.each(['3.1', '3.1.1', '5'])('a message goes from pub to sub in MQTT %s', async (version) => {
  const child = Bun.spawn(
    [
      ...[...bellhop, 'sub', '--url', url(), '--user', 'u', '--mqtt-version', version],
      ...['--topic', 'u_x', '--topic', 'u_y', '--count', '2'],
    ],
    {
      cwd: folder.path,
      env: { PATH: process.env.PATH ?? '', HOME: '/' },
      stdout: 'pipe',
      stderr: 'pipe',
    },
  );
  const errors = child.stderr.pipeThrough(new TextDecoderStream()).getReader();
  expect((await errors.read()).value).toBe('subscribed to u_x, u_y\n');
  for (const [topic, message] of [
    ['u_x', 'one'],
    ['u_y', 'zwei – 2'],
  ] as const) {
    const published = await publish(topic, message, '--mqtt-version', version);
    expect(published).toEqual({ code: 0, out: '', err: '' });
  }
  expect(await child.stdout.text()).toBe('u_x one\nu_y zwei – 2\n');
  expect(await child.exited).toBe(0);
});

test('pub takes the message from stdin, byte for byte', async () => {
  const who = ['--url', url(), '--user', 'shop', '--role', 'handler'];
  const published = await run(folder, ['pub', ...who, '-t', 'u_in', '--retain'], { input: 'a\nb' });
  expect(published).toEqual({ code: 0, out: '', err: '' });
  const { out } = await subscribe('u', '-t', 'u_in', '--count', '1');
  expect(out).toBe('u_in a\nb\n');
});

test('over WebSocket and without TLS it is the same', async () => {
  await publish('u_kept', 'hi', '--retain');
  const urls = [`wss://localhost:${broker.httpsPort}/mqtt`, `mqtt://localhost:${broker.mqttPort}`];
  for (const each of urls) {
    const args = ['sub', '--url', each, '--user', 'u', '-t', 'u_kept', '--count', '1'];
    expect(await run(folder, args)).toMatchObject({ code: 0, out: 'u_kept hi\n' });
  }
});

test('the token comes from BELLHOP_TOKEN or a file, and appears nowhere', async () => {
  await publish('u_token', 'hi', '--retain');
  const token = (await run(folder, ['token', '--sub', 'u'])).out.trim();
  const args = ['sub', '--url', url(), '-t', 'u_token', '--count', '1'];
  const file = ['--token-file', folder.write('token', `${token}\n`)];
  const ways = [
    await run(folder, args, { env: { BELLHOP_TOKEN: token } }),
    await run(folder, [...args, ...file]),
  ];
  for (const { code, out, err } of ways) {
    expect([code, out]).toEqual([0, 'u_token hi\n']);
    expect(err).not.toContain('eyJ');
  }
  expect(broker.lines.join('\n')).not.toContain(token.slice(0, 20));
});

describe('what the broker refuses is said in one line, with exit code 1', () => {
  const cases = [
    {
      name: 'an expired token, with its reason',
      args: ['sub', '-t', 'u_x'],
      expired: true,
      detail: 'expired',
    },
    { name: "another user's topic", args: ['sub', '-t', 'v_x', '--user', 'u'], detail: 'v_x' },
    {
      name: 'a publish that is not allowed',
      args: ['pub', '-t', 'nothing', '-m', 'x', '--user', 'u'],
      detail: 'nothing: ',
    },
    {
      name: 'a token that is none',
      args: ['sub', '-t', 'u_x', '--token', 'nonsense'],
      detail: 'token malformed',
    },
  ];

  test.each(cases)('$name', async ({ args, expired, detail }) => {
    const more = expired ? ['--token', await expiredToken()] : [];
    const { code, out, err } = await run(folder, [...args, ...more, '--url', url()]);
    expect(err).toMatch(/^bellhop: .+\n$/);
    expect(err).toContain(detail);
    expect([code, out]).toEqual([1, '']);
  });

  /** Signed with the secret of the broker, and over for a minute. */
  async function expiredToken(): Promise<string> {
    const secret = readFileSync(join(folder.path, 'data', 'jwt-secret'), 'utf8').trim();
    const now = Math.floor(Date.now() / 1_000);
    return new SignJWT({ sub: 'u' })
      .setProtectedHeader({ alg: 'HS256' })
      .setExpirationTime(now - 60)
      .sign(new TextEncoder().encode(secret));
  }

  test('nobody listens', async () => {
    const [port = 0] = await freePorts(1);
    const args = ['pub', '-t', 'x', '-m', 'x', '--user', 'u', '--url', `mqtts://localhost:${port}`];
    const { code, err } = await run(folder, args);
    expect(err).toMatch(/^bellhop: mqtts:.+refused.*\n$/i);
    expect(code).toBe(1);
  });

  test('a certificate that is not trusted, with the remedy', async () => {
    using elsewhere = new Folder();
    const token = (await run(folder, ['token', '--sub', 'u'])).out.trim();
    const args = ['sub', '-t', 'u_x', '--url', url()];
    const env = { BELLHOP_TOKEN: token };
    const { code, err } = await run(elsewhere, args, { env });
    expect(err).toMatch(/^bellhop: .*certificate.*--cafile\n$/);
    expect(code).toBe(1);
    const cafile = ['--cafile', join(folder.path, 'data', 'tls.crt')];
    await publish('u_ca', 'hi', '--retain');
    const trusted = ['sub', '-t', 'u_ca', '--url', url(), '--count', '1'];
    expect((await run(elsewhere, [...trusted, ...cafile], { env })).out).toBe('u_ca hi\n');
    expect((await run(elsewhere, [...trusted, '--insecure'], { env })).out).toBe('u_ca hi\n');
  });
});

test('sub ends with SIGINT, and in good order', async () => {
  const args = ['sub', '--url', url(), '--user', 'u', '-t', 'u_end'];
  const child = Bun.spawn([...bellhop, ...args], {
    cwd: folder.path,
    env: { PATH: process.env.PATH ?? '', HOME: '/' },
    stdout: 'ignore',
    stderr: 'pipe',
  });
  expect((await child.stderr.getReader().read()).done).toBe(false);
  child.kill('SIGINT');
  expect(await child.exited).toBe(0);
});

test('health asks the broker, and tells when there is none', async () => {
  const well = await run(folder, ['health'], { env: { HTTPS_PORT: String(broker.httpsPort) } });
  expect(well).toEqual({ code: 0, out: '200 {"status":"ok"}\n', err: '' });
  const [port = 0] = await freePorts(1);
  const ill = await run(folder, ['health'], { env: { HTTPS_PORT: String(port) } });
  expect(ill.err).toMatch(/^bellhop: https:.+\n$/);
  expect(ill.code).toBe(1);
});
