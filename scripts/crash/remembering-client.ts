/**
 * An MQTT client that remembers, over any number of connections, what the standard has a client
 * remember (section 4.1): what it has in flight and which QoS 2 messages it has taken. It moves no
 * bytes itself, so that it can stand behind a socket or in a simulation.
 */
import { decode, encode } from '../../core/mqtt/codec.ts';
import { Framer } from '../../core/mqtt/framing.ts';
import {
  type Acknowledgement,
  type Packet,
  type Publish,
  plainConnect,
  type QoS,
} from '../../core/mqtt/packet.ts';
import { ReasonCode } from '../../core/mqtt/reason-code.ts';

export interface RememberingClientOptions {
  readonly clientIdentifier: string;
  readonly token: string;
  readonly version: 4 | 5;
  readonly subscriptions: readonly { readonly topicFilter: string; readonly qos: QoS }[];
  readonly will?: {
    readonly topic: string;
    readonly payload: string;
    readonly delaySeconds: number;
  };
  /** A message that was not taken before: QoS 2 once, QoS 1 at least once. */
  readonly received?: (topic: string, payload: string, packet: Publish) => void;
}

interface Outgoing {
  readonly topic: string;
  readonly payload: string;
  readonly qos: 1 | 2;
  readonly retain: boolean;
  /** PUBREC came: PUBREL stands in its place. */
  released: boolean;
  readonly acknowledged: () => void;
}

const MAXIMUM_IDENTIFIER = 65_535;
const MAXIMUM_PACKET = 1 << 20;
const bytesOf = new TextEncoder();
const textOf = new TextDecoder();

export class RememberingClient {
  readonly #options: RememberingClientOptions;
  /** In the order of their first sending, over all connections. */
  readonly #outgoing = new Map<number, Outgoing>();
  /** QoS 2 messages taken and not released by the broker. */
  readonly #taken = new Set<number>();
  #identifier = 0;
  #framer = new Framer(MAXIMUM_PACKET);
  #send: (bytes: Uint8Array) => void = () => {};
  #open = false;
  #subscribed = false;
  #subscribeIdentifier = 0;
  /** Called when there is room for another message. */
  onRoom: () => void = () => {};
  /** Called once CONNACK and, the first time, SUBACK have come. */
  onReady: () => void = () => {};
  /** What the broker refused, as `puback 0x97`; such a message is not sent again. */
  readonly refusals: string[] = [];

  constructor(options: RememberingClientOptions) {
    this.#options = options;
  }

  get inFlight(): number {
    return this.#outgoing.size;
  }

  /** CONNACK has come on the present connection. */
  get open(): boolean {
    return this.#open;
  }

  /** A connection stands; what the client has to say goes to `send`. */
  connected(send: (bytes: Uint8Array) => void): void {
    this.#framer = new Framer(MAXIMUM_PACKET);
    this.#send = send;
    this.#sendConnect();
  }

  /** The connection is gone. */
  lost(): void {
    this.#open = false;
    this.#send = () => {};
  }

  /** Bytes came from the broker. They must not change afterwards. */
  read(bytes: Uint8Array): void {
    this.#framer.push(bytes);
    while (this.#framer.next()) {
      const { bytes: frames, start, end } = this.#framer;
      this.#handle(decode(frames, start, end, this.#options.version));
    }
  }

  publish(
    topic: string,
    payload: string,
    qos: 1 | 2,
    retain: boolean,
    acknowledged: () => void,
  ): void {
    const packetIdentifier = this.#nextIdentifier();
    const message = { topic, payload, qos, retain, released: false, acknowledged };
    this.#outgoing.set(packetIdentifier, message);
    if (this.#open) this.#sendPublish(packetIdentifier, message, false);
  }

  #nextIdentifier(): number {
    do this.#identifier = (this.#identifier % MAXIMUM_IDENTIFIER) + 1;
    while (this.#outgoing.has(this.#identifier));
    return this.#identifier;
  }

  #write(packet: Packet): void {
    this.#send(encode(packet, this.#options.version));
  }

  #sendConnect(): void {
    const { clientIdentifier, token, version, will } = this.#options;
    this.#write({
      ...plainConnect,
      type: 'connect',
      protocolVersion: version,
      cleanStart: false,
      keepAliveSeconds: 0,
      clientIdentifier,
      userName: 'JWT',
      password: bytesOf.encode(token),
      will: will && {
        topic: will.topic,
        payload: bytesOf.encode(will.payload),
        qos: 1,
        retain: false,
        delaySeconds: will.delaySeconds,
        messageExpiryInterval: undefined,
        properties: undefined,
      },
      sessionExpiryInterval: version === 5 ? 86_400 : 0xffff_ffff,
      receiveMaximum: version === 5 ? 50 : 65_535,
    });
  }

  #sendPublish(packetIdentifier: number, message: Outgoing, dup: boolean): void {
    const { topic, payload, qos, retain } = message;
    this.#write({
      type: 'publish',
      dup,
      qos,
      retain,
      topic,
      packetIdentifier,
      topicAlias: undefined,
      messageExpiryInterval: undefined,
      subscriptionIdentifiers: undefined,
      properties: undefined,
      payload: bytesOf.encode(payload),
    });
  }

  #answer(type: Acknowledgement['type'], packetIdentifier: number): void {
    this.#write({ type, packetIdentifier, reasonCode: ReasonCode.Success });
  }

  #handle(packet: Packet): void {
    switch (packet.type) {
      case 'connack':
        return this.#accepted(packet.reasonCode, packet.sessionPresent);
      case 'suback':
        if (packet.packetIdentifier !== this.#subscribeIdentifier) return;
        return this.#answered(packet.reasonCodes[0] ?? ReasonCode.UnspecifiedError);
      case 'publish':
        return this.#take(packet);
      case 'pubrel':
        this.#taken.delete(packet.packetIdentifier);
        return this.#answer('pubcomp', packet.packetIdentifier);
      case 'puback':
      case 'pubcomp':
        return this.#done(packet);
      case 'pubrec':
        return this.#release(packet);
      default:
    }
  }

  #accepted(reasonCode: ReasonCode, sessionPresent: boolean): void {
    if (reasonCode !== ReasonCode.Success) {
      this.refusals.push(`connack 0x${reasonCode.toString(16)}`);
      return;
    }
    if (!sessionPresent) {
      // The broker knows nothing of earlier exchanges: whatever was taken is over.
      this.#taken.clear();
      this.#subscribed = false;
    }
    this.#open = true;
    for (const [packetIdentifier, message] of this.#outgoing) {
      if (message.released) this.#answer('pubrel', packetIdentifier);
      else this.#sendPublish(packetIdentifier, message, true);
    }
    const { subscriptions } = this.#options;
    if (this.#subscribed || subscriptions.length === 0) this.onReady();
    else this.#subscribe();
    this.onRoom();
  }

  #subscribe(): void {
    this.#subscribeIdentifier = this.#nextIdentifier();
    this.#write({
      type: 'subscribe',
      packetIdentifier: this.#subscribeIdentifier,
      subscriptionIdentifier: undefined,
      subscriptions: this.#options.subscriptions.map(({ topicFilter, qos }) => ({
        topicFilter,
        maximumQoS: qos,
        noLocal: false,
        retainAsPublished: false,
        retainHandling: 0,
      })),
    });
  }

  /** SUBACK came: where the disk fails it is a refusal, and asked for again with the next connection. */
  #answered(reasonCode: ReasonCode): void {
    if (reasonCode >= ReasonCode.UnspecifiedError) {
      this.refusals.push(`suback 0x${reasonCode.toString(16)}`);
      return;
    }
    this.#subscribed = true;
    this.onReady();
  }

  #take(packet: Publish): void {
    const { qos, packetIdentifier, topic } = packet;
    if (qos === 2 && this.#taken.has(packetIdentifier)) {
      return this.#answer('pubrec', packetIdentifier);
    }
    this.#options.received?.(topic, textOf.decode(packet.payload), packet);
    if (qos === 1) this.#answer('puback', packetIdentifier);
    if (qos === 2) {
      this.#taken.add(packetIdentifier);
      this.#answer('pubrec', packetIdentifier);
    }
  }

  #done(packet: Acknowledgement): void {
    const message = this.#outgoing.get(packet.packetIdentifier);
    if (message === undefined || (message.qos === 2 && !message.released)) return;
    this.#outgoing.delete(packet.packetIdentifier);
    // PUBCOMP may say that the identifier is free already: its first PUBCOMP was lost with a connection.
    const over =
      packet.type === 'pubcomp' && packet.reasonCode === ReasonCode.PacketIdentifierNotFound;
    if (packet.reasonCode >= ReasonCode.UnspecifiedError && !over) {
      this.refusals.push(`${packet.type} 0x${packet.reasonCode.toString(16)}`);
    } else message.acknowledged();
    this.onRoom();
  }

  #release(packet: Acknowledgement): void {
    const message = this.#outgoing.get(packet.packetIdentifier);
    if (packet.reasonCode >= ReasonCode.UnspecifiedError) {
      this.refusals.push(`pubrec 0x${packet.reasonCode.toString(16)}`);
      this.#outgoing.delete(packet.packetIdentifier);
      return this.onRoom();
    }
    if (message !== undefined) message.released = true;
    this.#answer('pubrel', packet.packetIdentifier);
  }
}
