/**
 * The MQTT 5.0 client of a remote handler process, without a socket: bytes that came go in, bytes to
 * send go out. Its session outlives connections, so that the broker delivers again what was not
 * acknowledged; and it acknowledges when it is told to, which may be on a later connection.
 */
import { decode, encode, encodeAcknowledgement } from '../mqtt/codec.ts';
import { Framer } from '../mqtt/framing.ts';
import {
  type Acknowledgement,
  type Connack,
  type Message,
  type PacketIdentifier,
  type Publish,
  plainConnect,
  type SubscriptionAcknowledgement,
} from '../mqtt/packet.ts';
import { ProtocolViolation, ReasonCode } from '../mqtt/reason-code.ts';
import { LAST_SEND_IDENTIFIER, Sends } from './remote-sends.ts';

/** Where a token is published to renew it. */
const TOKEN_TOPIC = '$token';
/** The largest packet of the standard: the broker has its own limit. */
const MAXIMUM_PACKET = 256 * 1024 * 1024;
/** How long the broker may take to answer CONNECT. */
const CONNACK_MS = 20_000;
/** Filters of one UNSUBSCRIBE. */
const FILTERS_PER_PACKET = 64;
/** Packet Identifiers of SUBSCRIBE, UNSUBSCRIBE and new tokens go round from here on. */
const FIRST_OWN_IDENTIFIER = LAST_SEND_IDENTIFIER + 1;
/** How long a message waits that the broker has no room for, at first and at most; and how often. */
const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 10_000;
const MOST_REFUSALS = 12;

export interface ClientOptions {
  readonly clientIdentifier: string;
  readonly sessionExpirySeconds: number;
  /** Most commands that are not acknowledged. */
  readonly receiveMaximum: number;
  readonly keepAliveSeconds: number;
}

/** A Topic Filter to subscribe to, and what deliveries by it are marked with. */
export interface Wanted {
  readonly filter: string;
  readonly identifier: number;
}

export interface ClientListener {
  write(bytes: Uint8Array): void;
  /** CONNACK: it is connected. */
  connected(sessionPresent: boolean): void;
  /** CONNACK, or the DISCONNECT of the broker: it is over, or never was. */
  ended(reasonCode: ReasonCode, detail: string | undefined, connected: boolean): void;
  /** The broker does not keep to the standard. */
  violated(detail: string): void;
  /** A message came. What it points into is good for now only. */
  delivered(packet: Publish): void;
  /** More sends are settled. */
  settled(): void;
  refused(message: Message, reasonCode: ReasonCode, detail: string | undefined): void;
  subscribed(filter: string, reasonCode: ReasonCode): void;
  unsubscribed(filters: readonly string[]): void;
  /** Whether the broker took the new token. */
  renewed(reasonCode: ReasonCode, detail: string | undefined): void;
}

type Phase = 'closed' | 'connecting' | 'open';

export class RemoteClient {
  readonly sends = new Sends();
  /** Grows with each connection: Packet Identifiers of deliveries belong to one. */
  connection = 0;
  readonly #options: ClientOptions;
  readonly #listener: ClientListener;
  #phase: Phase = 'closed';
  #framer = new Framer(MAXIMUM_PACKET);
  /** What the broker allows. */
  #maximumPacketSize = MAXIMUM_PACKET;
  #retainAvailable = true;
  #keepAliveMs = 0;
  #heardAtMs = 0;
  #saidAtMs = 0;
  /** SUBSCRIBEs and UNSUBSCRIBEs that are not answered, by Packet Identifier. */
  readonly #asked = new Map<PacketIdentifier, string>();
  readonly #unasked = new Map<PacketIdentifier, readonly string[]>();
  #renewing: PacketIdentifier | undefined = undefined;
  #lastOwnIdentifier = FIRST_OWN_IDENTIFIER;
  #now = 0;

  constructor(options: ClientOptions, listener: ClientListener) {
    this.#options = options;
    this.#listener = listener;
  }

  get open(): boolean {
    return this.#phase === 'open';
  }

  /** The transport stands. */
  begin(token: string, now: number): void {
    this.#phase = 'connecting';
    this.#framer = new Framer(MAXIMUM_PACKET);
    this.#heardAtMs = now;
    this.#now = now;
    const { clientIdentifier, sessionExpirySeconds, receiveMaximum } = this.#options;
    this.#write(
      encode(
        {
          ...plainConnect,
          type: 'connect',
          protocolVersion: 5,
          cleanStart: false,
          keepAliveSeconds: this.#options.keepAliveSeconds,
          clientIdentifier,
          userName: 'JWT',
          password: Buffer.from(token),
          sessionExpiryInterval: sessionExpirySeconds,
          receiveMaximum,
        },
        5,
      ),
    );
  }

  /** The transport is gone. */
  lost(): void {
    this.#phase = 'closed';
    this.#asked.clear();
    this.#unasked.clear();
    this.#renewing = undefined;
    this.sends.detach();
  }

  received(bytes: Uint8Array, now: number): void {
    this.#now = now;
    this.#heardAtMs = now;
    try {
      this.#framer.push(bytes);
      while (this.#phase !== 'closed' && this.#framer.next()) this.#take();
    } catch (error) {
      if (!(error instanceof ProtocolViolation)) throw error;
      this.#listener.violated(error.message);
      return;
    }
    this.flush(now);
  }

  subscribe(wanted: readonly Wanted[]): void {
    // One SUBSCRIBE has one Subscription Identifier.
    for (const { filter, identifier } of wanted) {
      const packetIdentifier = this.#nextIdentifier();
      this.#asked.set(packetIdentifier, filter);
      const subscription = { topicFilter: filter, maximumQoS: 1, noLocal: false } as const;
      this.#write(
        encode(
          {
            type: 'subscribe',
            packetIdentifier,
            subscriptionIdentifier: identifier,
            subscriptions: [{ ...subscription, retainAsPublished: false, retainHandling: 2 }],
          },
          5,
        ),
      );
    }
  }

  unsubscribe(filters: readonly string[]): void {
    for (let at = 0; at < filters.length; at += FILTERS_PER_PACKET) {
      const topicFilters = filters.slice(at, at + FILTERS_PER_PACKET);
      const packetIdentifier = this.#nextIdentifier();
      this.#unasked.set(packetIdentifier, topicFilters);
      this.#write(encode({ type: 'unsubscribe', packetIdentifier, topicFilters }, 5));
    }
  }

  /** Puts a new token in place of the one that it connected with. */
  renew(token: string): void {
    if (!this.open) return;
    this.#renewing = this.#nextIdentifier();
    this.#write(
      encode(
        {
          type: 'publish',
          dup: false,
          qos: 1,
          retain: false,
          topic: TOKEN_TOPIC,
          packetIdentifier: this.#renewing,
          topicAlias: undefined,
          messageExpiryInterval: undefined,
          subscriptionIdentifiers: undefined,
          properties: undefined,
          payload: Buffer.from(token),
        },
        5,
      ),
    );
  }

  /** PUBACK of a delivery of this connection. */
  acknowledge(packetIdentifier: PacketIdentifier): void {
    // In a buffer of its own: the next one would overwrite it.
    this.#write(
      new Uint8Array(encodeAcknowledgement('puback', packetIdentifier, ReasonCode.Success, 5)),
    );
  }

  /** Takes a message to be sent; tells why where it never can be. */
  send(message: Message, now: number): string | undefined {
    if (message.retain && !this.#retainAvailable) return 'the broker keeps no retained messages';
    const frame = publishFrame(message, 1, 1, false, now);
    if (frame.length > this.#maximumPacketSize) {
      return `the broker takes packets of ${this.#maximumPacketSize} bytes at most`;
    }
    this.sends.add(message);
    return undefined;
  }

  /** Writes what may be sent. */
  flush(now: number): void {
    if (!this.open) return;
    const { settled } = this.sends;
    for (let next = this.sends.next(now); next !== undefined; next = this.sends.next(now)) {
      const { message, qos, packetIdentifier, dup } = next;
      this.#write(publishFrame(message, qos, packetIdentifier, dup, now));
    }
    if (this.sends.settled !== settled) this.#listener.settled();
  }

  /** Ends the connection; the session stays for as long as it was asked to. */
  disconnect(): void {
    if (this.#phase === 'closed') return;
    this.#write(encode({ type: 'disconnect', reasonCode: ReasonCode.Success }, 5));
  }

  /** Time has passed. False where nothing has come for too long: the connection is dead. */
  passed(now: number): boolean {
    this.#now = now;
    if (this.#phase === 'connecting') return now - this.#heardAtMs <= CONNACK_MS;
    if (!this.open) return true;
    this.flush(now);
    if (this.#keepAliveMs === 0) return true;
    if (now - this.#heardAtMs > this.#keepAliveMs * 1.5) return false;
    const quietMs = now - Math.min(this.#heardAtMs, this.#saidAtMs);
    if (quietMs >= this.#keepAliveMs / 2 && now - this.#saidAtMs >= this.#keepAliveMs / 4) {
      this.#write(encode({ type: 'pingreq' }, 5));
    }
    return true;
  }

  #take(): void {
    const { bytes, start, end } = this.#framer;
    const packet = decode(bytes, start, end, 5);
    if (this.#phase === 'connecting') {
      if (packet.type !== 'connack') throw unexpected(packet.type);
      return this.#connacked(packet);
    }
    switch (packet.type) {
      case 'publish':
        return this.#listener.delivered(packet);
      case 'puback':
        return this.#acknowledged(packet);
      case 'suback':
        return this.#answered(packet);
      case 'unsuback':
        this.#listener.unsubscribed(this.#unasked.get(packet.packetIdentifier) ?? []);
        this.#unasked.delete(packet.packetIdentifier);
        return;
      case 'pingresp':
        return;
      case 'disconnect':
        this.#phase = 'closed';
        return this.#listener.ended(packet.reasonCode, packet.reasonString, true);
      default:
        throw unexpected(packet.type);
    }
  }

  #connacked(packet: Connack): void {
    const { reasonCode, reasonString } = packet;
    if (reasonCode !== ReasonCode.Success) {
      this.#phase = 'closed';
      return this.#listener.ended(reasonCode, reasonString, false);
    }
    this.#phase = 'open';
    this.connection++;
    this.#maximumPacketSize = packet.maximumPacketSize ?? MAXIMUM_PACKET;
    this.#retainAvailable = packet.retainAvailable ?? true;
    const keepAliveSeconds = packet.serverKeepAliveSeconds ?? this.#options.keepAliveSeconds;
    this.#keepAliveMs = keepAliveSeconds * 1_000;
    this.sends.attach(packet.receiveMaximum ?? 65_535, packet.sessionPresent);
    this.#listener.connected(packet.sessionPresent);
  }

  #acknowledged({ packetIdentifier, reasonCode, reasonString }: Acknowledgement): void {
    if (packetIdentifier === this.#renewing) {
      this.#renewing = undefined;
      return this.#listener.renewed(reasonCode, reasonString);
    }
    const send = this.sends.get(packetIdentifier);
    if (send === undefined) return;
    if (isForNow(reasonCode) && send.refusals < MOST_REFUSALS) {
      const pauseMs = Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** send.refusals);
      return this.sends.postpone(packetIdentifier, this.#now + pauseMs);
    }
    this.sends.end(packetIdentifier);
    if (reasonCode >= ReasonCode.UnspecifiedError) {
      this.#listener.refused(send.message, reasonCode, reasonString);
    }
    this.#listener.settled();
  }

  #answered({ packetIdentifier, reasonCodes }: SubscriptionAcknowledgement): void {
    const filter = this.#asked.get(packetIdentifier);
    const [reasonCode] = reasonCodes;
    this.#asked.delete(packetIdentifier);
    if (filter !== undefined && reasonCode !== undefined) {
      this.#listener.subscribed(filter, reasonCode);
    }
  }

  #nextIdentifier(): PacketIdentifier {
    this.#lastOwnIdentifier =
      this.#lastOwnIdentifier === 0xffff ? FIRST_OWN_IDENTIFIER : this.#lastOwnIdentifier + 1;
    return this.#lastOwnIdentifier;
  }

  #write(bytes: Uint8Array): void {
    this.#saidAtMs = this.#now;
    this.#listener.write(bytes);
  }
}

/** Whether the broker may have room for it later. */
function isForNow(reasonCode: ReasonCode): boolean {
  return (
    reasonCode === ReasonCode.QuotaExceeded ||
    reasonCode === ReasonCode.ImplementationSpecificError ||
    reasonCode === ReasonCode.UnspecifiedError
  );
}

function unexpected(type: string): ProtocolViolation {
  const detail = `the broker sent ${type.toUpperCase()} out of turn`;
  return new ProtocolViolation(ReasonCode.ProtocolError, '', detail);
}

function publishFrame(
  message: Message,
  qos: 0 | 1 | 2,
  packetIdentifier: PacketIdentifier,
  dup: boolean,
  now: number,
): Uint8Array {
  const { topic, retain, expiresAtMs, properties, payload } = message;
  const lasts = expiresAtMs === Number.POSITIVE_INFINITY;
  return encode(
    {
      type: 'publish',
      dup,
      qos,
      retain,
      topic,
      packetIdentifier,
      topicAlias: undefined,
      messageExpiryInterval: lasts
        ? undefined
        : Math.max(1, Math.ceil((expiresAtMs - now) / 1_000)),
      subscriptionIdentifiers: undefined,
      properties,
      payload,
    },
    5,
  );
}
