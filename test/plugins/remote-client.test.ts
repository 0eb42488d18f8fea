/** The MQTT 5.0 client of a remote handler process, against packets of a broker. */
import { beforeEach, expect, test } from 'bun:test';
import { decode, encode } from '../../core/mqtt/codec.ts';
import { Framer } from '../../core/mqtt/framing.ts';
import type { Connack, Message, Packet } from '../../core/mqtt/packet.ts';
import { ReasonCode, reasonName } from '../../core/mqtt/reason-code.ts';
import { parseTopicName } from '../../core/mqtt/topic.ts';
import { RemoteClient } from '../../core/plugins/remote-client.ts';

/** The broker's end: what the client wrote, as packets, and what it told its owner. */
class World {
  readonly events: string[] = [];
  readonly #framer = new Framer(1_000_000);
  readonly client = new RemoteClient(
    { clientIdentifier: 'c', sessionExpirySeconds: 60, receiveMaximum: 9, keepAliveSeconds: 30 },
    {
      write: (bytes) => this.#framer.push(bytes),
      connected: (sessionPresent) => void this.events.push(`connected ${sessionPresent}`),
      ended: (code, detail, connected) =>
        void this.events.push(`ended ${reasonName(code)} ${detail} ${connected}`),
      violated: (detail) => void this.events.push(`violated ${detail}`),
      delivered: ({ topic }) => void this.events.push(`delivered ${topic}`),
      settled: () => {},
      refused: ({ topic }, code, detail) =>
        void this.events.push(`refused ${topic} ${reasonName(code)} ${detail}`),
      subscribed: (filter, code) =>
        void this.events.push(`subscribed ${filter} ${reasonName(code)}`),
      unsubscribed: (filters) => void this.events.push(`unsubscribed ${filters.join(' ')}`),
      renewed: (code, detail) => void this.events.push(`renewed ${reasonName(code)} ${detail}`),
    },
  );

  /** The packets that came since the last call. */
  written(): Packet[] {
    const packets: Packet[] = [];
    while (this.#framer.next()) {
      const { bytes, start, end } = this.#framer;
      packets.push(decode(bytes, start, end, 5));
    }
    return packets;
  }

  /** The only packet that came, which is one of `type`. */
  only<T extends Packet['type']>(type: T): Extract<Packet, { type: T }> {
    const [packet, ...more] = this.written();
    expect([packet?.type, more]).toEqual([type, []]);
    return packet as Extract<Packet, { type: T }>;
  }

  says(packet: Packet, now = 0): void {
    this.client.received(encode(packet, 5), now);
  }

  connect(connack: Partial<Connack> = {}, now = 0): void {
    this.client.begin('token', now);
    this.written();
    const reasonCode = ReasonCode.Success;
    this.says({ type: 'connack', sessionPresent: false, reasonCode, ...connack }, now);
  }

  acknowledge(
    packetIdentifier: number,
    reasonCode: ReasonCode = ReasonCode.Success,
    now = 0,
  ): void {
    this.says({ type: 'puback', packetIdentifier, reasonCode, reasonString: 'why' }, now);
  }
}

function message(text: string): Message {
  const topic = parseTopicName(text);
  if (topic === undefined) throw new Error(`${text} is no topic`);
  return {
    topic,
    payload: Buffer.from('x'),
    qos: 1,
    retain: false,
    properties: undefined,
    expiresAtMs: Number.POSITIVE_INFINITY,
    publisher: { user: '', clientIdentifier: 'p', device: false },
    reach: 2,
  };
}

let world: World;
beforeEach(() => {
  world = new World();
});

test('it asks for the session that it had, and for no more commands at a time than it can hold', () => {
  world.client.begin('the token', 0);
  const connect = world.only('connect');
  expect(connect).toMatchObject({
    ...{ protocolVersion: 5, cleanStart: false, clientIdentifier: 'c', userName: 'JWT' },
    ...{ sessionExpiryInterval: 60, receiveMaximum: 9, keepAliveSeconds: 30 },
  });
  expect(Buffer.from(connect.password ?? []).toString()).toBe('the token');
});

test('what is sent before it is connected goes out then, and again with DUP on the next connection', () => {
  expect(world.client.send(message('a'), 0)).toBeUndefined();
  world.connect();
  expect(world.only('publish')).toMatchObject({ topic: 'a', qos: 1, dup: false });
  world.client.lost();
  world.connect({ sessionPresent: true });
  expect(world.only('publish')).toMatchObject({ topic: 'a', packetIdentifier: 1, dup: true });
  world.acknowledge(1);
  expect(world.client.sends.settled).toBe(1);
});

test('[MQTT-3.3.4-7] the broker’s Receive Maximum bounds what is in flight', () => {
  for (const topic of ['a', 'b', 'c']) world.client.send(message(topic), 0);
  world.connect({ receiveMaximum: 2 });
  expect(world.written()).toHaveLength(2);
  world.acknowledge(1);
  expect(world.only('publish')).toMatchObject({ topic: 'c' });
});

test('what the broker has no room for is sent again later; what it refuses for good is told', () => {
  world.client.send(message('full'), 0);
  world.connect();
  world.written();
  world.acknowledge(1, ReasonCode.QuotaExceeded, 1_000);
  expect(world.written()).toEqual([]);
  expect(world.client.passed(1_499)).toBe(true);
  expect(world.written()).toEqual([]);
  world.client.passed(1_500);
  const again = world.only('publish');
  expect(again).toMatchObject({ topic: 'full', dup: false });
  world.acknowledge(again.packetIdentifier, ReasonCode.NotAuthorized, 1_600);
  expect(world.events).toEqual(['connected false', 'refused full NotAuthorized why']);
  expect(world.client.sends.settled).toBe(1);
});

test('what there is no room for is given up at last, so that the rest goes on', () => {
  world.client.send(message('full'), 0);
  world.connect();
  let now = 0;
  let refusals = 0;
  let packets = world.written();
  while (world.client.sends.settled === 0) {
    const publish = packets.find((packet) => packet.type === 'publish');
    if (publish === undefined) throw new Error('it is not sent again');
    world.acknowledge(publish.packetIdentifier, ReasonCode.QuotaExceeded, now);
    expect(++refusals).toBeLessThan(20);
    now += 10_000;
    world.client.passed(now);
    packets = world.written();
  }
  expect(refusals).toBeGreaterThan(5);
  expect(world.events.at(-1)).toBe('refused full QuotaExceeded why');
});

test('a message that the broker can never take is refused at once', () => {
  world.connect({ maximumPacketSize: 20, retainAvailable: false });
  expect(world.client.send(message('a'.repeat(30)), 0)).toMatch(/20 bytes/);
  expect(world.client.send({ ...message('a'), retain: true }, 0)).toMatch(/retained/);
  expect(world.client.send(message('a'), 0)).toBeUndefined();
});

test('a delivery is told at once, and acknowledged when that is asked for', () => {
  world.connect();
  world.says({
    ...{ type: 'publish', dup: false, qos: 1, retain: false, topic: 'do', packetIdentifier: 5 },
    ...{ topicAlias: undefined, messageExpiryInterval: undefined },
    ...{ subscriptionIdentifiers: [1], properties: undefined, payload: new Uint8Array() },
  });
  expect(world.events).toEqual(['connected false', 'delivered do']);
  expect(world.written()).toEqual([]);
  world.client.acknowledge(5);
  expect(world.only('puback')).toMatchObject({ packetIdentifier: 5, reasonCode: 0 });
});

test('each filter is asked for with its Subscription Identifier, and what the broker says of it is told', () => {
  world.connect();
  world.client.subscribe([{ filter: '$share/g/a', identifier: 3 }]);
  const subscribe = world.only('subscribe');
  expect(subscribe.subscriptionIdentifier).toBe(3);
  expect(subscribe.subscriptions).toMatchObject([{ topicFilter: '$share/g/a', maximumQoS: 1 }]);
  const { packetIdentifier } = subscribe;
  world.says({ type: 'suback', packetIdentifier, reasonCodes: [ReasonCode.NotAuthorized] });
  world.client.unsubscribe(['$share/g/a']);
  const unsubscribe = world.only('unsubscribe');
  world.says({ ...unsubscribe, type: 'unsuback', reasonCodes: [ReasonCode.Success] });
  expect(world.events.slice(1)).toEqual([
    'subscribed $share/g/a NotAuthorized',
    'unsubscribed $share/g/a',
  ]);
});

test('a new token is published, and whether it is taken is told', () => {
  world.connect();
  world.client.renew('next');
  const { topic, payload, packetIdentifier } = world.only('publish');
  expect([topic, Buffer.from(payload).toString()]).toEqual(['$token', 'next']);
  world.acknowledge(packetIdentifier, ReasonCode.NotAuthorized);
  expect(world.events.at(-1)).toBe('renewed NotAuthorized why');
});

test('[MQTT-3.1.2-20] it is never silent for as long as the Keep Alive, and notices a broker that is', () => {
  world.connect({ serverKeepAliveSeconds: 10 });
  expect(world.client.passed(4_999)).toBe(true);
  expect(world.written()).toEqual([]);
  world.client.passed(5_000);
  world.only('pingreq');
  expect(world.client.passed(15_000)).toBe(true);
  expect(world.client.passed(15_001)).toBe(false);
});

test('a broker that answers no CONNECT is given up', () => {
  world.client.begin('token', 0);
  expect(world.client.passed(20_000)).toBe(true);
  expect(world.client.passed(20_001)).toBe(false);
});

test('a refusal, the end of a connection and a broken packet are told', () => {
  world.connect({ reasonCode: ReasonCode.NotAuthorized, reasonString: 'token expired' });
  expect(world.events).toEqual(['ended NotAuthorized token expired false']);
  world.client.lost();
  world.connect();
  world.says({ type: 'disconnect', reasonCode: ReasonCode.ServerShuttingDown });
  expect(world.events.at(-1)).toBe('ended ServerShuttingDown undefined true');
  world.client.lost();
  world.connect();
  world.client.received(Buffer.from([0x20, 0x00]), 0);
  expect(world.events.at(-1)).toStartWith('violated ');
});
