/**
 * Will Messages (section 3.1.2.5): kept with the connection, sent when it ends otherwise than by a
 * normal DISCONNECT, after their delay or when the session ends, whichever is first. A Will passes
 * the same rights as any other message, at CONNECT and again when it is sent.
 */
import { compileRights, type Identity, type Rights } from '../auth/rights.ts';
import type { MessageProperties, Publisher, QoS, Will } from '../mqtt/packet.ts';
import { ReasonCode } from '../mqtt/reason-code.ts';
import { parseTopicName, type TopicName } from '../mqtt/topic.ts';
import { checkTopic, isUtf8 } from './bounds.ts';
import type { Connection } from './connection.ts';
import { count } from './counters.ts';
import type { Deadline } from './deadlines.ts';
import type { Millis } from './outbox.ts';
import { Publication, withoutStamps } from './publication.ts';
import { submitAnyhow } from './route.ts';
import type { ClientSession, Due, State } from './state.ts';

export class WillMessage implements Due {
  readonly state: State;
  /** As the client wrote it: checked by `check`. */
  readonly topic: string;
  readonly payload: Uint8Array;
  readonly qos: QoS;
  readonly retain: boolean;
  readonly delaySeconds: number;
  readonly messageExpirySeconds: number | undefined;
  readonly properties: MessageProperties | undefined;
  readonly publisher: Publisher;
  /** By whose rights it is sent: as its client had them last. */
  identity: Pick<Identity, 'user' | 'role' | 'grants'>;
  session: ClientSession | undefined = undefined;
  deadline: Deadline<Due> | undefined = undefined;

  constructor(state: State, will: Will, publisher: Publisher, identity: WillMessage['identity']) {
    this.state = state;
    this.topic = will.topic;
    this.payload = new Uint8Array(will.payload);
    this.qos = will.qos;
    this.retain = will.retain;
    this.delaySeconds = will.delaySeconds;
    this.messageExpirySeconds = will.messageExpiryInterval;
    this.properties = withoutStamps(will.properties);
    this.publisher = publisher;
    this.identity = identity;
  }

  /** Why CONNECT is refused because of this Will; undefined where it is not. */
  check(
    rights: Rights,
    version5: boolean,
  ): { readonly reasonCode: ReasonCode; readonly detail: string } | undefined {
    const topic = parseTopicName(this.topic);
    if (topic === undefined || checkTopic(this.state, topic) !== undefined) {
      return { reasonCode: ReasonCode.TopicNameInvalid, detail: 'Will Topic' };
    }
    if (this.properties?.payloadFormatIndicator === 1 && !isUtf8(this.payload)) {
      return { reasonCode: ReasonCode.PayloadFormatInvalid, detail: 'Will Payload is not UTF-8' };
    }
    if (this.retain && !rights.mayRetain && version5) {
      return { reasonCode: ReasonCode.RetainNotSupported, detail: 'Will Retain' };
    }
    if (rights.mayPublish(topic) === undefined) {
      return { reasonCode: ReasonCode.NotAuthorized, detail: 'Will Topic not authorized' };
    }
    return undefined;
  }

  due(now: Millis): void {
    if (this.session !== undefined) this.state.delayedWills.delete(this.session);
    this.send(now);
  }

  /** Publishes it, by the rights that its client had last and the commands declared now. */
  send(now: Millis): void {
    const { state, publisher, identity } = this;
    const topic = this.topic as TopicName; // by check, before CONNECT was accepted
    const { clientIdentifier } = publisher;
    const whole = { ...identity, expiresAtMs: Number.POSITIVE_INFINITY };
    const rights = compileRights(whole, clientIdentifier, state.policy, state.commands);
    const reach = rights.mayPublish(topic);
    if (reach === undefined) {
      const { user } = identity;
      const party = { connection: undefined, address: undefined, user, clientIdentifier };
      state.outbox.report({ kind: 'denied', party, action: 'will', topic });
      count(state.counters.publishRefused, 'NotAuthorized');
    } else {
      const expirySeconds = this.messageExpirySeconds ?? Number.POSITIVE_INFINITY;
      const publication = new Publication(
        topic,
        this.payload,
        0,
        this.payload.length,
        this.qos,
        this.retain && rights.mayRetain,
        this.properties,
        now + expirySeconds * 1_000,
        publisher,
        reach,
        true,
      );
      submitAnyhow(state, publication, this.session, now);
    }
    if (this.session !== undefined) discardWill(state, this.session);
  }

  /** Keeps it with its stored session: due at `dueAtMs`, Infinity while the connection stands. */
  keep(session: ClientSession, dueAtMs: Millis): void {
    if (session.number === 0) return;
    const { topic, payload, qos, retain, delaySeconds, messageExpirySeconds, properties } = this;
    const { role, grants } = this.identity;
    const { publisher } = this;
    this.state.ledger.keep({
      kind: 'will',
      session: session.number,
      will: {
        topic,
        payload,
        qos,
        retain,
        delaySeconds,
        messageExpirySeconds,
        properties,
        publisher,
        dueAtMs,
        role,
        grants,
      },
    });
  }

  /** Waits until `dueAtMs`. */
  wait(session: ClientSession, dueAtMs: Millis): void {
    this.state.delayedWills.set(session, this);
    this.deadline = this.state.deadlines.set(dueAtMs, this);
  }
}

/** The client has a new token: its Will is sent by the rights of that one, also where a start finds it. */
export function renewWill({ will, session }: Connection, identity: Identity): void {
  if (will === undefined || session === undefined) return;
  will.identity = identity;
  will.keep(session, Number.POSITIVE_INFINITY);
}

/** A stored session has no Will any more. */
export function discardWill(state: State, session: ClientSession): void {
  if (session.number !== 0) state.ledger.keep({ kind: 'will-gone', session: session.number });
}

/** The connection ended with its Will still set: it is sent after its delay, at most `withinSeconds`. */
export function startWill(
  state: State,
  connection: Connection,
  withinSeconds: number,
  now: Millis,
): void {
  const { will, session } = connection;
  if (will === undefined || session === undefined) return;
  // A broker that shuts down leaves the Wills of stored sessions to its next start.
  if (state.draining) return;
  connection.will = undefined;
  will.session = session;
  const delaySeconds = Math.min(will.delaySeconds, withinSeconds);
  if (delaySeconds === 0) return will.send(now);
  const dueAtMs = now + delaySeconds * 1_000;
  will.keep(session, dueAtMs);
  will.wait(session, dueAtMs);
}

/** The client is back before the delay has passed: the Will is not sent. [MQTT-3.1.3-9] */
export function resumeWill(state: State, session: ClientSession): void {
  if (takeDelayed(state, session) !== undefined) discardWill(state, session);
}

/** The session ends before the delay has passed: the Will is sent now. [MQTT-3.1.2-8] */
export function sessionEndsWill(state: State, session: ClientSession, now: Millis): void {
  takeDelayed(state, session)?.send(now);
}

function takeDelayed(state: State, session: ClientSession): WillMessage | undefined {
  const will = state.delayedWills.get(session);
  if (will?.deadline === undefined) return undefined;
  state.delayedWills.delete(session);
  state.deadlines.cancel(will.deadline);
  return will;
}
