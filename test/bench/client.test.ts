/** The client of load tests against packets that a broker sends, byte by byte and in one piece. */
import { expect, test } from 'bun:test';
import { Client, type ClientIdentity, type ClientOwner } from '../../core/bench/client.ts';
import type { ClientPlan } from '../../core/bench/plan.ts';
import { publishFrame } from '../../core/bench/publish-frame.ts';
import { decode, encode } from '../../core/mqtt/codec.ts';
import { Framer } from '../../core/mqtt/framing.ts';
import type { Connack, Packet, Publish, QoS } from '../../core/mqtt/packet.ts';
import { ReasonCode } from '../../core/mqtt/reason-code.ts';

const versions = [4, 5] as const;

class Bed implements ClientOwner {
  readonly heard: string[] = [];
  readonly client: Client;
  readonly version: 4 | 5;
  readonly #framer = new Framer(1 << 20);

  constructor(version: 4 | 5, filters: readonly string[] = [], more: Partial<ClientIdentity> = {}) {
    this.version = version;
    const plan: ClientPlan = {
      ...{ kind: 'subscriber', index: 3, user: 'u', role: 'device' },
      ...{ filters, publishing: undefined },
    };
    const identity = {
      ...{ version, clientIdentifier: 'c', userName: 'JWT', password: 'token', qos: 1 as const },
      ...{ keepAliveSeconds: 60, stored: false, ...more },
    };
    this.client = new Client(plan, identity, this);
    this.client.opened();
  }

  ready(): void {
    this.heard.push('ready');
  }

  message(_client: Client, bytes: Uint8Array, at: number, end: number): void {
    this.heard.push(`message ${Buffer.from(bytes.subarray(at, end)).toString()}`);
  }

  acknowledged(_client: Client, refused: boolean): void {
    this.heard.push(refused ? 'refused' : 'acknowledged');
  }

  /** The broker sends it. */
  get(packet: Packet, pieces = false): void {
    const bytes = encode(packet, this.version);
    for (const part of pieces ? Array.from(bytes, (byte) => Uint8Array.of(byte)) : [bytes]) {
      this.client.received(part, 0);
    }
  }

  /** What the client has sent since the last time. */
  sent(): Packet[] {
    const { outgoing } = this.client;
    this.#framer.push(outgoing.bytes.slice(outgoing.start, outgoing.end));
    outgoing.taken(outgoing.length);
    const packets: Packet[] = [];
    while (this.#framer.next()) {
      const { bytes, start, end } = this.#framer;
      packets.push(decode(bytes, start, end, this.version));
    }
    return packets;
  }

  connected(more: Partial<Connack> = {}): this {
    this.get({ type: 'connack', sessionPresent: false, reasonCode: ReasonCode.Success, ...more });
    this.sent();
    return this;
  }
}

function publish(qos: QoS, packetIdentifier: number, payload: string, dup = false): Publish {
  return {
    ...{ type: 'publish' as const, dup, qos, retain: false, topic: 'a/b', packetIdentifier },
    ...{ topicAlias: undefined, messageExpiryInterval: undefined },
    subscriptionIdentifiers: undefined,
    properties: { contentType: 'text/plain' },
    payload: Buffer.from(payload),
  };
}

const answer = (type: 'puback' | 'pubrec' | 'pubrel' | 'pubcomp', packetIdentifier: number) => ({
  ...{ type, packetIdentifier, reasonCode: ReasonCode.Success },
});

test.each(versions)(
  'it connects with what it is, and is ready once CONNACK came (version %d)',
  (version) => {
    const bed = new Bed(version);
    expect(bed.sent()).toMatchObject([
      {
        type: 'connect',
        protocolVersion: version,
        clientIdentifier: 'c',
        userName: 'JWT',
        cleanStart: true,
      },
    ]);
    expect([bed.client.state, bed.heard]).toEqual(['connecting', []]);
    bed.connected();
    expect([bed.client.state, bed.heard]).toEqual(['ready', ['ready']]);
  },
);

test.each(versions)('it is ready once every SUBSCRIBE is answered (version %d)', (version) => {
  const filters = Array.from({ length: 65 }, (_, index) => `u_${index}`);
  const bed = new Bed(version, filters);
  bed.sent();
  bed.get({ type: 'connack', sessionPresent: false, reasonCode: ReasonCode.Success });
  const asked = bed.sent().flatMap((packet) => (packet.type === 'subscribe' ? [packet] : []));
  expect(asked.map(({ subscriptions }) => subscriptions.length)).toEqual([64, 1]);
  expect(
    asked.flatMap(({ subscriptions }) => subscriptions.map((each) => each.topicFilter)),
  ).toEqual(filters);
  for (const [index, { packetIdentifier, subscriptions }] of asked.entries()) {
    expect(bed.heard).toEqual([]);
    const reasonCodes = subscriptions.map(() => ReasonCode.Success);
    bed.get({ type: 'suback', packetIdentifier, reasonCodes }, index === 1);
  }
  expect([bed.client.state, bed.heard]).toEqual(['ready', ['ready']]);
});

test.each(versions)(
  'messages of every QoS come through and are answered, in one piece or byte by byte (version %d)',
  (version) => {
    const bed = new Bed(version).connected();
    for (const pieces of [false, true]) {
      bed.heard.length = 0;
      bed.get(publish(0, 0, 'zero'), pieces);
      expect(bed.sent()).toEqual([]);
      bed.get(publish(1, 7, 'one'), pieces);
      expect(bed.sent()).toMatchObject([{ type: 'puback', packetIdentifier: 7 }]);
      bed.get(publish(2, 7, 'two'), pieces);
      expect(bed.sent()).toMatchObject([{ type: 'pubrec', packetIdentifier: 7 }]);
      bed.get(answer('pubrel', 7), pieces);
      expect(bed.sent()).toMatchObject([{ type: 'pubcomp', packetIdentifier: 7 }]);
      expect(bed.heard).toEqual(['message zero', 'message one', 'message two']);
    }
  },
);

test('a QoS 2 message that comes again before PUBREL counts once, and after it anew', () => {
  const bed = new Bed(5).connected();
  bed.heard.length = 0;
  bed.get(publish(2, 1, 'a'));
  bed.get(publish(2, 1, 'a', true));
  expect(bed.sent()).toMatchObject([{ type: 'pubrec' }, { type: 'pubrec' }]);
  bed.get(answer('pubrel', 1));
  bed.get(publish(2, 1, 'b'));
  expect(bed.heard).toEqual(['message a', 'message b']);
});

test.each(versions)(
  'a publish carries its stamp and an identifier that is free (version %d)',
  (version) => {
    const bed = new Bed(version).connected();
    const frame = publishFrame('a/b', 1, Buffer.from('payload'), version);
    for (let each = 0; each < 3; each++) {
      const at = bed.client.publish(frame);
      bed.client.outgoing.bytes[at] = 0x30 + each;
    }
    const sent = bed.sent() as Publish[];
    expect(
      sent.map(({ packetIdentifier, payload }) => `${packetIdentifier} ${Buffer.from(payload)}`),
    ).toEqual(['1 0ayload', '2 1ayload', '3 2ayload']);
    expect(bed.client.unacknowledged).toBe(3);
    bed.get(answer('puback', 2));
    expect(bed.client.unacknowledged).toBe(2);
    expect(bed.heard).toEqual(['ready', 'acknowledged']);
  },
);

test('identifiers go round, and pass over those still in use', () => {
  const bed = new Bed(5).connected();
  const frame = publishFrame('a', 1, new Uint8Array(0), 5);
  bed.client.publish(frame); // 1, which stays
  for (let each = 0; each < 1_023; each++) {
    bed.client.publish(frame);
    bed.get(answer('puback', each + 2));
  }
  bed.sent();
  bed.client.publish(frame);
  expect(bed.sent()).toMatchObject([{ type: 'publish', packetIdentifier: 2 }]);
});

test('QoS 2 is settled by PUBCOMP, and PUBREC with an error ends it', () => {
  const bed = new Bed(5).connected();
  const frame = publishFrame('a', 2, new Uint8Array(0), 5);
  bed.client.publish(frame);
  bed.client.publish(frame);
  bed.sent();
  bed.get(answer('pubrec', 1));
  expect(bed.sent()).toMatchObject([{ type: 'pubrel', packetIdentifier: 1 }]);
  expect(bed.client.unacknowledged).toBe(2);
  bed.get(answer('pubcomp', 1));
  bed.get({ type: 'pubrec', packetIdentifier: 2, reasonCode: ReasonCode.NotAuthorized });
  expect(bed.heard).toEqual(['ready', 'acknowledged', 'refused']);
  expect(bed.client.unacknowledged).toBe(0);
});

test('the Receive Maximum of the broker is the window', () => {
  const bed = new Bed(5).connected({ receiveMaximum: 2 });
  const frame = publishFrame('a', 1, new Uint8Array(0), 5);
  bed.client.publish(frame);
  expect(bed.client.hasWindow).toBe(true);
  bed.client.publish(frame);
  expect(bed.client.hasWindow).toBe(false);
  bed.get(answer('puback', 1));
  expect(bed.client.hasWindow).toBe(true);
});

const failures: readonly { name: string; packet: Packet; detail: string }[] = [
  {
    name: 'a refused CONNECT, with the reason',
    packet: {
      ...{ type: 'connack', sessionPresent: false, reasonCode: ReasonCode.NotAuthorized },
      reasonString: 'token expired',
    },
    detail: 'the broker refused it: NotAuthorized (token expired)',
  },
  {
    name: 'DISCONNECT',
    packet: { type: 'disconnect', reasonCode: ReasonCode.ServerShuttingDown },
    detail: 'the broker ended it: ServerShuttingDown',
  },
  {
    name: 'an acknowledgement for nothing',
    packet: answer('puback', 9),
    detail: 'the broker sent a PUBACK for what was not sent',
  },
  {
    name: 'a packet that only clients send',
    packet: { type: 'pingreq' },
    detail: 'the broker sent a PINGREQ',
  },
];

test.each(failures)('it cannot go on after $name', ({ packet, detail }) => {
  const bed = new Bed(5);
  bed.get(packet);
  bed.get(publish(0, 0, 'late'));
  expect(bed.client.failure).toBe(detail);
  expect(bed.heard).toEqual([]);
});

test('it cannot go on without one of its subscriptions', () => {
  const bed = new Bed(5, ['u_x']);
  bed.connected();
  bed.get({ type: 'suback', packetIdentifier: 1, reasonCodes: [ReasonCode.NotAuthorized] });
  expect(bed.client.failure).toBe('the broker refused a subscription: NotAuthorized');
});

test('a stored session ends with its load test, where the version can say so', () => {
  for (const [version, interval] of [
    [5, 0],
    [4, undefined],
  ] as const) {
    const bed = new Bed(version, [], { stored: true });
    expect(bed.sent()).toMatchObject([{ type: 'connect', cleanStart: false }]);
    bed.connected().client.disconnect();
    expect(bed.sent()).toMatchObject([{ type: 'disconnect', sessionExpiryInterval: interval }]);
    expect(bed.client.state).toBe('closed');
  }
});

test('a stored session stays behind where it is to', () => {
  const bed = new Bed(5, [], { stored: true });
  bed.connected().client.disconnect('stays');
  expect(bed.sent()).toMatchObject([{ type: 'disconnect', sessionExpiryInterval: undefined }]);
});
