/** Which commands are carried out, and acknowledged when, however often they are delivered. */
import { expect, test } from 'bun:test';
import type { Publish, QoS, UserProperty } from '../../core/mqtt/packet.ts';
import { parseTopicFilter, parseTopicName, type TopicFilter } from '../../core/mqtt/topic.ts';
import {
  COMES_NO_MORE_MS,
  isForFilter,
  mayReplyTo,
  RemoteCommands,
} from '../../core/plugins/remote-commands.ts';

interface Given {
  readonly dup?: boolean;
  readonly qos?: QoS;
  readonly number?: number | undefined;
  readonly topic?: string;
  readonly payload?: string;
  readonly user?: string;
  readonly properties?: readonly UserProperty[];
}

function delivery(packetIdentifier: number, given: Given = {}): Publish {
  const {
    dup = false,
    qos = 1,
    topic = 'do',
    payload = 'x',
    user = 'ann',
    properties = [],
  } = given;
  const number = 'number' in given ? given.number : packetIdentifier;
  const stamps: UserProperty[] = [
    ['bellhop-user', user],
    ['bellhop-client', 'phone'],
  ];
  if (number !== undefined) stamps.push(['bellhop-message', String(number)]);
  return {
    type: 'publish',
    dup,
    qos,
    retain: false,
    topic,
    packetIdentifier: qos === 0 ? 0 : packetIdentifier,
    topicAlias: undefined,
    messageExpiryInterval: undefined,
    subscriptionIdentifiers: undefined,
    properties: { userProperties: [...properties, ...stamps] },
    payload: Buffer.from(payload),
  };
}

class World {
  connection = 1;
  /** As `connection:packet identifier`. */
  readonly acknowledged: string[] = [];
  readonly commands: RemoteCommands;

  constructor(session = 's') {
    const world = this;
    this.commands = new RemoteCommands(
      {
        get connection() {
          return world.connection;
        },
        acknowledge: (identifier) =>
          void world.acknowledged.push(`${world.connection}:${identifier}`),
      },
      session,
    );
    this.commands.connected(session, 0);
  }

  /** The number of the command that is to be carried out; undefined where there is none. */
  deliver(identifier: number, given: Given = {}): number | undefined {
    return this.commands.delivered(delivery(identifier, given), 0)?.number;
  }

  /** As `deliver`, for what must be carried out. */
  take(identifier: number, given: Given = {}): number {
    const number = this.deliver(identifier, given);
    if (number === undefined) throw new Error('it is not carried out');
    return number;
  }

  reconnect(session: string, now = 0): void {
    this.commands.lost();
    this.connection++;
    this.commands.connected(session, now);
  }
}

test('a command is acknowledged once it is handled, and what was sent and kept for it is taken', () => {
  const { commands, acknowledged } = new World();
  const number = commands.delivered(delivery(7), 0)?.number ?? 0;
  commands.settled(10, 10, 0);
  expect(acknowledged).toEqual([]);
  commands.handled(number, 3, 2);
  commands.settled(2, 2, 0);
  commands.settled(3, 1, 0);
  expect(acknowledged).toEqual([]);
  commands.settled(3, 2, 0);
  expect(acknowledged).toEqual(['1:7']);
});

test('of several handlers the last one counts', () => {
  const world = new World();
  const number = world.take(1);
  world.commands.partHandled(number);
  world.commands.settled(0, 0, 0);
  expect(world.acknowledged).toEqual([]);
  world.commands.handled(number, 0, 0);
  world.commands.settled(0, 0, 0);
  expect(world.acknowledged).toEqual(['1:1']);
});

test('what comes again while it is carried out is not begun again, and acknowledged where it came last', () => {
  const world = new World();
  const number = world.take(1, { number: 5 });
  world.reconnect('s');
  expect(world.deliver(4, { number: 5, dup: true })).toBeUndefined();
  world.commands.handled(number, 0, 0);
  world.commands.settled(0, 0, 0);
  expect(world.acknowledged).toEqual(['2:4']);
});

test('what was done when the connection ended is acknowledged when it comes again, and not carried out', () => {
  const world = new World();
  const number = world.take(1);
  world.commands.lost();
  world.connection++;
  world.commands.handled(number, 0, 0);
  world.commands.settled(0, 0, 0);
  expect(world.acknowledged).toEqual([]); // it came on another connection
  world.commands.connected('s', 0);
  expect(world.deliver(1, { dup: true })).toBeUndefined();
  expect(world.acknowledged).toEqual(['2:1']);
});

test('from a broker that tells no numbers, what comes again while it is carried out is known by its Packet Identifier', () => {
  const world = new World();
  const number = world.take(1, { number: undefined });
  world.reconnect('s');
  expect(world.deliver(1, { number: undefined, dup: true })).toBeUndefined();
  world.commands.handled(number, 0, 0);
  world.commands.settled(0, 0, 0);
  expect(world.acknowledged).toEqual(['2:1']);
  // Once it is done it may be another one, of which we have not heard: at least once.
  world.reconnect('s');
  expect(world.deliver(1, { number: undefined, dup: true })).toBeGreaterThan(number);
  // Without DUP it is another one in any case.
  expect(world.deliver(1, { number: undefined })).toBeDefined();
});

test('a number of the broker means one command: with another topic, payload, user or session it is another', () => {
  const world = new World();
  const numbers = [
    world.take(1, { number: 9 }),
    world.take(2, { number: 9, topic: 'do/more' }),
    world.take(3, { number: 9, payload: 'y' }),
    world.take(4, { number: 9, user: 'bob' }),
    world.take(5, { number: 10 }),
  ];
  world.reconnect('another');
  numbers.push(world.take(6, { number: 9 }));
  expect(new Set(numbers).size).toBe(numbers.length);
  for (const number of numbers) expect(Number.isSafeInteger(number) && number > 0).toBe(true);
});

test('the same command of the same session has the same number in the next process', () => {
  expect(new World('s').take(1, { number: 3 })).toBe(new World('s').take(8, { number: 3 }));
});

test('what was acknowledged is forgotten after a minute of one connection, in order', () => {
  const world = new World();
  const [first, second] = [world.take(1), world.take(2)];
  const position = world.commands.handled(second, 0, 0);
  world.commands.settled(0, 0, 1_000);
  expect(world.commands.expire(1_000 + COMES_NO_MORE_MS - 1)).toBe(0);
  world.reconnect('s', 30_000);
  expect(world.commands.expire(1_000 + COMES_NO_MORE_MS)).toBe(0);
  world.commands.handled(first, 0, 0);
  world.commands.settled(0, 0, 40_000);
  expect(world.commands.expire(30_000 + COMES_NO_MORE_MS)).toBe(position);
  expect(world.commands.expire(40_000 + COMES_NO_MORE_MS)).toBe(position + 1);
});

test('a part of a command that is not forgotten holds back what came after it', () => {
  const world = new World();
  const [several, other] = [world.take(1), world.take(2)];
  const before = world.commands.handled(world.take(3), 0, 0);
  const part = world.commands.partHandled(several);
  world.commands.handled(other, 0, 0);
  world.commands.settled(0, 0, 0);
  expect(world.commands.expire(COMES_NO_MORE_MS)).toBe(before);
  expect(before).toBe(part - 1);
  const last = world.commands.handled(several, 0, 0);
  world.commands.settled(0, 0, 0);
  expect(world.commands.expire(2 * COMES_NO_MORE_MS)).toBe(last);
});

test('QoS 0 has no number, and nobody is told that it is done', () => {
  const world = new World();
  expect(world.take(0, { qos: 0, number: undefined })).toBe(0);
  world.commands.skip(delivery(0, { qos: 0 }));
  expect(world.acknowledged).toEqual([]);
});

test('who said it is what the broker says, and handlers see the other User Properties as they were sent', () => {
  const { commands } = new World();
  const properties: UserProperty[] = [
    ['bellhop-user', 'root'],
    ['a', '1'],
  ];
  const message = commands.delivered(delivery(1, { properties }), 0)?.message;
  expect(message?.publisher).toEqual({ user: 'ann', clientIdentifier: 'phone', device: true });
  expect(message?.properties?.userProperties).toEqual([['a', '1']]);
  const unstamped = { ...delivery(2), properties: undefined };
  expect(commands.delivered(unstamped, 0)?.message.publisher).toEqual({
    user: '',
    clientIdentifier: '',
    device: false,
  });
});

function filters(...texts: readonly string[]): TopicFilter[] {
  return texts.map((text) => {
    const filter = parseTopicFilter(text);
    if (filter === undefined) throw new Error(`${text} is no Topic Filter`);
    return filter;
  });
}

test('of the copies that overlapping filters bring, one is carried out, whoever gets them', () => {
  const topic = parseTopicName('a/b/c');
  if (topic === undefined) throw new Error('no topic');
  // Each process holds some of the filters; each filter brings one copy, to somebody who holds it.
  const all = filters('a/+/c', 'a/b/+', 'other', 'a/b/#');
  const [first, second, , third] = all as [TopicFilter, TopicFilter, TopicFilter, TopicFilter];
  const count = (by: readonly [TopicFilter, readonly TopicFilter[]][]) =>
    by.filter(([filter, held]) => isForFilter(filter, topic, held)).length;
  expect(
    count([
      [first, all],
      [second, all],
      [third, all],
    ]),
  ).toBe(1);
  expect(
    count([
      [first, [first]],
      [second, [second, third]],
      [third, [second, third]],
    ]),
  ).toBe(2);
  expect(isForFilter(undefined, topic, all)).toBe(true);
});

test('a response may go to topics of whoever asked, and nowhere else', () => {
  const ann = { user: 'ann', clientIdentifier: 'phone', device: true };
  const nobody = { user: '', clientIdentifier: '', device: false };
  const may = (publisher: typeof ann, text: string) => {
    const topic = parseTopicName(text);
    return topic !== undefined && mayReplyTo(publisher, topic, '_');
  };
  expect(may(ann, 'ann_answer')).toBe(true);
  expect(may(ann, 'anna_answer')).toBe(false);
  expect(may(ann, 'bob_answer')).toBe(false);
  expect(may(nobody, '_answer')).toBe(false);
});
