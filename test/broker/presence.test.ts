/** The hooks `connect` and `disconnect`: who is told of whom, in which order, and what a restart knows. */
import { expect, test } from 'bun:test';
import { ReasonCode } from '../../core/mqtt/reason-code.ts';
import { publishPacket } from '../client.ts';
import { Harness, START } from '../harness.ts';
import { arrive, identityOf, join, stay } from '../hostile/company.ts';
import { crash, presence, take, told } from './hooks.ts';

function watched(options = { durable: true }): Harness {
  const harness = new Harness(options);
  harness.wants('connect', 'disconnect');
  return harness;
}

test('a device that comes and goes is told, as its own publisher, and to handlers alone', () => {
  const harness = watched();
  const ears = join(harness, { user: 'staff', role: 'admin', client: 'ears' });
  ears.subscribe(['#', '$hook/#']);
  const phone = join(harness, { user: '1', client: 'phone' });
  harness.advance(5_000);
  phone.disconnect();
  const [connect, disconnect] = take(harness);
  expect(connect).toMatchObject({
    topic: '$hook/connect',
    qos: 1,
    retain: false,
    reach: 0,
    publisher: { user: '1', clientIdentifier: 'phone', device: true },
  });
  expect(disconnect).toMatchObject({ topic: '$hook/disconnect' });
  harness.handled.push(connect as never, disconnect as never);
  expect(presence(harness)).toEqual([
    {
      event: 'connect',
      number: START * 1_000,
      takeover: false,
      at: START,
      user: '1',
      client: 'phone',
    },
    {
      event: 'disconnect',
      number: (START + 5_000) * 1_000,
      takeover: false,
      at: START + 5_000,
      user: '1',
      client: 'phone',
    },
  ]);
  expect(ears.texts()).toEqual([]);
});

test('it is a stored command: on disk until handlers are done with it', () => {
  const harness = watched();
  join(harness);
  expect(harness.kept.map(({ kind }) => kind)).toEqual(['message', 'command', 'present']);
});

test('handlers and admins are nobody’s phone', () => {
  const harness = watched();
  join(harness, { role: 'handler', client: 'h' }).disconnect();
  join(harness, { role: 'admin', client: 'a' }).disconnect();
  expect(told(harness)).toEqual([]);
  expect(harness.kept).toEqual([]);
});

test('a device with grants of its own is a device', () => {
  const harness = watched();
  join(harness, { publish: ['x'], subscribe: ['y'] });
  expect(told(harness)).toEqual(['connect 1/phone']);
});

test('nothing is made while nobody wants it', () => {
  const harness = new Harness({ durable: true });
  join(harness).disconnect();
  join(harness, { client: 'other' }).lose();
  expect(harness.handled).toEqual([]);
  expect(harness.kept).toEqual([]);
});

test('each hook for itself', () => {
  const harness = new Harness({ durable: true });
  harness.wants('connect');
  join(harness).disconnect();
  expect(told(harness)).toEqual(['connect 1/phone']);
  harness.wants('disconnect');
  join(harness).disconnect();
  expect(told(harness)).toEqual(['disconnect 1/phone']);
});

test('a plugin that comes later is told of what happens from then on, and of a crash', () => {
  const harness = new Harness({ durable: true });
  join(harness, { client: 'stays' });
  const leaves = join(harness, { client: 'leaves' });
  harness.wants('connect', 'disconnect');
  expect(told(harness)).toEqual([]);
  leaves.disconnect();
  expect(told(harness)).toEqual(['disconnect 1/leaves']);
  expect(told(crash(harness, 'disconnect'))).toContain('disconnect 1/stays');
});

test('a plugin that goes leaves nothing in the file', () => {
  const harness = watched();
  join(harness, { client: 'stays' });
  harness.wants();
  take(harness);
  const next = crash(harness, 'connect', 'disconnect');
  expect(told(next).filter((event) => event.startsWith('disconnect'))).toEqual([]);
});

test('a refused CONNECT is no connect', () => {
  const harness = watched();
  const client = arrive(harness, { expiresAtMs: START - 1 });
  expect(client.connect().reasonCode).toBe(ReasonCode.NotAuthorized);
  client.lose();
  harness.holdVerdicts = true;
  const waiting = arrive(harness, { client: 'waiting' });
  waiting.send(waiting.connectPacket());
  waiting.lose();
  harness.verdicts();
  expect(told(harness)).toEqual([]);
});

test('however a connection ends, it ends once', () => {
  const harness = watched();
  const ends = [
    (client: ReturnType<typeof join>) => client.disconnect(),
    (client: ReturnType<typeof join>) => client.lose(),
    (client: ReturnType<typeof join>) => client.raw('ff ff ff ff ff'),
    (client: ReturnType<typeof join>) => client.disconnect({ reasonCode: 0x04 }),
    () => harness.advanceSeconds(90), // Keep Alive
    () => harness.advanceSeconds(3_600), // its token
  ];
  for (const [index, end] of ends.entries()) {
    const keepAliveSeconds = index === 4 ? 60 : 0;
    const expiresAtMs = harness.now + 600_000;
    const client = join(harness, { expiresAtMs }, { keepAliveSeconds });
    end(client);
    client.lose();
    expect(told(harness)).toEqual(['connect 1/phone', 'disconnect 1/phone']);
  }
});

test('a takeover: the old connection is told as gone before the new one as there', () => {
  const harness = watched();
  for (const cleanStart of [true, false]) {
    const old = stay(harness);
    told(harness);
    join(harness, {}, { cleanStart });
    const events = presence(harness);
    expect(events.map(({ event, takeover }) => [event, takeover])).toEqual([
      ['disconnect', true],
      ['connect', true],
    ]);
    expect(events[0]?.number).toBeLessThan(events[1]?.number ?? 0);
    old.lose();
    expect(told(harness)).toEqual([]);
  }
});

test('a client that says itself that its session was taken over was not', () => {
  const harness = watched();
  join(harness).disconnect({ reasonCode: ReasonCode.SessionTakenOver });
  expect(told(harness).at(-1)).toBe('disconnect 1/phone');
});

test('the same Client Identifier of another user is another client', () => {
  const harness = watched();
  join(harness, { user: '1' });
  join(harness, { user: '2' });
  expect(told(harness)).toEqual(['connect 1/phone', 'connect 2/phone']);
});

test('numbers grow, also where much happens within a millisecond and where the clock goes back', () => {
  const harness = watched();
  const numbers: number[] = [];
  for (let n = 0; n < 50; n++) {
    join(harness, { client: `${n % 3}` });
    if (n === 25) harness.now -= 10_000;
    numbers.push(...presence(harness).map(({ number }) => number));
  }
  expect(numbers.length).toBeGreaterThan(90);
  for (const [index, number] of numbers.entries()) {
    expect(Number.isSafeInteger(number)).toBe(true);
    if (index > 0) expect(number).toBeGreaterThan(numbers[index - 1] as number);
  }
});

test('numbers grow over restarts: by the time, and with storage though the clock was set back', () => {
  const first = watched();
  join(first);
  const [before] = presence(first);
  const memory = watched({ durable: false });
  memory.now += 1;
  join(memory);
  expect(presence(memory)[0]?.number).toBeGreaterThan(before?.number ?? 0);
  first.now -= 3_600_000;
  const next = crash(first, 'connect', 'disconnect');
  join(next);
  const [restored, ...after] = presence(next);
  expect(restored).toEqual(before);
  expect(after.map(({ event }) => event)).toEqual(['disconnect', 'connect']);
  for (const { number } of after) expect(number).toBeGreaterThan(before?.number ?? 0);
});

test('whoever was connected when the process died is told as gone, stored session or not', () => {
  const harness = watched();
  join(harness, { client: 'plain' });
  stay(harness, { client: 'stored' });
  join(harness, { client: 'gone' }).disconnect();
  take(harness);
  const next = crash(harness, 'connect', 'disconnect');
  const events = told(next);
  // First what was stored and no handler was done with, then what the start makes of it.
  expect(events.slice(0, 4)).toEqual([
    'connect 1/plain',
    'connect 1/stored',
    'connect 1/gone',
    'disconnect 1/gone',
  ]);
  expect(events.slice(4).sort()).toEqual(['disconnect 1/plain', 'disconnect 1/stored']);
  // Once.
  const third = crash(next, 'disconnect');
  expect(told(third).filter((event) => event === 'disconnect 1/plain').length).toBe(1);
});

test('they are told as gone when a plugin wants to know, though it does not load at the start', () => {
  const harness = watched();
  join(harness, { client: 'back' });
  join(harness, { client: 'away' });
  const next = crash(harness);
  take(next);
  const back = join(next, { client: 'back' });
  expect(told(next)).toEqual([]);
  next.wants('connect', 'disconnect');
  expect(told(next)).toEqual(['disconnect 1/away']);
  back.disconnect();
  expect(told(next)).toEqual(['disconnect 1/back']);
});

test('without storage nobody knows who was connected', () => {
  const harness = watched({ durable: false });
  join(harness);
  expect(told(harness)).toEqual(['connect 1/phone']);
  expect(harness.kept).toEqual([]);
});

test('a shutdown in good order tells of everybody', () => {
  const harness = watched();
  join(harness, { client: 'a' });
  stay(harness, { client: 'b' });
  take(harness);
  harness.shutDown();
  expect(told(harness)).toEqual(['disconnect 1/a', 'disconnect 1/b']);
  const next = crash(harness, 'connect', 'disconnect');
  expect(told(next).filter((event) => event === 'disconnect 1/a')).toHaveLength(1);
});

test('a new token may make a device of what was none, and the other way round', () => {
  const harness = watched();
  const client = join(harness, { role: 'handler' });
  expect(told(harness)).toEqual([]);
  const renew = (role: 'device' | 'handler') => {
    client.publish('$token', harness.accept(identityOf({ role })), { qos: 1 });
    return told(harness);
  };
  expect(renew('device')).toEqual(['connect 1/phone']);
  expect(renew('device')).toEqual([]);
  expect(renew('handler')).toEqual(['disconnect 1/phone']);
  client.disconnect();
  expect(told(harness)).toEqual([]);
});

test('while the disk fails events are handed over and not kept, so that they do not pile up', () => {
  const harness = watched();
  harness.broker.storage(
    { reasonCode: ReasonCode.QuotaExceeded, detail: 'the disk is full' },
    harness.now,
  );
  join(harness).disconnect();
  expect(told(harness)).toEqual(['connect 1/phone', 'disconnect 1/phone']);
  expect(harness.kept.map(({ kind }) => kind)).toEqual(['present', 'absent']);
});

test('while the disk fails an event does not overtake those that wait for it, and they are told once', () => {
  const harness = watched();
  harness.handles('do');
  harness.holdStorage = true;
  const phone = join(harness);
  phone.send(publishPacket('do', 'this', { qos: 1, packetIdentifier: 1 }));
  expect(take(harness)).toEqual([]);
  harness.broker.storage(
    { reasonCode: ReasonCode.QuotaExceeded, detail: 'the disk is full' },
    harness.now,
  );
  phone.lose();
  expect(harness.handled.map(({ topic }) => topic as string)).toEqual([
    '$hook/connect',
    '$hook/disconnect',
  ]);
  harness.handled.length = 0;
  harness.broker.storage(undefined, harness.now);
  harness.store();
  expect(harness.handled.map(({ topic }) => topic as string)).toEqual(['do']);
  expect(told(crash(harness, 'connect', 'disconnect'))).toEqual([]);
});
