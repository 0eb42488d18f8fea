import { describe, expect, test } from 'bun:test';
import type { Identity } from '../../core/auth/rights.ts';
import type { Verification } from '../../core/broker/outbox.ts';
import type { Message } from '../../core/mqtt/packet.ts';
import { ReasonCode } from '../../core/mqtt/reason-code.ts';
import type { TopicName } from '../../core/mqtt/topic.ts';
import { SteadyClock } from '../../core/net/clock.ts';
import type { Transport } from '../../core/net/link.ts';
import type { Verdict } from '../../core/net/verdicts.ts';
import { stage } from './fake-broker.ts';

const origin = { transport: 'mqtt', address: '192.0.2.1' } as const;
const bytes = (...values: number[]) => Uint8Array.from(values);
const settled = () => new Promise<void>((resolve) => setImmediate(resolve));

/** A socket that takes as much as the test allows. */
class FakeSocket implements Transport {
  room = Number.POSITIVE_INFINITY;
  readonly writes: Uint8Array[] = [];
  readonly acts: string[] = [];
  acted: (act: string) => void = () => {};

  write(from: Uint8Array, offset: number, length: number): number {
    const taken = Math.min(length, this.room);
    this.room -= taken;
    this.writes.push(from.slice(offset, offset + taken));
    return taken;
  }
  shutdown(): void {
    this.#act('shutdown');
  }
  terminate(): void {
    this.#act('terminate');
  }
  pause(): void {
    this.#act('pause');
  }
  resume(): void {
    this.#act('resume');
  }
  setKeepAlive(_enable: true, idleMs: number): void {
    this.#act(`probe after ${idleMs} ms`);
  }

  /** Resolves at the next thing that is done to it. */
  nextAct(): Promise<string> {
    return new Promise((resolve) => {
      this.acted = resolve;
    });
  }

  #act(act: string): void {
    this.acts.push(act);
    this.acted(act);
  }
}

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

const identity: Identity = {
  user: 'u',
  role: 'device',
  expiresAtMs: 2_000_000_000_000,
  grants: undefined,
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
        expect(turn.sent(command)).toBeUndefined();
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

describe('closing', () => {
  test('what was sent is flushed, our side ends, and nothing more is read or told', async () => {
    const { turn, broker } = stage();
    const socket = new FakeSocket();
    const link = turn.opened(socket, origin);
    broker.on = (call) => {
      if (call.call !== 'received') return;
      broker.outbox.pause(link.id);
      if (broker.count('received') < 2) return;
      broker.outbox.send(link.id, bytes(1, 2));
      broker.outbox.close(link.id);
      broker.outbox.send(link.id, bytes(3));
    };
    for (let count = 0; count < 4; count++) turn.received(link, bytes(0));
    await settled();
    expect(socket.writes).toEqual([bytes(1, 2)]);
    expect(socket.acts).toEqual(['pause', 'resume', 'shutdown']);
    turn.lost(link);
    expect(broker.calls.map((call) => call.call)).toEqual(['opened', 'received', 'received']);
    expect(turn.sockets).toBe(0);
  });

  test('our side ends only when the socket has taken all', async () => {
    const { turn, broker } = stage();
    const socket = new FakeSocket();
    socket.room = 1;
    const link = turn.opened(socket, origin);
    broker.outbox.send(link.id, bytes(1, 2));
    broker.outbox.close(link.id);
    await settled();
    expect(socket.acts).toEqual([]);
    socket.room = 1;
    turn.drained(link);
    await settled();
    expect(socket.acts).toEqual(['shutdown']);
    expect(Buffer.concat(socket.writes)).toEqual(Buffer.of(1, 2));
  });

  test('a peer that reads nothing is cut', async () => {
    const { turn, broker } = stage({ closeTimeoutMs: 10 });
    const socket = new FakeSocket();
    socket.room = 0;
    const link = turn.opened(socket, origin);
    broker.outbox.send(link.id, bytes(1));
    broker.outbox.close(link.id);
    expect(await socket.nextAct()).toBe('terminate');
    expect([turn.counters.cut, turn.sockets, turn.lingering]).toEqual([1, 0, 0]);
    turn.lost(link); // the socket says so, later
    expect(turn.lingering).toBe(0);
  });

  test('a peer that reads and never ends is cut', async () => {
    const { turn, broker } = stage({ closeTimeoutMs: 10 });
    const socket = new FakeSocket();
    const link = turn.opened(socket, origin);
    broker.outbox.close(link.id);
    expect(await socket.nextAct()).toBe('shutdown');
    expect(await socket.nextAct()).toBe('terminate');
    expect(broker.count('lost')).toBe(0);
  });

  test('no more than so many linger: the first to close is cut', async () => {
    const { turn, broker } = stage({ maximumLingering: 2 });
    const sockets = [new FakeSocket(), new FakeSocket(), new FakeSocket(), new FakeSocket()];
    const links = sockets.map((socket) => turn.opened(socket, origin));
    for (const { id } of links.slice(0, 2)) broker.outbox.close(id);
    const [first] = links;
    if (first !== undefined) turn.lost(first); // ended by itself, and makes room
    for (const { id } of links.slice(2)) broker.outbox.close(id);
    await settled();
    expect(sockets.map((socket) => socket.acts)).toEqual([
      [],
      ['terminate'],
      ['shutdown'],
      ['shutdown'],
    ]);
    turn.stop();
  });

  test('a shutdown ends all, however many, and tells when the last is gone', async () => {
    const { turn, broker } = stage({ maximumLingering: 1 });
    const sockets = [new FakeSocket(), new FakeSocket(), new FakeSocket()];
    const links = sockets.map((socket) => turn.opened(socket, origin));
    const empty = turn.empty();
    turn.shutDown();
    await settled();
    expect(sockets.map((socket) => socket.acts)).toEqual([
      ['shutdown'],
      ['shutdown'],
      ['shutdown'],
    ]);
    for (const link of links) turn.lost(link);
    await empty;
    await turn.empty();
    expect(broker.count('lost')).toBe(0);
  });

  test('stopping cuts what is left', () => {
    const { turn, broker } = stage();
    const [open, closing] = [new FakeSocket(), new FakeSocket()];
    turn.opened(open, origin);
    broker.outbox.close(turn.opened(closing, origin).id);
    turn.stop();
    expect([open.acts, closing.acts]).toEqual([['terminate'], ['terminate']]);
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
    turn.arrived(message);
    expect(turn.sent(message)).toBe('internal error');
    turn.handles([], []);
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
    turn.handles([], []);
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
    turn.handles([], []);
    await broker.until(() => broker.deadline === undefined);
    const passed = broker.calls.findLast((call) => call.call === 'passed');
    expect(passed?.call === 'passed' && passed.now >= due).toBe(true);
  });

  test('one that moved closer is kept, and one that moved away does no harm', async () => {
    const { turn, broker } = stage();
    broker.deadline = Date.now() + 3_600_000;
    turn.handles([], []);
    await settled();
    broker.deadline = Date.now() + 10;
    turn.handles([], []);
    await settled();
    broker.deadline = Date.now() + 30;
    turn.handles([], []);
    await broker.until(() => broker.deadline === undefined);
    turn.stop();
  });

  test('one that is further away than a timer reaches waits', async () => {
    const { turn, broker } = stage();
    broker.deadline = Date.now() + 100 * 24 * 3_600_000;
    turn.handles([], []);
    await settled();
    await settled();
    expect(broker.count('passed')).toBe(0);
    turn.stop();
  });
});

describe('tokens', () => {
  test('verdicts that are ready together reach the broker in one turn', async () => {
    const asked: ((verdict: Verdict) => void)[] = [];
    const tokens: string[] = [];
    const { turn, broker } = stage({
      verify: (token) => {
        tokens.push(token);
        return new Promise((resolve) => asked.push(resolve));
      },
    });
    const links = [0, 1, 2].map(() => turn.opened(new FakeSocket(), origin));
    for (const { id } of links) broker.outbox.verify(id, `token ${id}`);
    await settled();
    expect(tokens).toEqual(links.map(({ id }) => `token ${id}`));
    const refusal = {
      kind: 'refuse',
      reasonCode: ReasonCode.NotAuthorized,
      detail: 'token expired',
    } as const;
    asked[0]?.({ kind: 'accept', identity });
    asked[1]?.(refusal);
    asked[2]?.(refusal);
    if (links[2] !== undefined) turn.lost(links[2]); // has nobody to tell any more
    await broker.until(() => broker.count('verified') === 2);
    await settled();
    const results = broker.calls.flatMap((call): Verification[] =>
      call.call === 'verified' ? [call.result] : [],
    );
    expect(results).toEqual([
      { kind: 'accept', connection: links[0]?.id ?? 0, identity },
      { ...refusal, connection: links[1]?.id ?? 0 },
    ]);
  });

  test('a verifier that throws refuses, and is reported', async () => {
    const { turn, broker, events } = stage();
    const link = turn.opened(new FakeSocket(), origin);
    broker.outbox.verify(link.id, 'x');
    await broker.until(() => broker.count('verified') === 1);
    expect(broker.calls.at(-1)).toMatchObject({
      result: { kind: 'refuse', reasonCode: ReasonCode.ServerUnavailable, connection: link.id },
    });
    expect(events.map((event) => event.kind)).toEqual(['fault']);
  });

  test('an expiry is brought from the wall clock to that of the broker', async () => {
    let wall = 1_800_000_000_000;
    const clock = new SteadyClock(
      () => performance.now(),
      () => wall,
    );
    const { turn, broker } = stage({
      clock,
      verify: () => Promise.resolve({ kind: 'accept', identity }),
    });
    const link = turn.opened(new FakeSocket(), origin);
    wall += 3_600_000;
    broker.outbox.verify(link.id, 'x');
    await broker.until(() => broker.count('verified') === 1);
    const verified = broker.calls.find((call) => call.call === 'verified');
    if (verified?.call !== 'verified' || verified.result.kind !== 'accept')
      throw new Error('not accepted');
    const left = verified.result.identity.expiresAtMs - clock.now();
    expect(Math.abs(left - (identity.expiresAtMs - wall))).toBeLessThan(1_000);
  });
});
