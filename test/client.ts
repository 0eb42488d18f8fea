/**
 * A client of the harness: speaks one version over one connection, in packets or in bytes, and
 * keeps what it gets until the test looks at it. It does nothing by itself: no PUBACK, no PINGREQ.
 */
import type { Identity } from '../core/auth/rights.ts';
import { decode, encode } from '../core/mqtt/codec.ts';
import { Framer } from '../core/mqtt/framing.ts';
import {
  type Acknowledgement,
  type Connack,
  type Connect,
  type Disconnect,
  type Packet,
  type ProtocolVersion,
  type Publish,
  plainConnect,
  type Subscribe,
  type SubscriptionAcknowledgement,
  type SubscriptionRequest,
  type Will,
} from '../core/mqtt/packet.ts';
import { ReasonCode } from '../core/mqtt/reason-code.ts';
import type { Harness } from './harness.ts';

type PacketOf<T extends Packet['type']> = T extends Acknowledgement['type']
  ? Acknowledgement
  : T extends SubscriptionAcknowledgement['type']
    ? SubscriptionAcknowledgement
    : Extract<Packet, { type: T }>;

/** A Topic Filter alone asks for QoS 2. */
export type FilterOrRequest = string | (Partial<SubscriptionRequest> & { topicFilter: string });

const text = new TextEncoder();
const NEVER = 0xffff_ffff;

/** Bytes as one writes them down: `bytes('10 0c', 4, 'MQTT')` is hexadecimal text and numbers; see `string` for text. */
export function bytes(...parts: (string | number | Uint8Array)[]): Uint8Array {
  return Buffer.concat(
    parts.map((part) => {
      if (typeof part === 'number') return Buffer.of(part);
      return typeof part === 'string' ? Buffer.from(part.replace(/\s/g, ''), 'hex') : part;
    }),
  );
}

/** A UTF-8 Encoded String, or Binary Data: two bytes of length, then `value`. */
export function string(value: string | Uint8Array): Uint8Array {
  const content = typeof value === 'string' ? text.encode(value) : value;
  return Buffer.concat([Buffer.of(content.length >> 8, content.length & 0xff), content]);
}

/** A packet with its Remaining Length before `parts`. */
export function frame(first: number, ...parts: (string | number | Uint8Array)[]): Buffer {
  const body = bytes(...parts);
  return Buffer.concat([Buffer.of(first), variable(body.length), body]);
}

/** A Variable Byte Integer. */
export function variable(value: number): Uint8Array {
  const digits: number[] = [];
  do {
    digits.push((value & 0x7f) | (value > 0x7f ? 0x80 : 0));
    value >>>= 7;
  } while (value > 0);
  return Buffer.from(digits);
}

export function will(topic: string, payload: string, fields: Partial<Will> = {}): Will {
  return {
    topic,
    payload: text.encode(payload),
    qos: 0,
    retain: false,
    delaySeconds: 0,
    messageExpiryInterval: undefined,
    properties: undefined,
    ...fields,
  };
}

/** A CONNECT that asks for nothing; with Clean Session 0 in 3.x, the session stays. */
export function connectPacket(
  protocolVersion: ProtocolVersion,
  clientIdentifier: string,
  fields: Partial<Connect> = {},
): Connect {
  const cleanStart = fields.cleanStart ?? true;
  return {
    ...plainConnect,
    type: 'connect',
    protocolVersion,
    cleanStart,
    keepAliveSeconds: 0,
    clientIdentifier,
    userName: undefined,
    password: undefined,
    sessionExpiryInterval: protocolVersion === 5 || cleanStart ? 0 : NEVER,
    ...fields,
  };
}

export function publishPacket(
  topic: string,
  payload: string | Uint8Array,
  fields: Partial<Publish> = {},
): Publish {
  return {
    type: 'publish',
    dup: false,
    qos: 0,
    retain: false,
    topic,
    packetIdentifier: (fields.qos ?? 0) === 0 ? 0 : 1,
    topicAlias: undefined,
    messageExpiryInterval: undefined,
    subscriptionIdentifiers: undefined,
    properties: undefined,
    payload: typeof payload === 'string' ? text.encode(payload) : payload,
    ...fields,
  };
}

export function subscribePacket(
  filters: readonly FilterOrRequest[],
  fields: Partial<Subscribe> = {},
): Subscribe {
  const subscriptions = filters.map((filter) => ({
    maximumQoS: 2 as const,
    noLocal: false,
    retainAsPublished: false,
    retainHandling: 0 as const,
    ...(typeof filter === 'string' ? { topicFilter: filter } : filter),
  }));
  return {
    type: 'subscribe',
    packetIdentifier: 1,
    subscriptionIdentifier: undefined,
    subscriptions,
    ...fields,
  };
}

/** The payload of a PUBLISH, as text. */
export function textOf(packet: { readonly payload: Uint8Array }): string {
  return Buffer.from(packet.payload).toString();
}

export class TestClient {
  readonly version: ProtocolVersion;
  readonly clientIdentifier: string;
  readonly token: string;
  readonly identity: Identity;
  /** Set by the broker: it closed the connection. */
  closed = false;
  /** Set by the broker: it does not want to read more for now. */
  paused = false;
  /** Whether the network is to find out if it is still there. */
  probed = false;
  /** True: the socket takes nothing, as that of a client that does not read. */
  stuck = false;
  waitingBytes = 0;
  readonly #harness: Harness;
  readonly #connection: number;
  readonly #framer = new Framer(Number.POSITIVE_INFINITY);
  readonly #frames: Uint8Array[] = [];
  #identifier = 0;

  constructor(
    harness: Harness,
    connection: number,
    version: ProtocolVersion,
    clientIdentifier: string,
    token: string,
    identity: Identity,
  ) {
    this.#harness = harness;
    this.#connection = connection;
    this.version = version;
    this.clientIdentifier = clientIdentifier;
    this.token = token;
    this.identity = identity;
  }

  /** Bytes from the broker. */
  take(sent: Uint8Array): void {
    if (this.closed) throw new Error('the broker sent bytes on a connection that it had closed');
    this.waitingBytes += sent.length;
    this.#framer.push(new Uint8Array(sent)); // a copy: slice() of a Buffer is none
    while (this.#framer.next()) {
      const { bytes: held, start, end } = this.#framer;
      this.#frames.push(held.subarray(start, end));
    }
  }

  raw(...parts: (string | number | Uint8Array)[]): void {
    this.#harness.received(this.#connection, bytes(...parts));
  }

  send(packet: Packet): void {
    this.raw(encode(packet, this.version));
  }

  /** The connection breaks. */
  lose(): void {
    this.#harness.lost(this.#connection);
    this.closed = true;
  }

  /** A CONNECT of this client, with its token as `JWT` wants it unless `fields` say otherwise. */
  connectPacket(fields: Partial<Connect> = {}): Connect {
    const enhanced = fields.authenticationMethod !== undefined;
    return connectPacket(this.version, this.clientIdentifier, {
      userName: enhanced ? undefined : 'JWT',
      password: enhanced ? undefined : text.encode(this.token),
      ...fields,
    });
  }

  connect(fields: Partial<Connect> = {}): Connack {
    this.send(this.connectPacket(fields));
    return this.next('connack');
  }

  disconnect(fields: Partial<Disconnect> = {}): void {
    this.send({ type: 'disconnect', reasonCode: ReasonCode.Success, ...fields });
  }

  /**
   * Publishes, goes through the whole exchange for QoS 2, and returns PUBACK or PUBREC; undefined
   * for QoS 0. What else came meanwhile stays.
   */
  publish(
    topic: string,
    payload: string | Uint8Array,
    fields: Partial<Publish> = {},
  ): Acknowledgement | undefined {
    const qos = fields.qos ?? 0;
    const packetIdentifier = qos === 0 ? 0 : this.nextIdentifier();
    const packet = publishPacket(topic, payload, { packetIdentifier, ...fields });
    this.send(packet);
    if (qos === 0) return undefined;
    const answer = this.find(qos === 1 ? 'puback' : 'pubrec');
    if (qos === 2 && answer.reasonCode < ReasonCode.UnspecifiedError) {
      this.acknowledge('pubrel', answer.packetIdentifier);
      this.find('pubcomp');
    }
    return answer;
  }

  acknowledge(
    type: Acknowledgement['type'],
    packetIdentifier: number,
    reasonCode: ReasonCode = ReasonCode.Success,
  ): void {
    this.send({ type, packetIdentifier, reasonCode });
  }

  subscribe(
    filters: FilterOrRequest | readonly FilterOrRequest[],
    fields: Partial<Subscribe> = {},
  ): readonly ReasonCode[] {
    const list = Array.isArray(filters)
      ? (filters as FilterOrRequest[])
      : [filters as FilterOrRequest];
    const packet = subscribePacket(list, { packetIdentifier: this.nextIdentifier(), ...fields });
    this.send(packet);
    return this.find('suback').reasonCodes;
  }

  unsubscribe(...topicFilters: string[]): readonly ReasonCode[] {
    this.send({ type: 'unsubscribe', packetIdentifier: this.nextIdentifier(), topicFilters });
    return this.find('unsuback').reasonCodes;
  }

  ping(): void {
    this.send({ type: 'pingreq' });
    this.find('pingresp');
  }

  nextIdentifier(): number {
    this.#identifier = (this.#identifier % 65_535) + 1;
    return this.#identifier;
  }

  /** How many packets wait to be looked at. */
  get pending(): number {
    return this.#frames.length;
  }

  /** The next packet, as it came. */
  nextBytes(): Uint8Array {
    const next = this.#frames.shift();
    if (next === undefined) throw new Error(`nothing came for ${this.clientIdentifier}`);
    return next;
  }

  /** The next packet, which must be of `type`. */
  next<T extends Packet['type']>(type: T): PacketOf<T> {
    const packet = this.#decode(this.nextBytes());
    if (packet.type !== type) {
      throw new Error(`${type} was expected, and ${JSON.stringify(packet)} came`);
    }
    return packet as PacketOf<T>;
  }

  /** The first packet of `type` among those that wait; what came before it stays. */
  find<T extends Packet['type']>(type: T): PacketOf<T> {
    const index = this.#frames.findIndex((each) => this.#decode(each).type === type);
    if (index === -1) throw new Error(`no ${type} among ${JSON.stringify(this.packets())}`);
    const [found] = this.#frames.splice(index, 1);
    return this.#decode(found as Uint8Array) as PacketOf<T>;
  }

  /** Everything that came, decoded. */
  packets(): Packet[] {
    return this.#frames.splice(0).map((each) => this.#decode(each));
  }

  /** Everything that came, which must be PUBLISH packets. */
  messages(): Publish[] {
    return this.packets().map((packet) => {
      if (packet.type === 'publish') return packet;
      throw new Error(`a message was expected, and ${JSON.stringify(packet)} came`);
    });
  }

  /** The payloads of `messages()`. */
  texts(): string[] {
    return this.messages().map(textOf);
  }

  /** The next packet is a PUBLISH: it is returned, and acknowledged as its QoS asks. */
  receive(): Publish {
    const message = this.next('publish');
    this.complete(message);
    return message;
  }

  /** The client's part in the exchange that `message` began. */
  complete({ qos, packetIdentifier }: Publish): void {
    if (qos === 1) this.acknowledge('puback', packetIdentifier);
    if (qos !== 2) return;
    this.acknowledge('pubrec', packetIdentifier);
    this.find('pubrel');
    this.acknowledge('pubcomp', packetIdentifier);
  }

  #decode(packet: Uint8Array): Packet {
    return decode(packet, 0, packet.length, this.version);
  }
}
