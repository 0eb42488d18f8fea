/** Handlers in real workers, under a broker that only takes notes. */

import { Database } from 'bun:sqlite';
import { afterAll, afterEach, describe, expect, test } from 'bun:test';
import { join } from 'node:path';
import type { PoolOptions } from '../../core/plugins/pool.ts';
import {
  Bench,
  by,
  command,
  type Files,
  handlerFile,
  plainHandlerFile,
  removeFolders,
} from './folder.ts';

const benches: Bench[] = [];

async function open(files: Files, options: Partial<PoolOptions> = {}): Promise<Bench> {
  const bench = new Bench(files, options);
  benches.push(bench);
  await bench.pool.start();
  return bench;
}

afterEach(async () => {
  for (const bench of benches.splice(0)) await bench.pool.stop(0);
});
afterAll(removeFolders);

/** The faults of runs, as `kind place: detail`. */
const faults = (bench: Bench): string[] =>
  bench.ofKind('run-failed').map(({ fault }) => `${fault.kind} ${fault.at}: ${fault.detail}`);

describe('a run', () => {
  test('gets who said what, and sends to user topics and others', async () => {
    const bench = await open({
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
    expect(bench.pool.counters).toMatchObject({
      runs: 1,
      sends: 2,
      queuedCommands: 0,
      queuedBytes: 0,
    });
  });

  test('what it returns goes to the user who asked, under the name of its reply', async () => {
    const bench = await open({
      'time.ts': handlerFile(
        'get_time',
        'return input ? { time: 5 } : undefined;',
        "reply: 'time',",
      ),
    });
    await bench.run(command('get_time', 'true'), command('get_time', 'false'));
    await bench.run(command('get_time', 'true', by('')));
    expect(bench.texts).toEqual(['ada_time {"time":5}']);
    expect(faults(bench)).toEqual([]);
  });

  test('each handler whose filter matches gets the command, and it is done with once', async () => {
    const bench = await open({
      'a.ts': plainHandlerFile('orders/#', "send('x', 'a');"),
      'b.ts': plainHandlerFile('orders/new', "send('x', 'b');"),
    });
    bench.pool.dispatch(command('orders/new'), 7);
    await bench.until(() => bench.handled.length > 0);
    expect(bench.texts.sort()).toEqual(['x_a ', 'x_b ']);
    expect(bench.handled).toEqual([7]);
  });

  test('the input is what the schema makes of it, with a package beside the plugin', async () => {
    const bench = await open({
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
    const told = faults(bench);
    expect(told[0]).toBe('input count/add.ts: n: no number');
    expect(told[1]).toStartWith('input count/add.ts: the payload is not JSON: ');
  });

  test('its log lines carry its invocation, and end somewhere', async () => {
    const bench = await open({
      'log.ts': plainHandlerFile(
        'log',
        "log.warn('careful', { answer: 42, list: [1], none: undefined }); for (let i = 0; i < 5_000; i++) log.info('again');",
      ),
    });
    await bench.run(command('log'));
    const lines = bench.ofKind('handler-log');
    expect(lines[0]).toMatchObject({ level: 'warn', message: 'careful', plugin: 'log' });
    expect(lines[0]?.fields).toEqual({ answer: 42, list: '[ 1 ]' });
    expect(new Set(lines.map((line) => line.invocation)).size).toBe(1);
    expect(lines.length).toBe(1_001);
    expect(lines.at(-1)?.message).toContain('left out');
  });

  test('a command that has expired is not run [MQTT-3.3.2-5]', async () => {
    const bench = await open({ 'a.ts': plainHandlerFile('a', "send('x', 'a');") });
    await bench.run(command('a', '', { expiresAtMs: Date.now() - 1 }), command('a'));
    expect(bench.texts).toEqual(['x_a ']);
    expect(bench.pool.counters.dropped.expired).toBe(1);
  });
});

describe('a run that goes wrong', () => {
  test('is told with the file and line of the plugin, and sends nothing', async () => {
    const bench = await open({
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
    expect(faults(bench)).toEqual([
      'failed helper.ts:4: too far',
      'failed rejects.ts:7: late',
      'failed text.ts: "a text" was thrown',
    ]);
    const [first] = bench.ofKind('run-failed');
    expect(first?.run).toMatchObject({
      plugin: 'throws',
      topic: 'throws',
      user: 'ada',
      clientIdentifier: 'phone',
    });
    expect(first?.fault.stack).toContain('throws.ts:6');
    expect(first?.fault.stack).not.toContain('core/plugins');
    expect(bench.texts).toEqual(['x_fine ']);
    expect(bench.pool.counters.failed.failed).toBe(3);
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
    const bench = await open(
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
    const bench = await open({
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

describe('a handler cannot stop the broker', () => {
  const hostile = {
    loop: 'for (;;);',
    promise: 'await new Promise(() => {});',
    deaf: "signal.addEventListener('abort', () => { for (;;); }); await new Promise(() => {});",
    exit: 'process.exit(3);',
    'late exit': 'await null; process.exit(0);',
    kill: 'setTimeout(() => process.exit(4)); await new Promise(() => {});',
  };
  for (const [name, body] of Object.entries(hostile)) {
    test(`by ${name}: its worker is replaced, it alone fails, and what stood beside it is done`, async () => {
      const bench = await open(
        {
          'hostile.ts': handlerFile('hostile', body),
          'fine.ts': plainHandlerFile('fine', "send('x', 'fine', input);"),
        },
        { timeoutMs: 200 },
      );
      const fine = [...Array(50).keys()].map((index) => command('fine', `${index}`));
      await bench.run(...fine.slice(0, 25), command('hostile'), ...fine.slice(25));
      expect(bench.texts).toEqual(fine.map((_, index) => `x_fine ${index}`));
      const [fault, ...others] = bench.ofKind('run-failed').map((event) => event.fault.kind);
      expect(fault).toBe(/exit|kill/.test(name) ? 'worker-lost' : 'timeout');
      expect(others).toEqual([]);
      expect(bench.pool.counters.workersReplaced).toBe(1);
      expect(bench.pool.counters.queuedCommands).toBe(0);
    });
  }

  test('one that gives up when its signal says so keeps its worker', async () => {
    const bench = await open(
      {
        'slow.ts': handlerFile(
          'slow',
          "send('x', 'late'); await new Promise((resolve) => signal.addEventListener('abort', resolve));",
        ),
      },
      { timeoutMs: 100 },
    );
    await bench.run(command('slow'));
    expect(faults(bench)).toEqual(['timeout slow.ts: took longer than 100 ms']);
    expect(bench.texts).toEqual([]);
    expect(bench.pool.counters.workersReplaced).toBe(0);
  });

  test('a timer that is left behind and blocks the worker costs a worker, and no command', async () => {
    const bench = await open(
      {
        'a.ts': handlerFile('leave', "setTimeout(() => { log.info('here'); for (;;); });"),
        'b.ts': plainHandlerFile('fine', "send('x', 'fine');"),
      },
      { timeoutMs: 200 },
    );
    await bench.run(command('leave'));
    await bench.until(() => bench.ofKind('handler-log').length === 1);
    await bench.run(command('fine'), command('fine'));
    expect(bench.texts).toEqual(['x_fine ', 'x_fine ']);
    expect(faults(bench)).toEqual([]);
    expect(bench.pool.counters.workersReplaced).toBe(1);
  });

  test('what is left behind and throws is reported, and the worker goes on', async () => {
    const program = join(import.meta.dir, 'stray-program.ts');
    const { stdout, exited } = Bun.spawn([process.execPath, program], { stdout: 'pipe' });
    expect((await stdout.text()).trim().split('\n').sort()).toEqual([
      '0 workers replaced',
      'a.ts:5: alone',
      'a.ts:5: from a timer',
      'b.ts:5: the run is over: await what must happen within it',
      'sent x_still here ',
    ]);
    expect(await exited).toBe(0);
  });

  test('a queue that is full drops, counts and reports, and nothing else', async () => {
    const bench = await open(
      { 'a.ts': plainHandlerFile('a', "send('x', 'a', input);") },
      { queuedCommands: 10 },
    );
    for (let index = 0; index < 25; index++)
      bench.pool.dispatch(command('a', `${index}`), index + 1);
    await bench.until(() => bench.handled.length === 10);
    expect(bench.texts.length).toBe(10);
    // What was dropped stays stored, for the next start.
    expect(bench.handled.every((number) => number <= 10)).toBe(true);
    expect(bench.pool.counters.dropped['queue-full']).toBe(15);
    expect(bench.ofKind('command-dropped').length).toBe(15);
    bench.pool.dispatch(command('a', '100'), 26);
    await bench.until(() => bench.handled.includes(26));
    expect(bench.texts.at(-1)).toBe('x_a 100');
  });
});

describe('several workers', () => {
  test('keep the order of each user', async () => {
    const bench = await open(
      {
        'a.ts': handlerFile(
          'a',
          "await new Promise((resolve) => setTimeout(resolve, input % 3)); send('x', user.id, input);",
        ),
      },
      { workers: 4 },
    );
    const messages = [];
    for (let index = 0; index < 200; index++) {
      messages.push(command('a', `${index}`, by(`user${index % 7}`)));
    }
    await bench.run(...messages);
    expect(bench.sent.length).toBe(200);
    const byUser = Map.groupBy(bench.texts, (text) => text.split(' ')[0]);
    for (const texts of byUser.values()) {
      const numbers = texts.map((text) => Number(text.split(' ')[1]));
      expect(numbers).toEqual(numbers.toSorted((a, b) => a - b));
    }
  });

  test('a slow handler of one user holds up nobody else', async () => {
    const bench = await open(
      {
        'slow.ts': handlerFile(
          'slow',
          "await new Promise((resolve) => signal.addEventListener('abort', resolve));",
        ),
        'fast.ts': plainHandlerFile('fast', "send('x', 'fast');"),
      },
      { workers: 2, timeoutMs: 2_000 },
    );
    bench.pool.dispatch(command('slow', '', by('sam')), 0);
    for (let index = 0; index < 50; index++) await bench.run(command('fast', '', by('fay')));
    expect(bench.texts.length).toBe(50);
    expect(bench.pool.counters.failed.timeout).toBe(0);
  });
});

describe('the store', () => {
  const migrations = {
    'migrations/0001_count.sql':
      'create table count (name text primary key, n integer not null) strict;',
  };
  const count = "store.run`insert into count values ('a', 1) on conflict do update set n = n + 1`;";

  test('writes and sends of a run are one: both, or neither', async () => {
    const bench = await open({
      ...migrations,
      'count.ts': plainHandlerFile(
        'count',
        `${count} send('x', 'n', store.get\`select n from count\`); if (input) throw new Error('no');`,
      ),
      'later.ts': handlerFile(
        'later',
        `${count} await null; send('x', 'n', store.get\`select n from count\`); if (input) throw new Error('no');`,
      ),
    });
    await bench.run(
      ...['count', 'later', 'count', 'later'].flatMap((topic) => [
        command(topic),
        command(topic, 'true'),
      ]),
    );
    expect(bench.texts).toEqual([1, 2, 3, 4].map((n) => `x_n {"n":${n}}`));
    const database = new Database(bench.storePath);
    expect(database.query('select n from count').values()).toEqual([[4]]);
    database.close();
  });

  test('a run that comes to the store late stands in no transaction of others', async () => {
    const bench = await open({
      ...migrations,
      'count.ts': plainHandlerFile('count', count),
      'late.ts': handlerFile('late', `await null; ${count} await null; throw new Error('no');`),
    });
    const order = ['count', 'count', 'late', 'count', 'late', 'late', 'count'];
    // The first time, handlers are given one by one; then that they are quick is known.
    for (let round = 1; round <= 20; round++) {
      await bench.run(...order.map((topic) => command(topic)));
      const database = new Database(bench.storePath);
      expect(database.query('select n from count').values()).toEqual([[4 * round]]);
      database.close();
    }
  });

  test("workers do not lose each other's writes", async () => {
    const bench = await open(
      {
        ...migrations,
        'count.ts': plainHandlerFile(
          'count',
          `const n = store.get\`select n from count\`?.n ?? 0;
           store.run\`insert into count values ('a', \${n + 1}) on conflict do update set n = \${n + 1}\`;`,
        ),
      },
      { workers: 3 },
    );
    const messages = [...Array(300).keys()].map((index) => command('count', '', by(`u${index}`)));
    await bench.run(...messages);
    expect(faults(bench)).toEqual([]);
    const database = new Database(bench.storePath);
    expect(database.query('select n from count').values()).toEqual([[300]]);
    database.close();
  });

  test('a worker that ends leaves nothing behind of what it was doing, and holds nobody up', async () => {
    const bench = await open(
      {
        ...migrations,
        'stuck.ts': plainHandlerFile('stuck', `${count} for (;;);`),
        'exit.ts': handlerFile('exit', `${count} send('x', 'gone'); await null; process.exit();`),
        'count.ts': plainHandlerFile('count', count),
      },
      { timeoutMs: 300, workers: 2 },
    );
    const counts = (user: string) => [...Array(20)].map(() => command('count', '', by(user)));
    await bench.run(
      ...counts('a'),
      command('stuck', '', by('a')),
      ...counts('a'),
      command('exit', '', by('b')),
      ...counts('b'),
    );
    expect(
      bench
        .ofKind('run-failed')
        .map(({ fault }) => fault.kind)
        .sort(),
    ).toEqual(['timeout', 'worker-lost']);
    expect(bench.sent).toEqual([]);
    const database = new Database(bench.storePath);
    expect(database.query('select n from count').values()).toEqual([[60]]);
    database.close();
  });

  test('a run that breaks the transaction fails alone', async () => {
    const bench = await open({
      ...migrations,
      'count.ts': plainHandlerFile(
        'count',
        `${count} send('x', 'n', store.get\`select n from count\`?.n);`,
      ),
      'break.ts': plainHandlerFile(
        'break',
        "store.run`insert or rollback into count values ('a', 100)`;",
      ),
      'hidden.ts': plainHandlerFile(
        'hidden',
        "send('x', 'hidden'); try { store.run`insert or rollback into count values ('a', 100)` } catch {}",
      ),
    });
    const order = ['count', 'count', 'break', 'count', 'hidden', 'count'];
    await bench.run(...order.map((topic) => command(topic)));
    expect(bench.texts).toEqual(['x_n 1', 'x_n 2', 'x_n 3', 'x_n 4']);
    expect(
      bench.ofKind('run-failed').map(({ run, fault }) => `${run.plugin} ${fault.kind}`),
    ).toEqual(['break failed', 'hidden store']);
  });

  test('nothing that ends, leaves or hides a transaction can be run', async () => {
    const statements = [
      'commit',
      'ROLLBACK',
      '/* */ begin',
      'pragma user_version',
      "attach 'x' as y",
      'savepoint a',
      'end',
      'vacuum',
      '',
      '-- nothing',
      'select 1; select 2',
    ];
    const bench = await open({
      'try.ts': plainHandlerFile(
        'try',
        `const tagged = (text) => Object.assign([text], { raw: [text] });
         try { store.all(tagged(input)); } catch (error) { return send('x', 'refused', error.message); }
         send('x', 'done');`,
      ),
      'values.ts': plainHandlerFile('values', `store.get\`select \${input.missing}\`;`),
    });
    const fine = [
      "select ';' as a -- ; no\n;",
      'create temp table t (a); ',
      'create temp trigger r insert on t begin select 1; select 2; end',
    ];
    await bench.run(...[...statements, ...fine].map((sql) => command('try', JSON.stringify(sql))));
    expect(bench.texts.map((text) => text.startsWith('x_refused'))).toEqual([
      ...statements.map(() => true),
      ...fine.map(() => false),
    ]);
    await bench.run(command('values', '{}'));
    expect(faults(bench)).toEqual([
      'failed values.ts:5: value 1 of the statement is undefined; write null where that is meant',
    ]);
  });

  test('without migrations and use there is no file', async () => {
    const bench = await open({ 'a.ts': plainHandlerFile('a', '') });
    await bench.run(command('a'));
    expect(await Bun.file(bench.storePath).exists()).toBe(false);
  });
});

describe('plugins that do not load', () => {
  test('are told with file and line, and the others serve', async () => {
    const bench = await open(
      {
        'syntax.ts': 'const a = 1;\nexport default {\n  b: ;\n};\n',
        'throws.ts': 'interface Nothing {}\n\nthrow new Error("at load");\n',
        'rejects.ts': '\nawait Promise.reject(new Error("awaited"));\n',
        'missing.ts':
          "import { defineHandler } from 'bellhop';\nimport a from 'no-such-package';\nexport default a;\n",
        'helper.ts': 'export const a = 1;',
        'name.ts': "\nimport { b } from './helper.ts';\nexport default b;\n",
        'wrong.ts': '// no handler\nexport default { topic: "a", run() {} };\n',
        'definition.ts':
          "import { defineHandler } from 'bellhop';\n\nexport default defineHandler({ topic: '#', run() {} });\n",
        'exit.ts': 'process.exit(1);',
        'loop.ts': 'for (;;);',
        'wait.ts': 'await new Promise(() => {});',
        'fine.ts': plainHandlerFile('fine', "send('x', 'fine');"),
        'twice.ts': plainHandlerFile('fine', ''),
        'later/index.ts': plainHandlerFile('later', ''),
      },
      { loadTimeoutMs: 2_000 },
    );
    const told = bench.ofKind('plugin-refused').map(({ fault }) => `${fault.at}: ${fault.detail}`);
    expect(told.sort()).toEqual([
      'definition.ts:3: the topic # begins with a wildcard; a handler names its commands',
      'exit.ts: it ended with exit code 1',
      'loop.ts: does not load within 2000 ms',
      expect.stringContaining("missing.ts:2: Cannot find package 'no-such-package'"),
      expect.stringContaining("name.ts:2: Export named 'b' not found"),
      'rejects.ts:2: awaited',
      'syntax.ts:3: Unexpected ;',
      'throws.ts:3: at load',
      'twice.ts: the topic fine is handled by fine.ts already',
      'wait.ts: does not load within 2000 ms',
      'wrong.ts:2: its default export must be what defineHandler returns, or a list of that',
    ]);
    expect(bench.ofKind('plugin-loaded').map(({ plugin }) => plugin)).toEqual(['fine', 'later']);
    await bench.run(command('fine'));
    expect(bench.texts).toEqual(['x_fine ']);
  });

  test('no folder, or an empty one, is no plugins', async () => {
    for (const folder of ['/nowhere/at/all', (await open({})).folder]) {
      const bench = await open({}, { folder });
      expect(bench.pool.topics).toEqual([]);
      expect(bench.events).toEqual([]);
    }
  });

  test('a folder that is a file is an error', () => {
    const files = { file: '' };
    expect(() => new Bench(files, { folder: join(new Bench(files).folder, 'file') })).toThrow();
  });
});

describe('stopping', () => {
  test('what waits is done first, and nothing more is taken', async () => {
    const bench = await open({ 'a.ts': handlerFile('a', "await null; send('x', 'a', input);") });
    for (let index = 0; index < 20; index++)
      bench.pool.dispatch(command('a', `${index}`), index + 1);
    const stopped = bench.pool.stop(10_000);
    bench.pool.dispatch(command('a', '99'), 99);
    await stopped;
    expect(bench.texts.length).toBe(20);
    expect(bench.pool.counters.dropped.stopped).toBe(1);
    expect(bench.handled.length).toBe(20);
  });

  test('what is not done in time is dropped, and what is stored is left for the next start', async () => {
    const bench = await open({ 'a.ts': handlerFile('a', 'await new Promise(() => {});') });
    for (let number = 1; number <= 3; number++) bench.pool.dispatch(command('a'), number);
    await bench.pool.stop(50);
    expect(bench.pool.counters.dropped.stopped).toBe(3);
    expect(bench.handled).toEqual([]);
  });

  test('a stored command that comes before the plugins are loaded waits for them', async () => {
    const bench = new Bench({ 'a.ts': plainHandlerFile('a', "send('x', 'a');") });
    benches.push(bench);
    bench.pool.dispatch(command('a'), 1);
    bench.pool.dispatch(command('gone'), 2);
    await bench.pool.start();
    await bench.until(() => bench.sent.length > 0);
    expect(bench.handled).toEqual([1]);
    expect(bench.pool.counters.dropped['no-handler']).toBe(1);
  });
});
