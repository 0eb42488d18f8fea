/**
 * The model of the broker: what the standard and the design make of everything that comes in. It
 * keeps to one plain reading, in the order of the text rather than of speed, and works out for each
 * message who must get it, who may, and on what terms; `observer.ts` holds what the broker sends
 * against that.
 */
import type { Identity, Policy } from '../../core/auth/rights.ts';
import type { Limits } from '../../core/broker/limits.ts';
import type { ConnectionId, Millis, Verification } from '../../core/broker/outbox.ts';
import type { Connect, Message, Packet, ProtocolVersion } from '../../core/mqtt/packet.ts';
import { connectReturnCode, ReasonCode, reasonOfReturnCode } from '../../core/mqtt/reason-code.ts';
import {
  matches,
  parseTopicName,
  type TopicFilter,
  type TopicName,
} from '../../core/mqtt/topic.ts';
import { check } from './failure.ts';
import { acknowledged, publishPacket } from './model-messages.ts';
import { subscribeOne } from './model-subscribe.ts';
import { checkTurn } from './model-time.ts';
import { mayReceive, mayRetain, publishReach, subscribeStanding } from './rights.ts';
import { Routing } from './routing.ts';
import { type Incoming, ModelConnection, ModelSession } from './state.ts';
import { SystemClock } from './system.ts';

/** Where a token is published to renew it. */
export const TOKEN_TOPIC = '$token';

export class Model {
  readonly limits: Limits;
  readonly policy: Policy;
  readonly connections = new Map<ConnectionId, ModelConnection>();
  readonly sessions = new Map<string, ModelSession>();
  readonly routing: Routing;
  /** The Client Identifier that the broker assigned last. */
  readonly lastAssigned: () => string;
  handled: readonly TopicFilter[] = [];
  #now: Millis = 0;
  /** The latest time that there was: clocks are set back at times. */
  latest: Millis = 0;
  readonly system: SystemClock;

  /** Whether there is storage: QoS 2 to stored sessions then waits for its Packet Identifier to be on disk. */
  readonly durable: boolean;

  constructor(limits: Limits, policy: Policy, durable: boolean, lastAssigned: () => string) {
    this.limits = limits;
    this.durable = durable;
    this.policy = policy;
    this.lastAssigned = lastAssigned;
    this.system = new SystemClock(this);
    this.routing = new Routing(this);
  }

  get now(): Millis {
    return this.#now;
  }

  set now(now: Millis) {
    this.#now = now;
    this.latest = Math.max(this.latest, now);
  }

  // What happens to the broker, as in `core/broker/broker.ts`.

  opened(id: ConnectionId, version: ProtocolVersion, now: Millis): void {
    this.now = now;
    const { connectTimeoutMs } = this.limits;
    this.connections.set(id, new ModelConnection(id, version, now, connectTimeoutMs));
  }

  /** Complete packets came, in the order in which they were sent; `step` takes them one by one. */
  received(id: ConnectionId, incoming: readonly Incoming[], now: Millis): void {
    this.now = now;
    this.connection(id).inbox.push(...incoming);
  }

  /** Takes the next packet of a connection; false where none is there, or it must wait for a verdict. */
  step(id: ConnectionId): boolean {
    const connection = this.connections.get(id);
    if (connection?.phase !== 'fresh' && connection?.phase !== 'open') return false;
    const incoming = connection.inbox.shift();
    if (incoming === undefined) return false;
    connection.heard(this);
    if ('violation' in incoming) {
      this.#end(connection, [incoming.violation], 'violation');
    } else if (connection.phase === 'fresh') {
      check(incoming.packet.type === 'connect', 'simulated clients begin with CONNECT');
      this.#connect(connection, incoming.packet);
    } else {
      this.#packet(connection, incoming.packet);
    }
    return true;
  }

  lost(id: ConnectionId, now: Millis): void {
    this.now = now;
    const connection = this.connection(id);
    this.#end(connection, undefined, 'lost');
    this.connections.delete(id);
  }

  verified(result: Verification, now: Millis): void {
    this.now = now;
    const connection = this.connections.get(result.connection);
    const verifying = connection?.verifying;
    if (connection === undefined || verifying === undefined || connection.phase === 'closed')
      return;
    connection.verifying = undefined;
    if (verifying.answer === 'connack') this.#introduce(connection, result);
    else this.#renew(connection, result, verifying.answer);
  }

  /** Who sent no CONNECT in time is cut off. Which of all else that is due comes when, the broker tells. */
  passed(now: Millis): void {
    this.now = now;
    for (const connection of this.connections.values()) {
      if (!connection.open && connection.connectByMs <= now) {
        this.#end(connection, undefined, 'no CONNECT in time');
      }
    }
    this.system.passed(now);
  }

  /** The broker has ended a session whose client is away. */
  expired(session: ModelSession): void {
    checkTurn(this, session.expiresAtMs, `the end of ${session.key}`);
    this.#endSession(session);
  }

  /** The broker sends a Will that waited for its delay. */
  willSent(session: ModelSession): void {
    const dueMs = session.delayedWill?.dueMs ?? Number.POSITIVE_INFINITY;
    checkTurn(this, dueMs, `the Will of ${session.key}`);
    this.#sendWill(session);
  }

  /** From a plugin in this process. */
  sent(message: Message, now: Millis): void {
    this.now = now;
    const { topic, publisher, retain } = message;
    const reach = this.declares(topic) ? 1 : 2; // the command wins
    const published = { ...message, messageExpiryInterval: undefined, reach } as const;
    this.routing.publish(published, publisher, undefined, retain);
  }

  /** The broker ended it for a reason that it alone can judge; the observer has found it good. */
  broke(connection: ModelConnection, codes: readonly number[], why: string): void {
    this.#end(connection, codes, why);
  }

  connection(id: ConnectionId): ModelConnection {
    const connection = this.connections.get(id);
    check(connection !== undefined, `there is no connection ${id}`);
    return connection;
  }

  /** Whether devices may publish to `topic` now, because somebody handles it. */
  declares(topic: TopicName): boolean {
    const filters = [...this.policy.commands, ...this.handled];
    for (const session of this.sessions.values()) {
      for (const each of session.subscriptions.values())
        if (each.declares) filters.push(each.filter);
    }
    return filters.some((filter) => !/^[+#$]/.test(filter) && matches(filter, topic));
  }

  // One connection's packets.

  #connect(connection: ModelConnection, packet: Connect): void {
    connection.connect = packet;
    connection.clientIdentifier = packet.clientIdentifier;
    const token = new TextDecoder().decode(packet.authenticationData ?? packet.password);
    connection.verifying = { token, answer: 'connack' };
    connection.verifySeen = false;
    connection.phase = 'verifying';
  }

  #packet(connection: ModelConnection, packet: Packet): void {
    const session = connection.session as ModelSession;
    switch (packet.type) {
      case 'publish': {
        const topic = this.#topicOf(connection, packet);
        if (topic !== TOKEN_TOPIC) return publishPacket(this, connection, session, packet, topic);
        connection.verifying = {
          token: new TextDecoder().decode(packet.payload),
          answer: { type: 'puback', packetIdentifier: packet.packetIdentifier, codes: [] },
        };
        connection.verifySeen = false;
        connection.phase = 'renewing';
        return;
      }
      case 'puback':
      case 'pubrec':
      case 'pubrel':
      case 'pubcomp':
        return acknowledged(connection, session, packet);
      case 'subscribe': {
        const { packetIdentifier } = packet;
        const codes = packet.subscriptions.map((each) => [
          subscribeOne(this, connection, session, each, packet.subscriptionIdentifier ?? 0),
        ]);
        connection.owed.push({ type: 'suback', packetIdentifier, codes });
        return;
      }
      case 'unsubscribe': {
        const codes = packet.topicFilters.map((text) => {
          const held = session.subscriptions.delete(text);
          if (held) this.routing.unsubscribed(session, text);
          return [held ? ReasonCode.Success : ReasonCode.NoSubscriptionExisted];
        });
        const { packetIdentifier } = packet;
        const told = connection.version === 5 ? codes : [];
        connection.owed.push({ type: 'unsuback', packetIdentifier, codes: told });
        return;
      }
      case 'pingreq':
        connection.owed.push({ type: 'pingresp', packetIdentifier: 0, codes: [] });
        return;
      case 'disconnect':
        if (packet.sessionExpiryInterval !== undefined) {
          session.expirySeconds = this.#granted(packet.sessionExpiryInterval);
        }
        if (packet.reasonCode === ReasonCode.Success) connection.will = undefined;
        return this.#end(connection, undefined, 'the client left');
      case 'auth':
        connection.verifying = {
          token: new TextDecoder().decode(packet.authenticationData),
          answer: 'auth',
        };
        connection.verifySeen = false;
        connection.phase = 'renewing';
        return;
      default:
        check(false, `simulated clients send no ${packet.type}`);
    }
  }

  #topicOf(connection: ModelConnection, packet: Packet & { type: 'publish' }): TopicName {
    const { topicAlias } = packet;
    if (topicAlias === undefined) return parseTopicName(packet.topic) as TopicName;
    if (packet.topic !== '') connection.aliasesIn.set(topicAlias, packet.topic as TopicName);
    return connection.aliasesIn.get(topicAlias) as TopicName;
  }

  // Tokens.

  #introduce(connection: ModelConnection, result: Verification): void {
    const packet = connection.connect as Connect;
    const refuse = (code: ReasonCode) => {
      // A 3.x client is told what its table has for it, if anything. [MQTT3-3.2.2-6]
      const returnCode = connection.version === 5 ? undefined : connectReturnCode(code);
      const told = returnCode === undefined ? undefined : reasonOfReturnCode(returnCode);
      const codes = connection.version === 5 ? [code] : told === undefined ? undefined : [told];
      connection.connack = { codes, sessionPresent: false };
      this.#end(connection, undefined, 'refused');
    };
    if (result.kind === 'refuse') return refuse(result.reasonCode);
    const { identity } = result;
    if (identity.expiresAtMs <= this.now) return refuse(ReasonCode.NotAuthorized);
    if (connection.clientIdentifier === '') connection.clientIdentifier = this.lastAssigned();
    const { clientIdentifier } = connection;
    const { will } = packet;
    if (will !== undefined) {
      const topic = will.topic as TopicName;
      const reach = publishReach(identity, clientIdentifier, this.policy, this.#declares, topic);
      if (reach === undefined) return refuse(ReasonCode.NotAuthorized);
      if (will.retain && connection.version === 5 && !mayRetain(identity, this.policy)) {
        return refuse(ReasonCode.RetainNotSupported);
      }
    }

    const key = `${identity.user}/${clientIdentifier}`;
    const holder = this.sessions.get(key)?.link;
    if (holder !== undefined) this.#end(holder, [ReasonCode.SessionTakenOver], 'taken over');
    const before = this.sessions.get(key);
    if (before !== undefined && packet.cleanStart) this.#endSession(before); // [MQTT-3.1.2-4]
    const resumed = this.sessions.get(key);
    const expirySeconds = this.#granted(packet.sessionExpiryInterval);
    const session =
      resumed ??
      new ModelSession(identity.user, clientIdentifier, this.durable && expirySeconds > 0);
    this.sessions.set(key, session);
    session.link = connection;
    session.expirySeconds = expirySeconds;
    session.expiresAtMs = Number.POSITIVE_INFINITY;
    session.delayedWill = undefined; // [MQTT-3.1.3-9]
    connection.phase = 'open';
    connection.identity = identity;
    connection.session = session;
    connection.will = will;
    connection.keepAliveSeconds = packet.keepAliveSeconds;
    connection.heard(this);
    // 3.1 has no Session Present.
    const sessionPresent = resumed !== undefined && connection.version !== 3;
    connection.connack = { codes: [ReasonCode.Success], sessionPresent };
    this.#hold(session, identity);
    this.routing.attached(session);
  }

  #renew(
    connection: ModelConnection,
    result: Verification,
    answer: 'auth' | Extract<(typeof connection.owed)[number], object>,
  ): void {
    connection.phase = 'open';
    connection.heard(this);
    const session = connection.session as ModelSession;
    const byPublish = answer !== 'auth';
    // One that has expired meanwhile is no good any more.
    const good = result.kind === 'accept' && result.identity.expiresAtMs > this.now;
    const accepted = good && result.identity.user === session.user;
    if (accepted) {
      connection.identity = result.identity;
      this.#hold(session, result.identity);
      if (byPublish) connection.owed.push({ ...answer, codes: [[ReasonCode.Success]] });
      else connection.owedAuth++;
    } else if (!good && byPublish && connection.version === 5) {
      connection.owed.push({ ...answer, codes: [[ReasonCode.NotAuthorized]] });
    } else {
      const { NotAuthorized, ServerBusy } = ReasonCode;
      this.#end(connection, [NotAuthorized, ServerBusy], 'the new token was refused');
    }
  }

  /** Holds what is stored against the rights of the token that the session is used with now. */
  #hold(session: ModelSession, identity: Identity): void {
    const { clientIdentifier } = session;
    for (const held of [...session.subscriptions.values()]) {
      const shared = held.group !== undefined;
      const { policy } = this;
      const standing = subscribeStanding(identity, clientIdentifier, policy, held.filter, shared);
      if (standing === undefined) {
        session.subscriptions.delete(held.text);
        this.routing.unsubscribed(session, held.text);
      } else {
        held.standing = standing;
        held.declares = identity.role === 'handler';
      }
    }
    this.routing.drop(session, ({ topic, reach }) => {
      return !mayReceive(identity, clientIdentifier, this.policy, topic, reach);
    });
  }

  // Ends.

  /** `codes`: what a 5.0 client is told in DISCONNECT; undefined where it is told nothing. */
  #end(connection: ModelConnection, codes: readonly number[] | undefined, why: string): void {
    if (connection.phase === 'closed') return;
    const { session, will, identity } = connection;
    connection.phase = 'closed';
    connection.ending = { codes: session && connection.version === 5 ? codes : undefined, why };
    if (session === undefined || identity === undefined || session.link !== connection) return;
    session.link = undefined;
    const { expirySeconds } = session;
    if (expirySeconds > 0) session.expiresAtMs = this.now + expirySeconds * 1_000;
    this.routing.detached(session);
    if (will !== undefined) {
      const delaySeconds = Math.min(will.delaySeconds, expirySeconds);
      session.delayedWill = { will, identity, dueMs: this.now + delaySeconds * 1_000 };
      if (delaySeconds === 0) this.#sendWill(session);
    }
    if (expirySeconds === 0) this.#endSession(session);
  }

  #endSession(session: ModelSession): void {
    this.sessions.delete(session.key);
    session.ended = true;
    session.expiresAtMs = Number.POSITIVE_INFINITY;
    const texts = [...session.subscriptions.keys()];
    session.subscriptions.clear();
    for (const text of texts) this.routing.unsubscribed(session, text);
    this.routing.ended(session);
    this.#sendWill(session);
  }

  /** A Will passes the same rights as any message, by what is declared when it is sent. */
  #sendWill(session: ModelSession): void {
    const delayed = session.delayedWill;
    if (delayed === undefined) return;
    session.delayedWill = undefined;
    const { will, identity } = delayed;
    const { user, clientIdentifier } = session;
    const topic = will.topic as TopicName;
    const reach = publishReach(identity, clientIdentifier, this.policy, this.#declares, topic);
    if (reach === undefined) return;
    const may = mayRetain(identity, this.policy);
    const publisher = { user, clientIdentifier, device: identity.role === 'device' };
    this.routing.publish({ ...will, reach }, publisher, session, will.retain && may);
  }

  readonly #declares = (topic: TopicName): boolean => this.declares(topic);

  #granted(seconds: number): number {
    return Math.min(seconds, this.limits.maximumSessionExpirySeconds);
  }
}
