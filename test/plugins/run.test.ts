/** What a run is given and what becomes of what it returns, says and awaits: in real workers. */
import { expect, test } from 'bun:test';
import { type Bench, command, handlerFile, plainHandlerFile } from './folder.ts';
import { benches } from './opened.ts';

const open = benches();

const said = (bench: Bench) =>
  bench
    .ofKind('handler-log')
    .map(({ handler, level, message, fields }) => ({ handler, level, message, fields }));

test('what is returned goes to the Response Topic with its Correlation Data, or to the user', async () => {
  const bench = await open({
    'ask.ts': plainHandlerFile('ask', 'return { got: input };', "reply: 'answer',"),
    'tell.ts': plainHandlerFile('tell', "return 'told';"),
  });
  bench.replies.add('responses/1');
  const correlationData = Uint8Array.of(1, 2);
  const properties = { responseTopic: 'responses/1', correlationData };
  await bench.run(
    command('ask', 1),
    command('ask', 2, { properties }),
    command('tell', 3, { properties }),
    command('tell', 4),
    command('ask', 5, { properties: { responseTopic: 'forbidden' } }),
  );
  expect(bench.texts).toEqual([
    'ada_answer {"got":1}',
    'responses/1 {"got":2}',
    'responses/1 told',
  ]);
  expect(bench.sent[1]?.properties?.correlationData).toEqual(correlationData);
  expect(bench.ofKind('send-refused').map(({ topic }) => topic as string)).toEqual(['forbidden']);
});

test('a command in CBOR is answered in CBOR', async () => {
  const bench = await open({ 'double.ts': plainHandlerFile('double', 'return { n: 2 * input };') });
  bench.replies.add('r');
  const properties = { responseTopic: 'r', contentType: 'application/cbor' };
  await bench.run({ ...command('double', '', { properties }), payload: Uint8Array.of(0x15) });
  expect(Buffer.from(bench.sent[0]?.payload ?? []).toString('hex')).toBe('a1616e182a');
  expect(bench.sent[0]?.properties?.contentType).toBe('application/cbor');
});

test('a trace that a command carries goes on with what is sent, and one that it does not carry does not', async () => {
  const bench = await open({
    'go.ts': plainHandlerFile('go', "send('b', 'x', context.invocation);"),
  });
  const trace = '4bf92f3577b34da6a3ce929d0e0e4736';
  const traceparent = `00-${trace}-00f067aa0ba902b7-01`;
  const traced = (value: string) => ({
    properties: { userProperties: [['traceparent', value]] as const },
  });
  await bench.run(
    command('go', '', traced(traceparent)),
    command('go'),
    command('go', '', traced('x')),
  );
  const [first, second, third] = bench.sent;
  const [name, value = ''] = first?.properties?.userProperties?.[0] ?? [];
  expect(name).toBe('traceparent');
  expect(value).toMatch(new RegExp(`^00-${trace}-[0-9a-f]{16}-01$`));
  expect(value).not.toBe(traceparent);
  expect(bench.texts[0]).toContain(`"attempt":1,"trace":"${trace}"`);
  expect([second?.properties, third?.properties]).toEqual([undefined, undefined]);
});

test('attempts are counted, and a NonRetryableError is the last, also as the cause of another', async () => {
  const bench = await open({
    'third.ts': plainHandlerFile(
      'third',
      "if (context.invocation.attempt < 3) throw new Error('not yet'); send('a', 'x', context.invocation.attempt);",
      '',
    ),
    'never.ts': `import { defineHandler, NonRetryableError } from 'bellhop';
export default defineHandler({ topic: 'never', run() {
  throw new Error('wrapped', { cause: new NonRetryableError('never') });
} });`,
  });
  await bench.run(command('third'), command('never'));
  expect(bench.texts).toEqual(['a_x 3']);
  expect(bench.letters.map(({ handler, attempts }) => [handler, attempts])).toEqual([['never', 1]]);
});

test('console speaks for the run that is at it, also behind an await, and for the plugin while it loads', async () => {
  const bench = await open(
    {
      'a.ts': `console.warn('loading', { a: 1 });\n${handlerFile(
        'a',
        "console.log('before %d', input); await Bun.sleep(1); console.error('after', input);",
      )}`,
    },
    {},
  );
  bench.dispatch(
    command('a', 1, { publisher: { user: 'x', clientIdentifier: 'x', device: true } }),
  );
  bench.dispatch(
    command('a', 2, { publisher: { user: 'y', clientIdentifier: 'y', device: true } }),
  );
  await bench.until(() => bench.ofKind('run-done').length === 2);
  const lines = bench.ofKind('handler-log');
  expect(lines[0]).toMatchObject({
    handler: 'a',
    level: 'warn',
    message: 'loading { a: 1 }',
    invocation: '',
  });
  const ofRun = new Map<string, string[]>();
  for (const { invocation, level, message, handler } of lines.slice(1)) {
    expect(handler).toBe('a');
    ofRun.set(invocation, [...(ofRun.get(invocation) ?? []), `${level} ${message}`]);
  }
  expect([...ofRun.values()].sort()).toEqual([
    ['info before 1', 'error after 1'],
    ['info before 2', 'error after 2'],
  ]);
});

test('secrets come from the environment, are missed when the plugin loads, and are in no log line and no error', async () => {
  process.env.TEST_BELLHOP_KEY = 'sesame-open-"you"';
  process.env.TEST_BELLHOP_PIN = '1234';
  try {
    const bench = await open({
      'uses.ts': plainHandlerFile(
        'uses',
        `const { TEST_BELLHOP_KEY: key, TEST_BELLHOP_PIN: pin } = context.secrets;
         console.log('key', key, { key }); log.info(key + pin, { key, nested: { key } });
         throw new Error('no entry with ' + key);`,
        "secrets: ['TEST_BELLHOP_KEY', 'TEST_BELLHOP_PIN'], retry: false,",
      ),
      'misses.ts': plainHandlerFile('misses', '', "secrets: ['TEST_BELLHOP_NONE', 'PATH'],"),
    });
    expect(
      bench.ofKind('plugin-refused').map(({ fault }) => `${fault.at}: ${fault.detail}`),
    ).toEqual(['misses.ts: the environment lacks its secrets TEST_BELLHOP_NONE']);
    await bench.run(command('uses'));
    expect(JSON.stringify(bench.events)).not.toContain('sesame');
    expect(bench.letters.map(({ detail }) => detail)).toEqual(['no entry with [TEST_BELLHOP_KEY]']);
    expect(said(bench)[1]?.message).toBe('[TEST_BELLHOP_KEY]1234');
  } finally {
    delete process.env.TEST_BELLHOP_KEY;
    delete process.env.TEST_BELLHOP_PIN;
  }
});

test('a secret in a topic that a run sends to is in no line about a refusal', async () => {
  process.env.TEST_BELLHOP_KEY = 'sesame_open/"you"';
  try {
    const bench = await open({
      'leaks.ts': plainHandlerFile(
        'leaks',
        `const { TEST_BELLHOP_KEY: key } = context.secrets;
         publish('doors/' + key, ''); send(key, 'opened', '');`,
        "secrets: ['TEST_BELLHOP_KEY'],",
      ),
    });
    bench.refusal = 'nobody may publish to doors/sesame_open/"you"';
    await bench.run(command('leaks'));
    expect(bench.sent.map(({ topic }) => topic as string)).toEqual([
      'doors/sesame_open/"you"',
      'sesame%5Fopen%2F"you"_opened',
    ]);
    const detail = 'nobody may publish to doors/[TEST_BELLHOP_KEY]';
    expect(bench.ofKind('send-refused')).toMatchObject([
      { topic: 'doors/[TEST_BELLHOP_KEY]', detail },
      { topic: '[TEST_BELLHOP_KEY]_opened', detail },
    ]);
    expect(JSON.stringify(bench.events)).not.toContain('sesame');
  } finally {
    delete process.env.TEST_BELLHOP_KEY;
  }
});

test('setup and teardown run once in a worker; a plugin whose setup fails does not load', async () => {
  const bench = await open(
    {
      'uses.ts': plainHandlerFile(
        'uses',
        "send('a', 'x', context.resources.count++);",
        `async setup({ log }) { await Bun.sleep(1); log.info('up'); return { count: 1 }; },
         teardown({ count }) { console.log('down', count); },`,
      ),
      'fails.ts': `import { defineHandler } from 'bellhop';
export default [
  defineHandler({ topic: 'f1', setup: () => 5, teardown: (five) => { console.log('undone', five); }, run() {} }),
  defineHandler({ topic: 'f2', setup() {
    throw new Error('no database');
  }, run() {} }),
];`,
      'hangs.ts': plainHandlerFile(
        'hangs',
        '',
        'timeoutMs: 20, setup: () => new Promise(() => {}),',
      ),
    },
    {},
  );
  const refused = bench.ofKind('plugin-refused').map(({ fault }) => `${fault.at}: ${fault.detail}`);
  expect(refused.sort()).toEqual([
    'fails.ts:5: setup: no database',
    'hangs.ts: setup: setup does not come to an end within 20 ms',
  ]);
  await bench.run(command('uses'), command('uses'));
  expect(bench.texts).toEqual(['a_x 1', 'a_x 2']);
  await bench.pool.stop(1_000);
  expect(
    said(bench)
      .filter(({ handler }) => handler === 'uses')
      .map(({ message }) => message),
  ).toEqual(['up', 'down 3']);
  expect(
    said(bench)
      .filter(({ handler }) => handler === 'fails')
      .map(({ message }) => message),
  ).toEqual(['undone 5']);
});

test('hooks and schedules tell what they are about', async () => {
  const hook = (on: string) => `import { defineHandler } from 'bellhop';
export default defineHandler({ ${on}, run: ({ input, user, publish }) => publish('told', { input, user: user.id }) });`;
  const bench = await open({
    'presence.ts': hook("on: ['connect', 'disconnect']"),
    'push.ts': hook("on: 'undelivered'"),
    'tick.ts': hook("schedule: '0 0 * * *'"),
  });
  const presence = { event: 'connect', number: 5, takeover: false, at: 1 };
  await bench.run(
    command('$hook/connect', presence),
    command('$hook/undelivered/b%5Fb_contact_requested', { from: 'ada' }),
    command('$hook/undelivered/b_note', 'no JSON'),
    command('$hook/schedule/tick', { due: 1, missed: 0 }),
  );
  expect(
    bench.sent.map(({ payload }) => JSON.parse(new TextDecoder().decode(payload)).input).sort(),
  ).toEqual(
    [
      presence,
      {
        to: 'b_b',
        name: 'contact_requested',
        topic: 'b%5Fb_contact_requested',
        payload: { from: 'ada' },
      },
      { to: 'b', name: 'note', topic: 'b_note', payload: 'no JSON' },
      { due: 1, missed: 0 },
    ].sort(),
  );
});

test('an asynchronous run over its time is given up, and its worker goes on', async () => {
  const bench = await open({
    'hangs.ts': handlerFile(
      'hangs',
      `store.run\`insert into t values (1)\`;
       signal.addEventListener('abort', () => console.log('aborted: ' + signal.reason.message));
       await new Promise(() => {});`,
      'timeoutMs: 20, retry: false,',
    ),
    'count.ts': plainHandlerFile(
      'count',
      "send('a', 'n', store.get`select count(*) as n from t`);",
    ),
    'migrations/0001_t.sql': 'create table t (n integer);',
  });
  await bench.run(command('hangs'), command('count'));
  expect(bench.faults).toEqual(['timeout hangs.ts: took longer than 20 ms']);
  expect(bench.texts).toEqual(['a_n {"n":0}']);
  expect(said(bench).map(({ message }) => message)).toEqual(['aborted: took longer than 20 ms']);
  expect(bench.pool.counters.workersReplaced).toBe(0);
});

test('what was left behind of a run changes nothing once it is over', async () => {
  const bench = await open({
    'leaves.ts': `import { defineHandler } from 'bellhop';
let left;
export default [
  defineHandler({ topic: 'leave', run({ store, send }) {
    store.run\`insert into t values (1)\`;
    left = { store, send };
  } }),
  defineHandler({ topic: 'use', run({ send, store }) {
    const errors = [
      () => left.store.run\`insert into t values (2)\`,
      () => left.store.keys.set('a', 1),
      () => left.store.transaction(() => {}),
      () => left.send('a', 'b'),
    ].map((attempt) => { try { attempt(); return 'worked'; } catch (error) { return error.message.slice(0, 15); } });
    send('a', 'x', [errors, store.all\`select n from t\`]);
  } }),
];`,
    'migrations/0001_t.sql': 'create table t (n integer);',
  });
  await bench.run(command('leave'), command('use'));
  const over = JSON.stringify(Array(4).fill('the run is over'));
  expect(bench.texts).toEqual([`a_x [${over},[{"n":1}]]`]);
});
