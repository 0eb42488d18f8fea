/** Runs of handlers in real workers, under a broker that only takes notes. */
import { describe, expect, test } from 'bun:test';
import { by, command, handlerFile, plainHandlerFile } from './folder.ts';
import { benches } from './opened.ts';

const opened = benches();

describe('a run', () => {
  test('gets who said what, and sends to user topics and others', async () => {
    const bench = await opened({
      'greet.ts': handlerFile(
        'greet/+',
        `send(input.to, 'greeting', { from: user.id, client: client.id, topic });
         publish('greetings/all', 'one more', { qos: 0, retain: true, messageExpiryInterval: 60, contentType: 'text/plain' });`,
      ),
    });
    expect(bench.pool.topics as readonly string[]).toEqual(['greet/+']);
    await bench.run(command('greet/warmly', { to: 'b_b' }));
    expect(bench.texts).toEqual([
      'b%5Fb_greeting {"from":"ada","client":"phone","topic":"greet/warmly"}',
      'greetings/all one more',
    ]);
    const [toUser, toAll] = bench.sent;
    expect(toUser).toMatchObject({
      qos: 1,
      retain: false,
      reach: 2,
      expiresAtMs: Number.POSITIVE_INFINITY,
    });
    expect(toUser?.publisher).toEqual({ user: '', clientIdentifier: 'greet', device: false });
    expect(toAll).toMatchObject({
      qos: 0,
      retain: true,
      properties: { contentType: 'text/plain' },
    });
    expect(Math.abs((toAll?.expiresAtMs ?? 0) - Date.now() - 60_000)).toBeLessThan(10_000);
    expect(bench.countersOf('greet').runs).toBe(1);
    expect(bench.pool.counters).toMatchObject({
      sends: 2,
      queuedCommands: 0,
      queuedBytes: 0,
    });
  });

  test('what it returns goes to the user who asked, under the name of its reply', async () => {
    const bench = await opened({
      'time.ts': handlerFile(
        'get_time',
        'return input ? { time: 5 } : undefined;',
        "reply: 'time',",
      ),
    });
    await bench.run(command('get_time', 'true'), command('get_time', 'false'));
    await bench.run(command('get_time', 'true', by('')));
    expect(bench.texts).toEqual(['ada_time {"time":5}']);
    expect(bench.faults).toEqual([]);
  });

  test('each handler whose filter matches gets the command, and it is done with once', async () => {
    const bench = await opened({
      'a.ts': plainHandlerFile('orders/#', "send('x', 'a');"),
      'b.ts': plainHandlerFile('orders/new', "send('x', 'b');"),
    });
    bench.dispatch(command('orders/new'), 7);
    await bench.until(() => bench.handled.length > 0);
    expect(bench.texts.sort()).toEqual(['x_a ', 'x_b ']);
    expect(bench.handled).toEqual([7]);
  });

  test('the input is what the schema makes of it, with a package beside the plugin', async () => {
    const bench = await opened({
      'node_modules/tiny-schema/package.json':
        '{"name":"tiny-schema","exports":{".":"./lib/main.js"}}',
      'node_modules/tiny-schema/lib/main.js': `export const number = { '~standard': { version: 1, vendor: 'tiny',
        validate: async (value) => typeof value === 'number' ? { value: value + 1 } : { issues: [{ message: 'no number', path: ['n'] }] } } };`,
      'shared.ts': 'export const name: string = "result";',
      'count/add.ts': `import { number } from 'tiny-schema';
        import { name } from '../shared.ts';
        import { defineHandler } from 'bellhop';
        export default [defineHandler({ topic: 'add', input: number, run: ({ input, send }) => send('x', name, input) })];`,
    });
    await bench.run(command('add', '5'), command('add', '"five"'), command('add', '{'));
    expect(bench.texts).toEqual(['x_result 6']);
    const told = bench.faults;
    expect(told[0]).toBe('input count/add.ts: n: no number');
    expect(told[1]).toStartWith('input count/add.ts: the payload is not JSON: ');
  });

  test('its log lines carry its invocation, and end somewhere', async () => {
    const bench = await opened({
      'log.ts': plainHandlerFile(
        'log',
        "log.warn('careful', { answer: 42, list: [1], none: undefined }); for (let i = 0; i < 5_000; i++) log.info('again');",
      ),
    });
    await bench.run(command('log'));
    const lines = bench.ofKind('handler-log');
    expect(lines[0]).toMatchObject({ level: 'warn', message: 'careful', handler: 'log' });
    expect(lines[0]?.fields).toEqual({ answer: 42, list: '[ 1 ]' });
    expect(new Set(lines.map((line) => line.invocation)).size).toBe(1);
    expect(lines.length).toBe(1_001);
    expect(lines.at(-1)?.message).toContain('left out');
  });

  test('a command that has expired is not run [MQTT-3.3.2-5]', async () => {
    const bench = await opened({ 'a.ts': plainHandlerFile('a', "send('x', 'a');") });
    await bench.run(command('a', '', { expiresAtMs: Date.now() - 1 }), command('a'));
    expect(bench.texts).toEqual(['x_a ']);
    expect(bench.pool.counters.dropped.expired).toBe(1);
  });
});

describe('a run that goes wrong', () => {
  test('is told with the file and line of the plugin, and sends nothing', async () => {
    const bench = await opened({
      'helper.ts':
        'export interface Nothing {}\n\nexport function fail(): never {\n  throw new RangeError("too far");\n}\n',
      'throws.ts': `import { fail } from './helper.ts';\n${plainHandlerFile('throws', "send('x', 'a'); fail();")}`,
      'rejects.ts': handlerFile(
        'rejects',
        "send('x', 'b');\n await null;\n throw new Error('late');",
      ),
      'text.ts': handlerFile('text', "throw 'a text';"),
      'fine.ts': plainHandlerFile('fine', "send('x', 'fine');"),
    });
    await bench.run(...['throws', 'rejects', 'text', 'fine'].map((topic) => command(topic)));
    expect(bench.faults).toEqual([
      'failed helper.ts:4: too far',
      'failed rejects.ts:7: late',
      'failed text.ts: "a text" was thrown',
    ]);
    const [first] = bench.ofKind('run-failed');
    expect(first?.run).toMatchObject({
      handler: 'throws',
      attempt: 1,
      topic: 'throws',
      user: 'ada',
      clientIdentifier: 'phone',
    });
    expect(first?.fault.stack).toContain('throws.ts:6');
    expect(first?.fault.stack).not.toContain('core/plugins');
    expect(bench.texts).toEqual(['x_fine ']);
    expect(bench.countersOf('throws').failed.failed).toBe(1);
    expect(bench.pool.counters.workersReplaced).toBe(0);
  });

  test('what may not be sent throws where it is sent', async () => {
    const attempts = [
      ["send('', 'a')", 'makes no user topic'],
      ["send('ada', '')", 'makes no user topic'],
      ["send('ada', 'a+')", 'makes no user topic'],
      ["send(5, 'a')", 'both text'],
      ["send('try', '0')", 'is a declared command'],
      ["publish('$SYS/a')", 'nobody may publish'],
      ["publish('a/#')", 'is no topic'],
      ["publish('')", 'is no topic'],
      ["publish('\\ud800')", 'is no topic'],
      ["publish('a', 1, { qos: 3 })", '`qos`'],
      ["publish('a', 1, { messageExpiryInterval: 0.5 })", '`messageExpiryInterval`'],
      ["publish('a', 1, { contentType: '\\0' })", '`contentType`'],
      ["publish('a', 1, { userProperties: [['bellhop-user', 'eve']] })", "broker's own"],
      ["publish('a', 1, { userProperties: ['a'] })", '`userProperties`'],
      ["publish('a', () => {})", 'cannot be sent'],
      ["publish('a', 5n)", 'BigInt'],
      ["for (let i = 0; i < 10_001; i++) publish('a')", '10000 messages'],
      [
        "const large = new Uint8Array(1 << 24); for (let i = 0; i < 3; i++) publish('a', large)",
        'bytes at most',
      ],
    ] as const;
    const bench = await opened(
      Object.fromEntries(
        attempts.map(([code], index) => [
          `try-${index}.ts`,
          plainHandlerFile(`try_${index}`, code),
        ]),
      ),
    );
    await bench.run(...attempts.map((_, index) => command(`try_${index}`)));
    const told = bench.ofKind('run-failed').map(({ fault }) => fault.detail);
    expect(told.length).toBe(attempts.length);
    for (const [index, [, detail]] of attempts.entries()) expect(told[index]).toContain(detail);
    expect(bench.sent).toEqual([]);
  });

  test('a send that the broker does not take is reported', async () => {
    const bench = await opened({
      'a.ts': plainHandlerFile('a', "send('request', 'contact'); publish('b');"),
    });
    bench.declared.add('request_contact');
    bench.refusal = 'full';
    await bench.run(command('a'));
    expect(bench.ofKind('send-refused').map(({ topic, detail }) => `${topic}: ${detail}`)).toEqual([
      'request_contact: the topic is a declared command, and never a user topic',
      'b: full',
    ]);
    expect(bench.pool.counters).toMatchObject({ sends: 0, sendsRefused: 2 });
  });
});
