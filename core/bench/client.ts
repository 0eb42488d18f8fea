/**
 * One MQTT client of a load test, without a socket: bytes that came go in, bytes to send wait in
 * `outgoing`. It connects, subscribes, publishes at every QoS and answers what it gets; everything that
 * a message needs on the way is read and written in place, since messages come by the million.
 */
import { decode, encode, encodeAcknowledgement } from '../mqtt/codec.ts';
import { Framer } from '../mqtt/framing.ts';
import {
  type Acknowledgement,
  type Connack,
  type PacketIdentifier,
  plainConnect,
  type QoS,
} from '../mqtt/packet.ts';
import { ReasonCode, reasonName } from '../mqtt/reason-code.ts';
import type { Ticks } from './clock.ts';
import { Outgoing } from './outgoing.ts';
import type { ClientPlan } from './plan.ts';
import type { PublishFrame } from './publish-frame.ts';

/** Largest packet that a broker may send. */
const MAXIMUM_PACKET = 256 * 1024 * 1024;
/** Packet Identifiers go round from 1 to this. */
const IDENTIFIERS = 1_024;
/** Messages of QoS 1 and 2 without their last acknowledgement, where the broker allows as many. */
const MAXIMUM_INFLIGHT = 1_000;
/** Filters of one SUBSCRIBE. */
const FILTERS_PER_PACKET = 64;

export interface ClientIdentity {
  readonly version: 4 | 5;
  readonly clientIdentifier: string;
  readonly userName: string | undefined;
  readonly password: string | undefined;
  readonly keepAliveSeconds: number;
  /** Whether the session outlives the connection. */
  readonly stored: boolean;
  /** Maximum QoS of its subscriptions. */
  readonly qos: QoS;
}

/** Who hears of what a client meets. */
export interface ClientOwner {
  /** It is connected, and all its subscriptions stand. */
  ready(client: Client, now: Ticks): void;
  /** A message came, its payload from `at` to `end`. `bytes` are good only now. */
  message(client: Client, bytes: Uint8Array, at: number, end: number, now: Ticks): void;
  /** A publish of QoS 1 or 2 got its last acknowledgement; `refused` where the broker did not take it. */
  acknowledged(client: Client, refused: boolean): void;
}

export type ClientState = 'new' | 'connecting' | 'subscribing' | 'ready' | 'closed';

export class Client {
  state: ClientState = 'new';
  /** Why the connection cannot go on; set once. */
  failure: string | undefined = undefined;
  /** Its part in the load. */
  readonly plan: ClientPlan;
  readonly identity: ClientIdentity;
  readonly outgoing = new Outgoing();
  lastSentAt: Ticks = 0;
  /** Publishes of QoS 1 and 2 that wait for their last acknowledgement. */
  unacknowledged = 0;
  /** PINGREQs without their PINGRESP. */
  pingsAwaited = 0;
  readonly #owner: ClientOwner;
  readonly #framer = new Framer(MAXIMUM_PACKET);
  #window = MAXIMUM_INFLIGHT;
  #subacksAwaited = 0;
  /** Bit by Packet Identifier; made by the first publish of QoS 1 or 2. */
  #inFlight: Uint32Array | undefined = undefined;
  #lastIdentifier = 0;
  /** Identifiers of QoS 2 messages that came and whose PUBREL has not. */
  #released: Set<PacketIdentifier> | undefined = undefined;

  constructor(plan: ClientPlan, identity: ClientIdentity, owner: ClientOwner) {
    this.plan = plan;
    this.identity = identity;
    this.#owner = owner;
  }

  /** The way to the broker is open: CONNECT goes first. */
  opened(): void {
    const { identity } = this;
    this.state = 'connecting';
    const { userName, password } = identity;
    const packet = {
      ...plainConnect,
      type: 'connect' as const,
      protocolVersion: identity.version,
      cleanStart: !identity.stored,
      keepAliveSeconds: identity.keepAliveSeconds,
      clientIdentifier: identity.clientIdentifier,
      userName,
      password: password === undefined ? undefined : Buffer.from(password),
      sessionExpiryInterval: identity.stored ? 0xffff_ffff : 0,
    };
    this.outgoing.append(encode(packet, identity.version));
  }

  /** Throws a ProtocolViolation where the broker sends what is no MQTT. */
  received(chunk: Uint8Array, now: Ticks): void {
    const framer = this.#framer;
    framer.push(chunk);
    while (this.failure === undefined && framer.next()) {
      const { bytes, start, end } = framer;
      if ((bytes[start] as number) >> 4 === 3) this.#message(bytes, start, end, now);
      else this.#answered(bytes, start, end, now);
    }
  }

  /** Whether one more publish may be under way, as far as the broker's Receive Maximum goes. [MQTT-3.3.4-9] */
  get hasWindow(): boolean {
    return this.unacknowledged < this.#window;
  }

  /** Sends `frame`, and returns where in `outgoing.bytes` its payload begins. At QoS 1 and 2 only with `hasWindow`. */
  publish(frame: PublishFrame): number {
    const at = this.outgoing.append(frame.bytes);
    if (frame.identifierAt > 0) {
      const identifier = this.#takeIdentifier();
      const { bytes } = this.outgoing;
      bytes[at + frame.identifierAt] = identifier >> 8;
      bytes[at + frame.identifierAt + 1] = identifier;
      this.unacknowledged++;
    }
    return at + frame.payloadAt;
  }

  ping(): void {
    this.pingsAwaited++;
    this.outgoing.append(encode({ type: 'pingreq' }, this.identity.version));
  }

  /** Ends a stored session with its connection, or leaves it; a 3.1.1 client cannot but leave it. */
  disconnect(session: 'ends' | 'stays' = 'ends'): void {
    const { version, stored } = this.identity;
    const packet = { type: 'disconnect' as const, reasonCode: ReasonCode.Success };
    this.outgoing.append(
      encode(
        stored && session === 'ends' ? { ...packet, sessionExpiryInterval: 0 } : packet,
        version,
      ),
    );
    this.state = 'closed';
  }

  #message(bytes: Uint8Array, start: number, end: number, now: Ticks): void {
    const qos = ((bytes[start] as number) >> 1) & 3;
    let at = start + 1;
    while ((bytes[at++] as number) > 127);
    at += 2 + (((bytes[at] as number) << 8) | (bytes[at + 1] as number));
    let isAgain = false;
    if (qos > 0) {
      const identifier = ((bytes[at] as number) << 8) | (bytes[at + 1] as number);
      at += 2;
      if (qos === 1) this.#answer('puback', identifier);
      else isAgain = this.#receiveTwice(identifier);
    }
    if (this.identity.version === 5) at = behindProperties(bytes, at);
    if (at > end) return this.#fail('the broker sent a PUBLISH that ends too early');
    if (!isAgain) this.#owner.message(this, bytes, at, end, now);
  }

  /** QoS 2: whether the message under this identifier is known, and must not count twice. [MQTT-4.3.3-10] */
  #receiveTwice(identifier: PacketIdentifier): boolean {
    this.#released ??= new Set();
    const isAgain = this.#released.has(identifier);
    this.#released.add(identifier);
    this.#answer('pubrec', identifier);
    return isAgain;
  }

  #answered(bytes: Uint8Array, start: number, end: number, now: Ticks): void {
    const packet = decode(bytes, start, end, this.identity.version);
    switch (packet.type) {
      case 'connack':
        return this.#connected(packet, now);
      case 'suback':
        return this.#subscribed(packet.reasonCodes, now);
      case 'puback':
      case 'pubcomp':
        return this.#settle(packet);
      case 'pubrec':
        if (packet.reasonCode >= 0x80) return this.#settle(packet);
        return this.#answer('pubrel', packet.packetIdentifier);
      case 'pubrel':
        this.#released?.delete(packet.packetIdentifier);
        return this.#answer('pubcomp', packet.packetIdentifier);
      case 'disconnect':
        return this.#fail(`the broker ended it: ${reasonName(packet.reasonCode)}`);
      case 'pingresp':
        if (this.pingsAwaited-- === 0) this.#fail('the broker sent a PINGRESP for no PINGREQ');
        return;
      default:
        return this.#fail(`the broker sent a ${packet.type.toUpperCase()}`);
    }
  }

  #connected({ reasonCode, receiveMaximum, reasonString }: Connack, now: Ticks): void {
    if (this.state !== 'connecting') return this.#fail('the broker sent a second CONNACK');
    if (reasonCode !== ReasonCode.Success) {
      const why = reasonString === undefined ? '' : ` (${reasonString})`;
      return this.#fail(`the broker refused it: ${reasonName(reasonCode)}${why}`);
    }
    this.#window = Math.min(MAXIMUM_INFLIGHT, receiveMaximum ?? MAXIMUM_INFLIGHT);
    this.#subscribe();
    if (this.#subacksAwaited === 0) this.#becomeReady(now);
  }

  #subscribe(): void {
    this.state = 'subscribing';
    const { qos, version } = this.identity;
    const { filters } = this.plan;
    for (let begin = 0; begin < filters.length; begin += FILTERS_PER_PACKET) {
      const subscriptions = filters.slice(begin, begin + FILTERS_PER_PACKET).map((topicFilter) => ({
        topicFilter,
        maximumQoS: qos,
        noLocal: false,
        retainAsPublished: false,
        retainHandling: 0 as const,
      }));
      const packetIdentifier = ++this.#subacksAwaited;
      const packet = { type: 'subscribe' as const, packetIdentifier, subscriptions };
      this.outgoing.append(encode({ ...packet, subscriptionIdentifier: undefined }, version));
    }
  }

  #subscribed(reasonCodes: readonly ReasonCode[], now: Ticks): void {
    const refused = reasonCodes.find((code) => code >= 0x80);
    if (refused !== undefined) {
      return this.#fail(`the broker refused a subscription: ${reasonName(refused)}`);
    }
    if (this.state === 'subscribing' && --this.#subacksAwaited === 0) this.#becomeReady(now);
  }

  #becomeReady(now: Ticks): void {
    this.state = 'ready';
    this.#owner.ready(this, now);
  }

  #settle({ type, packetIdentifier, reasonCode }: Acknowledgement): void {
    const word = packetIdentifier >> 5;
    const bit = 1 << (packetIdentifier & 31);
    const held = this.#inFlight?.[word] ?? 0;
    if (this.#inFlight === undefined || (held & bit) === 0) {
      return this.#fail(`the broker sent a ${type.toUpperCase()} for what was not sent`);
    }
    this.#inFlight[word] = held & ~bit;
    this.unacknowledged--;
    this.#owner.acknowledged(this, reasonCode >= 0x80);
  }

  #takeIdentifier(): PacketIdentifier {
    this.#inFlight ??= new Uint32Array(IDENTIFIERS / 32 + 1);
    let identifier = this.#lastIdentifier;
    do {
      identifier = identifier === IDENTIFIERS ? 1 : identifier + 1;
    } while (((this.#inFlight[identifier >> 5] as number) & (1 << (identifier & 31))) !== 0);
    const word = identifier >> 5;
    this.#inFlight[word] = (this.#inFlight[word] as number) | (1 << (identifier & 31));
    this.#lastIdentifier = identifier;
    return identifier;
  }

  #answer(type: Acknowledgement['type'], identifier: PacketIdentifier): void {
    const { version } = this.identity;
    this.outgoing.append(encodeAcknowledgement(type, identifier, ReasonCode.Success, version));
  }

  #fail(detail: string): void {
    this.failure ??= detail;
  }
}

/** The index behind the properties of an MQTT 5 packet that begin at `at`. */
function behindProperties(bytes: Uint8Array, at: number): number {
  let length = 0;
  let next = at;
  let byte = 128;
  for (let shift = 0; byte > 127 && shift < 28; shift += 7) {
    byte = bytes[next++] as number;
    length |= (byte & 127) << shift;
  }
  return next + length;
}
