/**
 * A simulated client that does what the standard asks of clients: it keeps its Packet Identifiers and
 * unfinished exchanges across connections, sends them again with DUP in order, takes a QoS 2 message
 * once, and stays within what CONNACK granted.
 */
import type {
  Acknowledgement,
  Connect,
  Packet,
  ProtocolVersion,
  Publish,
} from '../../core/mqtt/packet.ts';
import { ReasonCode } from '../../core/mqtt/reason-code.ts';
import { check } from './failure.ts';
import type { Link } from './network.ts';
import type { Random } from './random.ts';
import type { Delivery, ModelSession } from './state.ts';

/** Few, so that they come round while something is still under way. */
const IDENTIFIERS = 25;

export class SimClient {
  readonly user: string;
  readonly clientIdentifier: string;
  readonly version: ProtocolVersion;
  readonly #random: Random;
  /** The connection that it uses now; undefined while it has none. */
  link: Link | undefined = undefined;
  /** CONNACK has accepted it. */
  ready = false;
  /** It threw its state away for a Clean Start, and has not heard that the broker did as well. */
  mustStartClean = false;
  /** Enhanced authentication was used, so that AUTH may renew the token. */
  byAuth = false;
  renewing = false;
  /** Its own unfinished QoS 1 and 2 messages, oldest first. */
  readonly outgoing = new Map<number, { packet: Publish; released: boolean }>();
  /** QoS 2 messages received and not released. */
  readonly incoming = new Set<number>();
  /** Identifiers of SUBSCRIBE and UNSUBSCRIBE under way. */
  readonly #asking = new Set<number>();
  #lastIdentifier = 0;
  #session: ModelSession | undefined = undefined;
  /** It lets the broker choose its Client Identifier now. */
  #nameless = false;
  receiveMaximum = 65_535;
  mayRetain = true;
  topicAliasMaximum = 0;
  readonly #aliases = new Map<string, number>();

  constructor(user: string, clientIdentifier: string, version: ProtocolVersion, random: Random) {
    this.user = user;
    this.clientIdentifier = clientIdentifier;
    this.version = version;
    this.#random = random;
  }

  toString(): string {
    return `${this.user}/${this.clientIdentifier}`;
  }

  /** Uses `link` from now on. What it wrote to an earlier one may still arrive. */
  use(link: Link, packet: Connect): void {
    if (this.#nameless) this.#forget(); // that session is gone, and this is another one
    this.#nameless = packet.clientIdentifier === '';
    if (packet.cleanStart && !this.#nameless) {
      this.#forget(); // [MQTT-3.1.2-4]
      this.mustStartClean = true;
    }
    this.link = link;
    this.ready = false;
    this.renewing = false;
    this.byAuth = packet.authenticationMethod !== undefined;
    this.receiveMaximum = 65_535;
    this.mayRetain = true;
    this.topicAliasMaximum = 0;
    this.#aliases.clear();
    this.#asking.clear();
    for (const [identifier, { packet }] of this.outgoing) {
      if (packet.topic === '$token') this.outgoing.delete(identifier); // good for its connection alone
    }
  }

  /** Whether nothing is unfinished, so that it may be somebody else for once. */
  get idle(): boolean {
    return this.outgoing.size === 0 && this.incoming.size === 0;
  }

  #forget(): void {
    this.outgoing.clear();
    this.incoming.clear();
  }

  leave(): void {
    this.link = undefined;
    this.ready = false;
  }

  get canPublish(): boolean {
    return this.ready && this.outgoing.size < Math.min(this.receiveMaximum, IDENTIFIERS - 5);
  }

  /** Publishes; `packet` has no Packet Identifier yet. */
  publish(packet: Publish, useAlias: boolean): void {
    const { link } = this;
    check(link !== undefined, 'a client without a connection publishes');
    const retain = packet.retain && (this.version !== 5 || this.mayRetain);
    const packetIdentifier = packet.qos === 0 ? 0 : this.#freshIdentifier();
    const whole = { ...packet, retain, packetIdentifier };
    if (packet.qos > 0) this.outgoing.set(packetIdentifier, { packet: whole, released: false });
    link.write(useAlias && this.topicAliasMaximum > 0 ? this.#aliased(whole) : whole);
  }

  #aliased(packet: Publish): Publish {
    const known = this.#aliases.get(packet.topic);
    if (known !== undefined && this.#random.chance(0.8)) {
      return { ...packet, topic: '', topicAlias: known };
    }
    // A new meaning for an alias replaces the old one.
    const topicAlias = this.#random.between(1, this.topicAliasMaximum);
    for (const [topic, alias] of this.#aliases)
      if (alias === topicAlias) this.#aliases.delete(topic);
    this.#aliases.set(packet.topic, topicAlias);
    return { ...packet, topicAlias };
  }

  /** An identifier for SUBSCRIBE or UNSUBSCRIBE. */
  ask(): number {
    const identifier = this.#freshIdentifier();
    this.#asking.add(identifier);
    return identifier;
  }

  get canAsk(): boolean {
    return this.ready && this.#asking.size < 4;
  }

  #freshIdentifier(): number {
    do this.#lastIdentifier = (this.#lastIdentifier % IDENTIFIERS) + 1;
    while (this.outgoing.has(this.#lastIdentifier) || this.#asking.has(this.#lastIdentifier));
    return this.#lastIdentifier;
  }

  /** Reads a packet. `delivery` is what the model knows a PUBLISH by, `session` whose it is by now. */
  read(packet: Packet, delivery: Delivery | undefined, session: ModelSession | undefined): void {
    const { link } = this;
    if (link === undefined) return;
    switch (packet.type) {
      case 'connack':
        if (packet.reasonCode !== ReasonCode.Success) return;
        this.ready = true;
        this.mustStartClean = false;
        this.receiveMaximum = packet.receiveMaximum ?? 65_535;
        this.mayRetain = packet.retainAvailable ?? true;
        this.topicAliasMaximum = packet.topicAliasMaximum ?? 0;
        return this.#resume(link, packet.sessionPresent, session);
      case 'publish':
        return this.#take(link, packet, delivery);
      case 'pubrel': {
        const known = this.incoming.delete(packet.packetIdentifier);
        const code = known ? ReasonCode.Success : ReasonCode.PacketIdentifierNotFound;
        return this.#answer(link, 'pubcomp', packet.packetIdentifier, code);
      }
      case 'puback':
      case 'pubcomp':
        this.outgoing.delete(packet.packetIdentifier);
        return;
      case 'pubrec': {
        const exchange = this.outgoing.get(packet.packetIdentifier);
        if (packet.reasonCode >= ReasonCode.UnspecifiedError) {
          this.outgoing.delete(packet.packetIdentifier);
          return;
        }
        if (exchange !== undefined) exchange.released = true;
        return this.#answer(link, 'pubrel', packet.packetIdentifier, ReasonCode.Success);
      }
      case 'suback':
      case 'unsuback':
        this.#asking.delete(packet.packetIdentifier);
        return;
      case 'auth':
        this.renewing = false;
        return;
      default:
    }
  }

  #resume(link: Link, sessionPresent: boolean, session: ModelSession | undefined): void {
    // A 3.1 client is not told whether the broker still has its session; this one guesses right.
    const resumed = this.version === 3 ? session === this.#session : sessionPresent;
    this.#session = session;
    if (!resumed) this.#forget();
    for (const [packetIdentifier, { packet, released }] of this.outgoing) {
      const retain = packet.retain && (this.version !== 5 || this.mayRetain);
      if (released) this.#answer(link, 'pubrel', packetIdentifier, ReasonCode.Success);
      else link.write({ ...packet, retain, dup: true });
    }
  }

  #take(link: Link, packet: Publish, delivery: Delivery | undefined): void {
    check(delivery !== undefined, 'a PUBLISH that the model does not know');
    const { qos, packetIdentifier } = packet;
    // Now and then a 5.0 client will not have a message.
    const refuses = this.version === 5 && this.#random.chance(0.02);
    const code = refuses ? ReasonCode.ImplementationSpecificError : ReasonCode.Success;
    if (qos === 1) return this.#answer(link, 'puback', packetIdentifier, code);
    if (qos === 0) return;
    if (this.incoming.has(packetIdentifier)) {
      return this.#answer(link, 'pubrec', packetIdentifier, ReasonCode.Success);
    }
    if (!refuses) {
      this.incoming.add(packetIdentifier);
      delivery.accepted++;
      check(delivery.accepted === 1, () => `taken twice: ${delivery}`);
    }
    this.#answer(link, 'pubrec', packetIdentifier, code);
  }

  #answer(
    link: Link,
    type: Acknowledgement['type'],
    packetIdentifier: number,
    reasonCode: ReasonCode,
  ): void {
    const told = this.version === 5 ? reasonCode : ReasonCode.Success;
    link.write({ type, packetIdentifier, reasonCode: told });
  }
}
