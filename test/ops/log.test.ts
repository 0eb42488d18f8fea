import { expect, test } from 'bun:test';
import { Writable } from 'node:stream';
import { BURST_WINDOW_MS, Logger, type LogRecord, type Sink } from '../../core/ops/log.ts';
import { formatJson, formatPretty } from '../../core/ops/log-format.ts';
import { StreamSink } from '../../core/ops/stdout.ts';

/** A logger with its own clock, and what it wrote. */
function logger(burst = 100, level: 'debug' | 'info' | 'warn' = 'info') {
  const records: LogRecord[] = [];
  const clock = { nowMs: 0 };
  const sink: Sink = { write: (record) => records.push(record), flush: async () => {} };
  const log = new Logger({ level, burst, sinks: [sink], now: () => clock.nowMs });
  return { log, records, clock, messages: () => records.map((record) => record.message) };
}

const token = `eyJhbGciOiJIUzI1NiJ9.${'x'.repeat(30)}.${'y'.repeat(43)}`;

test('a record has its time, level, message and the fields that have a value', () => {
  const { log, records } = logger();
  log.warn('refused', { user: 'u', client: undefined, connection: 7 });
  expect(records).toEqual([
    { timeMs: 0, level: 'warn', message: 'refused', fields: { user: 'u', connection: 7 } },
  ]);
});

test('what is less important than the level is not written', () => {
  const { log, messages } = logger(100, 'warn');
  log.debug('a');
  log.info('b');
  log.warn('c');
  log.error('d');
  expect(messages()).toEqual(['c', 'd']);
});

test('fields that are made on demand are made for lines that are written, and for no others', () => {
  const { log, records } = logger(2, 'info');
  let made = 0;
  const fields = () => ({ number: ++made });
  log.debug('run', fields);
  for (let line = 0; line < 5; line++) log.info('run', fields);
  expect(records.map((record) => record.fields)).toEqual([{ number: 1 }, { number: 2 }]);
  expect(made).toBe(2);
});

test('a storm of one kind is written up to the burst, and then counted', () => {
  const { log, records, messages, clock } = logger(3);
  for (let line = 0; line < 1_000; line++) {
    log.warn('refused', { reason: 'NotAuthorized', user: `u${line}` });
  }
  log.warn('refused', { reason: 'QuotaExceeded' });
  log.warn('denied', { reason: 'NotAuthorized' });
  expect(messages()).toEqual(['refused', 'refused', 'refused', 'refused', 'denied']);
  clock.nowMs = BURST_WINDOW_MS;
  log.sweep();
  expect(records.at(-1)).toMatchObject({
    level: 'warn',
    message: 'refused: 997 more like this in 10 s',
    fields: { reason: 'NotAuthorized' },
  });
  log.warn('refused', { reason: 'NotAuthorized' });
  expect(messages().at(-1)).toBe('refused');
});

test('a window that is over is told of by the next line of its kind, without a sweep', () => {
  const { log, messages, clock } = logger(1);
  log.info('a');
  log.info('a');
  clock.nowMs = BURST_WINDOW_MS;
  log.info('a');
  expect(messages()).toEqual(['a', 'a: 1 more like this in 10 s', 'a']);
});

test('flush tells what is withheld', async () => {
  const { log, messages } = logger(1);
  log.info('a');
  log.info('a');
  await log.flush();
  expect(messages()).toEqual(['a', 'a: 1 more like this in 10 s']);
});

test('messages that are all different do not make the logger grow without end, and none is lost', () => {
  const { log, records } = logger(1);
  for (let line = 0; line < 30_000; line++) log.info(`message ${line}`);
  expect(records.length).toBe(30_000);
});

test('a token is masked wherever it stands', () => {
  const { log, records } = logger();
  log.warn(`denied ${token}`, { topic: `a/${token}/b`, client: token, stack: token });
  const written = records.map(formatJson).join('');
  expect(written).toContain('a/[token]/b');
  expect(written).not.toContain('eyJ');
  expect(written).not.toContain('yyyy');
});

test("a field cannot stand in for the line's own time, level or message", () => {
  const { log, records } = logger();
  log.warn('real', { message: 'false', level: 'debug', time: 'never', other: 1 });
  expect(JSON.parse(records.map(formatJson).join(''))).toEqual({
    time: '1970-01-01T00:00:00.000Z',
    level: 'warn',
    message: 'real',
    message_: 'false',
    level_: 'debug',
    time_: 'never',
    other: 1,
  });
});

test('the name of a field stays a name', () => {
  const fields = { 'a=1 b\n': 2 };
  const line = formatPretty({ timeMs: 0, level: 'info', message: 'm', fields }, false);
  expect(line).toBe('00:00:00.000 info  m "a=1 b\\n"=2\n');
});

test('long texts are cut', () => {
  const { log, records } = logger();
  log.warn('x', { topic: 'y'.repeat(100_000) });
  expect(String(records[0]?.fields.topic).length).toBeLessThan(1_000);
});

const hostile = [
  { name: 'line feeds', text: 'a\nb\r\nc' },
  { name: 'NUL and C0', text: '\u0000\u0007\u001b[2J' },
  { name: 'DEL and C1', text: '\u007f\u009b2J\u0085' },
  { name: 'line separators', text: '\u2028\u2029' },
  { name: 'bidirectional controls', text: '\u202e\u2066\u200f' },
  { name: 'quotes and backslashes', text: '"}\\' },
  { name: 'a lone surrogate', text: '\ud800' },
];

test.each(hostile)('$name of a client stay inside their line', ({ text }) => {
  const record: LogRecord = { timeMs: 0, level: 'warn', message: text, fields: { topic: text } };
  const json = formatJson(record);
  const pretty = formatPretty(record, false);
  for (const line of [json, pretty]) {
    expect(line.slice(0, -1)).not.toMatch(/[\p{Cc}\p{Bidi_Control}\u2028\u2029]/u);
    expect(line.endsWith('\n')).toBe(true);
  }
  expect(JSON.parse(json)).toEqual({
    time: '1970-01-01T00:00:00.000Z',
    level: 'warn',
    message: text,
    topic: text,
  });
});

test('a field cannot pass for another one: a name in a value is quoted in pretty lines', () => {
  const fields = { topic: 'a user=admin' };
  expect(formatPretty({ timeMs: 0, level: 'warn', message: 'm', fields }, false)).toBe(
    '00:00:00.000 warn  m topic="a user=admin"\n',
  );
});

test('the sink writes lines in their order, and flush waits for them', async () => {
  const written: string[] = [];
  const stream = new Writable({
    write(chunk, _encoding, done) {
      written.push(String(chunk));
      setImmediate(done);
    },
  });
  const sink = new StreamSink(stream, (record) => `${record.message}\n`);
  for (const message of ['a', 'b']) sink.write({ timeMs: 0, level: 'info', message, fields: {} });
  await sink.flush();
  expect(written).toEqual(['a\n', 'b\n']);
});

test('a reader of the log that stalls costs lines and no memory, and the loss is told', async () => {
  const written: string[] = [];
  let go = (): void => {};
  const stalled = new Promise<void>((resolve) => {
    go = resolve;
  });
  const stream = new Writable({
    async write(chunk, _encoding, done) {
      await stalled;
      written.push(String(chunk));
      done();
    },
  });
  const sink = new StreamSink(
    stream,
    (record) => `${record.message} ${record.fields.lines ?? ''}\n`,
  );
  const line = (message: string): LogRecord => ({ timeMs: 0, level: 'info', message, fields: {} });
  const long = 'x'.repeat(65_536);
  for (let count = 0; count < 1_000; count++) sink.write(line(long));
  expect(stream.writableLength).toBeLessThan(8 * 1024 * 1024);
  go();
  await sink.flush();
  sink.write(line('after'));
  await sink.flush();
  const taken = written.filter((text) => text.startsWith('x')).length;
  expect(written.at(-2)).toBe(
    `log lines dropped: the reader of the log was too slow ${1_000 - taken}\n`,
  );
  expect(written.at(-1)).toBe('after \n');
});

test('a reader of the log that is gone is no error', async () => {
  const stream = new Writable({ write: (_chunk, _encoding, done) => done(new Error('EPIPE')) });
  const sink = new StreamSink(stream, (record) => record.message);
  const record: LogRecord = { timeMs: 0, level: 'info', message: 'a', fields: {} };
  sink.write(record);
  await sink.flush();
  sink.write(record);
  await sink.flush();
});
