/** Turns: what comes together is settled together, and a bug costs one connection. */
import { describe, expect, test } from 'bun:test';
import type { Message } from '../../core/mqtt/packet.ts';
import type { TopicName } from '../../core/mqtt/topic.ts';
import { stage } from './fake-broker.ts';
import { bytes, FakeSocket, origin, settled } from './fake-socket.ts';

const message: Message = {
  topic: 'request_contact' as TopicName,
  payload: bytes(1),
  qos: 0,
  retain: false,
  properties: undefined,
  expiresAtMs: Number.POSITIVE_INFINITY,
  publisher: { user: 'u', clientIdentifier: 'c', device: true },
  reach: 0,
};

describe('a turn', () => {
  test('all that comes in one poll leaves in one write to each connection', async () => {
    const { turn, broker } = stage();
    const sockets = [new FakeSocket(), new FakeSocket(), new FakeSocket()];
    const links = sockets.map((socket) => turn.opened(socket, origin));
    broker.on = (call, got) => {
      if (call.call !== 'received' || got === undefined) return;
      for (const { id } of links) broker.outbox.send(id, got);
    };
    for (const [index, link] of links.entries()) turn.received(link, bytes(index));
    expect(sockets.map((socket) => socket.writes.length)).toEqual([0, 0, 0]);
    await settled();
    for (const socket of sockets) expect(socket.writes).toEqual([bytes(0, 1, 2)]);
  });

  test('the broker is told how much of what it sent still waits, and when none does', async () => {
    const { turn, broker } = stage();
    const socket = new FakeSocket();
    const link = turn.opened(socket, origin);
    socket.room = 3;
    broker.on = (call) => {
      if (call.call === 'received') broker.outbox.send(link.id, bytes(1, 2, 3, 4, 5));
    };
    turn.received(link, bytes(0));
    await settled();
    expect(broker.calls.at(-1)).toEqual({
      call: 'flushed',
      connection: link.id,
      waitingBytes: 2,
    });
    socket.room = 100;
    turn.drained(link);
    await settled();
    expect(broker.calls.at(-1)).toEqual({
      call: 'flushed',
      connection: link.id,
      waitingBytes: 0,
    });
    expect(Buffer.concat(socket.writes)).toEqual(Buffer.of(1, 2, 3, 4, 5));
  });

  test('what the broker sends when it hears of a drain leaves in the same turn', async () => {
    const { turn, broker } = stage();
    const socket = new FakeSocket();
    const link = turn.opened(socket, origin);
    let more = 3;
    broker.on = (call) => {
      if (call.call === 'received') broker.outbox.send(link.id, bytes(9));
      if (call.call === 'flushed' && more-- > 0) broker.outbox.send(link.id, bytes(more));
    };
    turn.received(link, bytes(0));
    await settled();
    expect(Buffer.concat(socket.writes)).toEqual(Buffer.of(9, 2, 1, 0));
  });

  test('a call that sends more than a turn may hold is written before it is through', async () => {
    const { turn, broker } = stage();
    const socket = new FakeSocket();
    const link = turn.opened(socket, origin);
    let writtenInside = 0;
    const block = new Uint8Array(1_000_000);
    broker.on = (call) => {
      if (call.call !== 'received') return;
      for (let index = 0; index < 40; index++) broker.outbox.share(link.id, block);
      writtenInside = socket.writes.length;
    };
    turn.received(link, bytes(0));
    expect(writtenInside).toBeGreaterThan(30);
    expect(broker.count('flushed')).toBe(1); // behind the call, not in it
    await settled();
    expect(Buffer.concat(socket.writes).length).toBe(40_000_000);
  });

  test('what is sent to a connection that is gone goes nowhere', async () => {
    const { turn, broker } = stage();
    const socket = new FakeSocket();
    const link = turn.opened(socket, origin);
    turn.lost(link);
    turn.lost(link);
    for (const note of ['send', 'share'] as const) broker.outbox[note](link.id, bytes(1));
    for (const note of ['close', 'pause', 'resume'] as const) broker.outbox[note](link.id);
    await settled();
    expect(socket.writes).toEqual([]);
    expect(socket.acts).toEqual([]);
    expect(broker.count('lost')).toBe(1);
  });

  test('reading is stopped once bytes come that nobody waits for, and taken up again', () => {
    const { turn, broker } = stage();
    const socket = new FakeSocket();
    const link = turn.opened(socket, origin);
    turn.received(link, bytes(0));
    for (const note of ['resume', 'pause', 'pause'] as const) broker.outbox[note](link.id);
    expect(socket.acts).toEqual([]);
    turn.received(link, bytes(1));
    turn.received(link, bytes(2)); // was on its way
    expect(socket.acts).toEqual(['pause']);
    for (const note of ['resume', 'resume'] as const) broker.outbox[note](link.id);
    expect(socket.acts).toEqual(['pause', 'resume']);
    turn.received(link, bytes(3));
    expect(socket.acts).toEqual(['pause', 'resume']);
    expect(broker.count('received')).toBe(4);
  });

  test.each([
    [60_000, ['probe after 60000 ms']],
    [0, []],
  ])(
    'a peer is probed by TCP after %p ms where the broker asks for it, and never at 0',
    (tcpKeepAliveMs, acts) => {
      const { turn, broker } = stage({ tcpKeepAliveMs });
      const socket = new FakeSocket();
      const link = turn.opened(socket, origin);
      broker.outbox.probe(link.id);
      expect(socket.acts).toEqual(acts);
    },
  );

  test('commands are handed over behind the broker, and their handler may send at once', async () => {
    const handled: Message[] = [];
    let inside = false;
    const { turn, broker, events } = stage({
      handle(command) {
        expect(inside).toBe(false);
        handled.push(command);
        expect(turn.inside.sent(command)).toBeUndefined();
        throw new Error('the pool is broken');
      },
    });
    const link = turn.opened(new FakeSocket(), origin);
    broker.on = (call) => {
      if (call.call !== 'received') return;
      inside = true;
      broker.outbox.handle(message, 0, undefined);
      broker.outbox.handle(message, 0, undefined);
      inside = false;
    };
    turn.received(link, bytes(0));
    expect(handled).toEqual([]);
    await settled();
    expect(handled).toEqual([message, message]);
    expect(events.map((event) => event.kind)).toEqual(['fault', 'fault']);
    expect(link.state).toBe('open');
  });
});

describe('a bug', () => {
  test('in the broker ends the connection that it happened on, and no other', async () => {
    const { turn, broker, events } = stage();
    const [bad, good] = [new FakeSocket(), new FakeSocket()];
    const badLink = turn.opened(bad, origin);
    const goodLink = turn.opened(good, origin);
    broker.on = (call, got) => {
      if (call.call !== 'received' || got === undefined) return;
      if (call.connection === badLink.id) throw new Error('assertion failed');
      broker.outbox.send(call.connection, got);
    };
    turn.received(badLink, bytes(1));
    turn.received(badLink, bytes(2));
    turn.received(goodLink, bytes(3));
    await settled();
    expect(bad.acts).toEqual(['shutdown']);
    expect(good.writes).toEqual([bytes(3)]);
    expect(broker.calls).toContainEqual({ call: 'lost', connection: badLink.id });
    expect(turn.counters.faults).toBe(1);
    expect(events).toMatchObject([{ kind: 'fault', party: { connection: badLink.id } }]);
  });

  test('in every entry point is survived', async () => {
    const { turn, broker, events } = stage();
    const link = turn.opened(new FakeSocket(), origin);
    broker.on = () => {
      throw 'not even an Error';
    };
    turn.received(link, bytes(1));
    turn.opened(new FakeSocket(), origin);
    for (const name of ['arrived', 'sent', 'handles', 'shutDown'] as const)
      Object.defineProperty(broker, name, {
        value: () => {
          throw new Error(name);
        },
      });
    turn.inside.arrived(message);
    expect(turn.inside.sent(message)).toBe('internal error');
    turn.inside.handles([], []);
    turn.shutDown();
    await settled();
    // The first two on the connection and again as it is given up.
    expect(events.map((event) => (event.kind === 'fault' ? event.error.message : ''))).toEqual([
      ...Array<string>(4).fill('not even an Error'),
      'arrived',
      'sent',
      'handles',
      'shutDown',
    ]);
  });

  test('in a deadline is tried again only after a pause', async () => {
    const { turn, broker } = stage();
    broker.deadline = Date.now() - 1;
    const calledAt: number[] = [];
    const twice = Promise.withResolvers<void>();
    broker.passed = () => {
      calledAt.push(performance.now());
      if (calledAt.length === 2) twice.resolve();
      throw new Error('again and again');
    };
    turn.inside.handles([], []);
    await twice.promise;
    const [first = 0, second = 0] = calledAt;
    expect(second - first).toBeGreaterThan(900);
    turn.stop();
  });
});

describe('deadlines', () => {
  test('the broker is woken when the next one has come', async () => {
    const { turn, broker } = stage();
    const due = Date.now() + 20;
    broker.deadline = due;
    turn.inside.handles([], []);
    await broker.until(() => broker.deadline === undefined);
    const passed = broker.calls.findLast((call) => call.call === 'passed');
    expect(passed?.call === 'passed' && passed.now >= due).toBe(true);
  });

  test('one that moved closer is kept, and one that moved away does no harm', async () => {
    const { turn, broker } = stage();
    broker.deadline = Date.now() + 3_600_000;
    turn.inside.handles([], []);
    await settled();
    broker.deadline = Date.now() + 10;
    turn.inside.handles([], []);
    await settled();
    broker.deadline = Date.now() + 30;
    turn.inside.handles([], []);
    await broker.until(() => broker.deadline === undefined);
    turn.stop();
  });

  test('one that is further away than a timer reaches waits', async () => {
    const { turn, broker } = stage();
    broker.deadline = Date.now() + 100 * 24 * 3_600_000;
    turn.inside.handles([], []);
    await settled();
    await settled();
    expect(broker.count('passed')).toBe(0);
    turn.stop();
  });
});
