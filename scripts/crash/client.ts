/**
 * An MQTT client that remembers, over any number of connections, what the standard has a client
 * remember (section 4.1): what it has in flight and which QoS 2 messages it has taken. It reconnects
 * until it is told to stop, so that a broker that is killed under it loses nothing by its fault.
 */
import type { Socket } from 'bun';
import { decode, encode } from '../../core/mqtt/codec.ts';
import { Framer } from '../../core/mqtt/framing.ts';
import type { Acknowledgement, Packet, Publish, QoS } from '../../core/mqtt/packet.ts';
import { ReasonCode } from '../../core/mqtt/reason-code.ts';

export interface CrashClientOptions {
  readonly port: number;
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

const RETRY_MS = 10;
const bytesOf = new TextEncoder();
const textOf = new TextDecoder();

export class CrashClient {
  readonly #options: CrashClientOptions;
  /** In the order of their first sending, over all connections. */
  readonly #outgoing = new Map<number, Outgoing>();
  /** QoS 2 messages taken and not released by the broker. */
  readonly #taken = new Set<number>();
  #identifier = 0;
  #socket: Socket | undefined = undefined;
  #framer = new Framer(1 << 20);
  #open = false;
  #started = false;
  /** Which start is the present one: what an earlier one left behind has no say. */
  #life = 0;
  #subscribed = false;
  #subscribeIdentifier = 0;
  /** Called when there is room for another message. */
  onRoom: () => void = () => {};
  /** Resolves once CONNACK and, the first time, SUBACK have come. */
  onReady: () => void = () => {};
  readonly refusals: string[] = [];

  constructor(options: CrashClientOptions) {
    this.#options = options;
  }

  get inFlight(): number {
    return this.#outgoing.size;
  }

  get open(): boolean {
    return this.#open;
  }

  start(): void {
    if (this.#started) return;
    this.#started = true;
    void this.#connect(++this.#life);
  }

  /** Leaves without a word, as a phone in a tunnel. */
  drop(): void {
    this.#started = false;
    this.#life++;
    this.#open = false;
    this.#socket?.terminate();
    this.#socket = undefined;
  }

  publish(
    topic: string,
    payload: string,
    qos: 1 | 2,
    retain: boolean,
    acknowledged: () => void,
  ): void {
    do this.#identifier = (this.#identifier % 65_535) + 1;
    while (this.#outgoing.has(this.#identifier));
    const message = { topic, payload, qos, retain, released: false, acknowledged };
    this.#outgoing.set(this.#identifier, message);
    if (this.#open) this.#sendPublish(this.#identifier, message, false);
  }

  async #connect(life: number): Promise<void> {
    while (life === this.#life) {
      try {
        const socket = await Bun.connect({
          hostname: '127.0.0.1',
          port: this.#options.port,
          socket: {
            data: (from, data) => {
              if (from === this.#socket) this.#read(data);
            },
            close: (from) => {
              if (from === this.#socket) this.#closed(life);
            },
            error: () => {},
            open: () => {},
          },
        });
        if (life !== this.#life) return void socket.terminate();
        this.#framer = new Framer(1 << 20);
        this.#socket = socket;
        this.#sendConnect();
        return;
      } catch {
        await Bun.sleep(RETRY_MS);
      }
    }
  }

  #closed(life: number): void {
    this.#open = false;
    this.#socket = undefined;
    setTimeout(() => void this.#connect(life), RETRY_MS);
  }

  #send(packet: Packet): void {
    this.#socket?.write(encode(packet, this.#options.version));
  }

  #sendConnect(): void {
    const { clientIdentifier, token, version, will } = this.#options;
    this.#send({
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
      maximumPacketSize: undefined,
      topicAliasMaximum: 0,
      requestResponseInformation: false,
      requestProblemInformation: true,
      authenticationMethod: undefined,
      authenticationData: undefined,
      userProperties: undefined,
    });
  }

  #sendPublish(packetIdentifier: number, message: Outgoing, dup: boolean): void {
    const { topic, payload, qos, retain } = message;
    this.#send({
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
    this.#send({ type, packetIdentifier, reasonCode: ReasonCode.Success });
  }

  #read(data: Uint8Array): void {
    this.#framer.push(new Uint8Array(data));
    while (this.#framer.next()) {
      const { bytes, start, end } = this.#framer;
      this.#handle(decode(bytes, start, end, this.#options.version));
    }
  }

  #handle(packet: Packet): void {
    switch (packet.type) {
      case 'connack':
        return this.#connected(packet.reasonCode, packet.sessionPresent);
      case 'suback':
        if (packet.packetIdentifier !== this.#subscribeIdentifier) return;
        this.#subscribed = true;
        return this.onReady();
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

  #connected(reasonCode: ReasonCode, sessionPresent: boolean): void {
    if (reasonCode !== ReasonCode.Success) {
      this.refusals.push(`CONNACK 0x${reasonCode.toString(16)}`);
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
    do this.#identifier = (this.#identifier % 65_535) + 1;
    while (this.#outgoing.has(this.#identifier));
    this.#subscribeIdentifier = this.#identifier;
    this.#send({
      type: 'subscribe',
      packetIdentifier: this.#identifier,
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
