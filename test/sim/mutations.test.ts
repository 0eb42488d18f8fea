/**
 * The checks of the simulation can fail: each test breaks something on purpose, once in a while, in
 * what the broker sends, in what it is told, or in a structure of the core, and a run must find it.
 */
import { describe, expect, test } from 'bun:test';
import type { Grants } from '../../core/auth/rights.ts';
import type { Broker } from '../../core/broker/broker.ts';
import { Deadlines } from '../../core/broker/deadlines.ts';
import { WillMessage } from '../../core/broker/will.ts';
import type { Publish } from '../../core/mqtt/packet.ts';
import { ReasonCode } from '../../core/mqtt/reason-code.ts';
import { RetainedTree } from '../../core/routing/retained-tree.ts';
import { SharedGroup } from '../../core/routing/shared-group.ts';
import { Inbound } from '../../core/session/inbound.ts';
import { Outbound } from '../../core/session/outbound.ts';
import { Queue } from '../../core/session/queue.ts';
import { Failure } from './failure.ts';
import type { Note, Tamper } from './notes.ts';
import { Random } from './random.ts';
import { makeScenario, people, type Scenario } from './scenario.ts';
import { type Sabotage, simulate } from './simulation.ts';

/** Seeds that may pass before a mutation must have been found. */
const PATIENCE = 150;

/** What the first run that finds anything says; fails where none does. */
function found(sabotage: Sabotage): string {
  for (let seed = 1; seed <= PATIENCE; seed++) {
    try {
      simulate(seed, sabotage);
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      return error.message.split('\n')[0] as string;
    }
  }
  throw new Error(`not found in ${PATIENCE} runs`);
}

type PacketNote = Note & { readonly kind: 'packet' };
type PublishNote = PacketNote & { readonly packet: Publish };

/** Breaks one in ten of the notes that `fits`. */
function tampering<N extends Note>(
  fits: (note: Note) => note is N,
  change: (note: N) => readonly Note[],
): Sabotage {
  return {
    tamper: (random: Random): Tamper => {
      return (note) => (fits(note) && random.chance(0.1) ? change(note) : [note]);
    },
  };
}

const isPacket =
  (type: string) =>
  (note: Note): note is PacketNote =>
    note.kind === 'packet' && note.packet.type === type;
const isPublish = (note: Note): note is PublishNote =>
  note.kind === 'packet' && note.packet.type === 'publish';
const isReliable = (note: Note): note is PublishNote => isPublish(note) && note.packet.qos > 0;
const isAgain = (note: Note): note is PublishNote => isPublish(note) && note.packet.dup;
const with_ = (note: PublishNote, change: Partial<Publish>): readonly Note[] => [
  { ...note, packet: { ...note.packet, ...change } },
];

/** A world of three, two of them admins, in which `$SYS` is published. */
function withSystem(): Scenario {
  const { limits, policy } = makeScenario(new Random(1));
  const clients = [...people.slice(-2), ...people.slice(-1)].map((person, index) => {
    return { person, clientIdentifier: `c${index}`, version: 5 as const, sharedFilter: undefined };
  });
  return { clients, policy, limits: { ...limits, sysIntervalSeconds: 10 } };
}

describe('what the broker sends', () => {
  test('a message of QoS 1 or 2 that never leaves', () => {
    expect(found(tampering(isReliable, () => []))).toMatch(
      /lost|never came|in flight|out of order|unacknowledged|still queued/,
    );
  });

  test('a message of QoS 0 that never leaves, though its reader is quick', () => {
    const isUnreliable = (note: Note): note is PublishNote =>
      isPublish(note) && note.packet.qos === 0;
    expect(found(tampering(isUnreliable, () => []))).toMatch(/not sent|Topic Alias/);
  });

  test('a reading of `$SYS` that never leaves, one that is nonsense, and one that differs from another', () => {
    const isReading = (note: Note): note is PublishNote =>
      isPublish(note) && note.packet.topic.startsWith('$SYS/');
    const say = (payload: string) => (note: PublishNote) =>
      with_(note, { payload: new TextEncoder().encode(payload) });
    const scenario = withSystem();
    expect(found({ ...tampering(isReading, () => []), scenario })).toMatch(/not sent|Topic Alias/);
    expect(found({ ...tampering(isReading, say('?')), scenario })).toMatch(/PUBLISH \? on/);
    expect(found({ ...tampering(isReading, say('999999')), scenario })).toMatch(/PUBLISH 999999/);
  });

  test('a message that leaves twice', () => {
    expect(found(tampering(isPublish, (note) => [note, note]))).toMatch(
      /sent already|identifier \d+ is in use|is for others/,
    );
  });

  test('two messages of one publisher, topic and QoS that change places', () => {
    const tamper = (): Tamper => {
      const held = new Map<string, Note>();
      return (note) => {
        if (!isReliable(note)) return [note];
        const stream = `${note.connection} ${note.packet.topic} ${note.packet.qos}`;
        const before = held.get(stream);
        held.delete(stream);
        if (before !== undefined) return [note, before];
        held.set(stream, note);
        return [];
      };
    };
    expect(found({ tamper })).toMatch(/./);
  });

  test('a message that reaches somebody else as well', () => {
    const tamper = (random: Random): Tamper => {
      const connections = new Set<number>();
      return (note) => {
        if (isPacket('connack')(note)) connections.add(note.connection);
        if (note.kind === 'close') connections.delete(note.connection);
        if (!isPublish(note) || !random.chance(0.1)) return [note];
        return [note, { ...note, connection: random.pick([...connections]) }];
      };
    };
    expect(found({ tamper })).toMatch(
      /is for others|sent already|no connection|in use|Topic Alias|again|over \d+|right to it/,
    );
  });

  test('an old message sent again without DUP', () => {
    expect(found(tampering(isAgain, (note) => with_(note, { dup: false })))).toMatch(
      /sent already|is in use|is sent before|is for others/,
    );
  });

  test('a message under a Packet Identifier that is taken', () => {
    expect(found(tampering(isReliable, (note) => with_(note, { packetIdentifier: 1 })))).toMatch(
      /in use by|unacknowledged|in flight/,
    );
  });

  test('a message of another QoS, with RETAIN, or without its Subscription Identifiers', () => {
    const qos = tampering(isReliable, (note) =>
      with_(note, { qos: note.packet.qos === 1 ? 2 : 1 }),
    );
    expect(found(qos)).toMatch(/PUBLISH|unacknowledged/);
    const retain = tampering(isPublish, (note) => with_(note, { retain: !note.packet.retain }));
    expect(found(retain)).toMatch(/PUBLISH|unacknowledged/);
    const identified = (note: Note): note is PublishNote =>
      isPublish(note) && note.packet.subscriptionIdentifiers !== undefined;
    const bare = tampering(identified, (note) =>
      with_(note, { subscriptionIdentifiers: undefined }),
    );
    expect(found(bare)).toMatch(/PUBLISH|unacknowledged/);
  });

  test('a message without the stamp that says who said it', () => {
    const isStamped = (note: Note): note is PublishNote =>
      isPublish(note) && note.packet.properties?.userProperties !== undefined;
    expect(found(tampering(isStamped, (note) => with_(note, { properties: undefined })))).toMatch(
      /who said it|User Properties|Content Type|PUBLISH/,
    );
  });

  for (const type of ['puback', 'pubrec', 'pubrel', 'pubcomp', 'suback', 'connack'] as const) {
    test(`a ${type.toUpperCase()} that is missing, and one that comes twice`, () => {
      expect(found(tampering(isPacket(type), () => []))).toMatch(/./);
      expect(found(tampering(isPacket(type), (note) => [note, note]))).toMatch(/./);
    });
  }

  test('a Session Present that is not true', () => {
    const lie = tampering(isPacket('connack'), (note) => {
      if (note.packet.type !== 'connack' || note.packet.reasonCode !== 0) return [note];
      const sessionPresent = !note.packet.sessionPresent;
      return [{ ...note, packet: { ...note.packet, sessionPresent } }];
    });
    expect(found(lie)).toMatch(/Session Present/);
  });

  test('a SUBACK that grants what is refused', () => {
    const grant = tampering(isPacket('suback'), (note) => {
      if (note.packet.type !== 'suback') return [note];
      const reasonCodes = note.packet.reasonCodes.map(() => ReasonCode.GrantedQoS1);
      return [{ ...note, packet: { ...note.packet, reasonCodes } }];
    });
    expect(found(grant)).toMatch(/suback \d+ with/);
  });

  test('a 5.0 client that is cut off without a word', () => {
    expect(found(tampering(isPacket('disconnect'), () => []))).toMatch(/without DISCONNECT/);
  });

  test('a connection that is not closed', () => {
    const isClose = (note: Note): note is Note & { kind: 'close' } => note.kind === 'close';
    expect(found(tampering(isClose, () => []))).toMatch(/still open/);
  });
});

describe('what the broker goes by', () => {
  test('a device with the right to everything', () => {
    const all: Grants = { publish: ['#'], subscribe: ['#'], retain: true, share: true };
    const options: Sabotage['options'] = (given) => ({
      ...given,
      policy: { ...given.policy, roles: { device: all } },
    });
    expect(found({ options })).toMatch(/CONNACK|suback|puback|pubrec|PUBLISH/);
  });

  test('commands that nobody declared', () => {
    const commands = ['room/1', 'misc'] as never[];
    const options: Sabotage['options'] = (given) => ({
      ...given,
      policy: { ...given.policy, commands: [...given.policy.commands, ...commands] },
    });
    expect(found({ options })).toMatch(/puback|pubrec|PUBLISH|CONNACK/);
  });

  test('queues of two messages', () => {
    const options: Sabotage['options'] = (given) => ({
      ...given,
      limits: { ...given.limits, queuedMessages: 2 },
    });
    expect(found({ options })).toMatch(/lost|out of order/);
  });

  test('a token that was refused, and a device that is an admin', () => {
    const verified = (change: (result: Parameters<Broker['verified']>[0]) => typeof result) => ({
      broker: (broker: Broker): Broker => {
        const real = broker.verified.bind(broker);
        broker.verified = (result, now) => real(change(result), now);
        return broker;
      },
    });
    const accepting = verified((result) =>
      result.kind === 'accept'
        ? result
        : {
            kind: 'accept',
            connection: result.connection,
            identity: { user: 'ann', role: 'device', expiresAtMs: Infinity, grants: undefined },
          },
    );
    expect(found(accepting)).toMatch(/CONNACK|AUTH|puback|closed/);
    const promoting = verified((result) =>
      result.kind === 'refuse'
        ? result
        : { ...result, identity: { ...result.identity, role: 'admin' } },
    );
    expect(found(promoting)).toMatch(/CONNACK|suback|puback|pubrec|PUBLISH/);
  });

  test('deadlines that never pass', () => {
    const broker = (real: Broker): Broker => {
      real.nextDeadline = () => undefined;
      return real;
    };
    expect(found({ broker })).toMatch(/overdue|expired|silent/);
  });
});

describe('what the core is made of', () => {
  /** Runs with another `name` on a prototype. */
  function foundWith<P extends object>(prototype: P, name: keyof P, other: PropertyDescriptor) {
    const own = Object.getOwnPropertyDescriptor(prototype, name) as PropertyDescriptor;
    Object.defineProperty(prototype, name, { ...own, ...other });
    try {
      return found({});
    } finally {
      Object.defineProperty(prototype, name, own);
    }
  }

  test('a group that asks nobody whether he may have the message', () => {
    const pick = function (this: SharedGroup<unknown>) {
      return this.members[0];
    };
    expect(foundWith(SharedGroup.prototype, 'pick', { value: pick })).toMatch(/PUBLISH|lost/);
  });

  test('a Receive Maximum that nobody minds', () => {
    const get = () => true;
    expect(foundWith(Outbound.prototype, 'open', { get })).toMatch(/in flight, over|sent again/);
  });

  test('a QoS 2 message that is taken for new when it comes again', () => {
    const value = () => false;
    expect(foundWith(Inbound.prototype, 'holds', { value })).toMatch(
      /PUBLISH|pubrec|disconnect|0x93|reason/i,
    );
  });

  test('a queue that gives the newest first', () => {
    const push = Queue.prototype.push;
    const value = function (this: Queue<never>, delivery: never) {
      const before = this.removeWhere(() => true);
      push.call(this, delivery);
      for (const each of before) push.call(this, each);
    };
    expect(foundWith(Queue.prototype, 'push', { value })).toMatch(/out of order/);
  });

  test('a message in flight that is not sent again', () => {
    const value = () => undefined;
    expect(foundWith(Outbound.prototype, 'takeResend', { value })).toMatch(/./);
  });

  test('a delayed Will that is late', () => {
    const { set } = Deadlines.prototype;
    const late = function (this: Deadlines<unknown>, at: number, item: unknown) {
      return set.call(this, item instanceof WillMessage ? at + 30_000 : at, item);
    };
    expect(foundWith(Deadlines.prototype, 'set', { value: late })).toMatch(/is overdue/);
  });

  test('the end of a session that comes before what was due earlier', () => {
    const { set, take } = Deadlines.prototype;
    const latestFirst = function (this: Deadlines<unknown>, now: number) {
      const atMs = this.next() ?? now;
      const first = take.call(this, now);
      const second = take.call(this, now);
      if (second !== undefined) set.call(this, atMs, first);
      return second ?? first;
    };
    expect(foundWith(Deadlines.prototype, 'take', { value: latestFirst })).toMatch(/comes before/);
  });

  test('a retained message that is not cleared', () => {
    const value = () => undefined;
    expect(foundWith(RetainedTree.prototype, 'delete', { value })).toMatch(/PUBLISH|retained/);
  });
});
