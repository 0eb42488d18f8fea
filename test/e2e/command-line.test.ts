import { describe, expect, setDefaultTimeout, test } from 'bun:test';
import { mkdirSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { decodeJwt } from 'jose';
import manifest from '../../package.json' with { type: 'json' };
import { Folder, run } from './executable.ts';

setDefaultTimeout(60_000);

test('--version tells version, commit and runtime', async () => {
  using folder = new Folder();
  const { code, out } = await run(folder, ['--version']);
  expect(out).toMatch(
    new RegExp(`^bellhop ${manifest.version} \\(.+, Bun \\d+\\.\\d+\\.\\d+\\)\n$`),
  );
  expect(code).toBe(0);
});

test('--help lists the commands, and help tells of each', async () => {
  using folder = new Folder();
  const { code, out } = await run(folder, ['--help']);
  expect(code).toBe(0);
  for (const name of ['serve', 'token', 'pub', 'sub', 'config']) {
    expect(out).toContain(`\n  ${name} `);
    const help = await run(folder, ['help', name]);
    expect(help).toEqual({ code: 0, err: '', out: expect.stringContaining(`bellhop ${name}`) });
    expect(await run(folder, [name, '--help'])).toEqual(help);
  }
});

const usageErrors = [
  [['nothing'], 'there is no command "nothing"'],
  [['constructor'], 'there is no command "constructor"'],
  [['--nothing'], 'there is no option --nothing'],
  [['serve', '--mqtts-prot', '1'], 'did you mean --mqtts-port?'],
  [['serve', '--mqtts-port', '70000'], '--mqtts-port is "70000", but must be an integer'],
  [['--jwt-secret', 'x'], 'would show a secret in the process list'],
  [['help', 'token', 'pub'], 'help takes the name of one command'],
  [['token'], '--sub is missing'],
  [['token', '--sub', 'u', '--role', 'root'], 'must be one of device, handler, admin'],
  [['token', '--sub', 'u', '--expires', '1'], 'must be a time such as'],
  [['token', '--sub', 'u', '--acl', '{'], '--acl: '],
  [['token', '--sub', 'u', '--acl', '{"publish":["a"]}'], '--acl: '],
  [['token', '--sub', 'u', '--allow-pub', 'a/#/b'], 'no Topic Filter'],
  [['pub', '--topic', 'a/+', '--user', 'u'], 'which is no Topic Name'],
  [['pub', '--topic', 'a', '--message', 'x'], 'who are you?'],
  [['sub', '--topic', 'a', '--user', 'u', '--qos', '3'], 'must be one of 0, 1, 2'],
  [['sub', '--topic', 'a', '--user', 'u', '--url', 'http://x'], 'but must be mqtts://host:port'],
  [['sub', '--topic', 'a', '--user', 'u', '--count', 'x'], 'but must be a number'],
] as const;

test.each(usageErrors)('%j is a usage error: one line, exit code 2', async (written, detail) => {
  using folder = new Folder();
  const { code, out, err } = await run(folder, written);
  expect(err).toContain(detail);
  expect(err).toMatch(/^bellhop: .+\n$/);
  expect(out).toBe('');
  expect(code).toBe(2);
});

describe('the start', () => {
  /** Starts a broker that cannot start, and gives back its one line. */
  async function failure(folder: Folder, env: Record<string, string>, written: string[] = []) {
    const { code, err } = await run(folder, ['serve', ...written], { env });
    expect(err).toMatch(/^bellhop: .+\n$/);
    expect(code).toBe(1);
    return err;
  }

  test('stops at a wrong setting, with its name, value and what it may be', async () => {
    using folder = new Folder();
    expect(await failure(folder, { MQTTS_PORT: 'x' })).toBe(
      'bellhop: MQTTS_PORT is "x" (environment), but must be an integer from 0 to 65535\n',
    );
  });

  test('stops at a wrong setting in .env, and says so', async () => {
    using folder = new Folder();
    folder.write('.env', 'LOG_LEVEL=loud\n');
    expect(await failure(folder, {})).toContain('LOG_LEVEL is "loud" (.env), but must be one of');
  });

  test('stops at an unknown setting in .env, and names the nearest', async () => {
    using folder = new Folder();
    folder.write('.env', 'A=1\nMQTT_PROT=1\n');
    expect(await failure(folder, {})).toBe(
      'bellhop: .env, line 2: there is no setting MQTT_PROT; did you mean MQTT_PORT?\n',
    );
  });

  test('stops at a malformed .env, with its line', async () => {
    using folder = new Folder();
    folder.write('.env', 'A=1\n\nJWT_SECRET "x"\n');
    expect(await failure(folder, {})).toBe('bellhop: .env, line 3, has no =; write NAME=value\n');
  });

  test('stops at a port that is taken, and makes no other listener by then', async () => {
    using folder = new Folder();
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const port = String((server.address() as { port: number }).port);
    const env = { HOST: '127.0.0.1', MQTTS_PORT: port, HTTPS_PORT: '0' };
    expect(await failure(folder, env)).toContain(`MQTTS_PORT: port ${port} is in use`);
    server.close();
  });

  test('stops at an address that this machine does not have', async () => {
    using folder = new Folder();
    expect(await failure(folder, { HOST: '192.0.2.1' })).toContain(
      'HOST: cannot listen on 192.0.2.1',
    );
  });

  test('stops at a certificate that cannot be read', async () => {
    using folder = new Folder();
    const env = { TLS_CERT: 'nowhere.pem', TLS_KEY: 'nowhere.key' };
    expect(await failure(folder, env)).toContain('nowhere.pem');
  });

  test('stops at a data folder that cannot be made', async () => {
    using folder = new Folder();
    folder.write('file', '');
    expect(await failure(folder, { DATA_DIR: 'file/data' })).toContain(
      'DATA_DIR: file/data cannot be used',
    );
  });

  test('stops at a policy file with a mistake, and says where', async () => {
    using folder = new Folder();
    folder.write('policy.json', '{"commands": [}');
    expect(await failure(folder, { POLICY_FILE: 'policy.json' })).toContain(
      'POLICY_FILE: policy.json',
    );
  });

  test('stops where every listener is off', async () => {
    using folder = new Folder();
    expect(await failure(folder, { MQTTS_PORT: '0', HTTPS_PORT: '0' })).toContain(
      'nothing to listen on',
    );
  });
});

describe('token', () => {
  test('prints a token and nothing else', async () => {
    using folder = new Folder();
    folder.write('.env', 'JWT_SECRET=0123456789abcdef0123456789abcdef\n');
    const { code, out, err } = await run(folder, [
      'token',
      '--sub',
      'auth0|1',
      '--role',
      'handler',
    ]);
    expect([code, err]).toEqual([0, '']);
    expect(decodeJwt(out.trim())).toMatchObject({ sub: 'auth0|1', role: 'handler' });
    expect(out).toBe(`${out.trim()}\n`);
  });

  test('says what to do where there is no secret, and makes no data folder', async () => {
    using folder = new Folder();
    const { code, err } = await run(folder, ['token', '--sub', 'u']);
    expect(err).toMatch(
      /^bellhop: there is no shared secret .* start the broker once .*data\/jwt-secret\n$/,
    );
    expect(code).toBe(1);
    expect([...new Bun.Glob('**').scanSync({ cwd: folder.path, dot: true })]).toEqual([]);
  });
});

describe('config', () => {
  test('tells where each value came from', async () => {
    using folder = new Folder();
    folder.write('.env', 'MQTTS_PORT=1\nMQTT_PORT=1\nJWT_SECRET=hunter2\n');
    const { code, out } = await run(folder, ['config', '--https-port', '3'], {
      env: { MQTT_PORT: '2' },
    });
    expect(code).toBe(0);
    expect(out).toMatch(/^MQTTS_PORT +1 +\.env$/m);
    expect(out).toMatch(/^MQTT_PORT +2 +environment$/m);
    expect(out).toMatch(/^HTTPS_PORT +3 +command line$/m);
    expect(out).toMatch(/^DATA_DIR +\.\/data +default$/m);
    expect(out).toMatch(/^JWT_SECRET +\*+ +\.env$/m);
    expect(out).not.toContain('hunter2');
  });

  test('a .env that cannot be read is an error', async () => {
    using folder = new Folder();
    mkdirSync(join(folder.path, '.env'));
    const { code, err } = await run(folder, ['config']);
    expect(err).toMatch(/^bellhop: \.env cannot be read: .*\n$/);
    expect(code).toBe(1);
  });
});
