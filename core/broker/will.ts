/**
 * Will Messages (section 3.1.2.5): kept with the connection, sent when it ends otherwise than by a
 * normal DISCONNECT, after their delay or when the session ends, whichever is first. A Will passes
 * the same rights as any other message, at CONNECT and again when it is sent.
 */
import type { Rights } from '../auth/rights.ts';
import type { MessageProperties, Publisher, QoS, Reach, Will } from '../mqtt/packet.ts';
import { ReasonCode } from '../mqtt/reason-code.ts';
import { parseTopicName, type TopicName } from '../mqtt/topic.ts';
import { checkTopic, isUtf8 } from './bounds.ts';
import type { Connection } from './connection.ts';
import { count } from './counters.ts';
import type { Deadline } from './deadlines.ts';
import type { Millis, Party } from './outbox.ts';
import { Publication, withoutStamps } from './publication.ts';
import { submit } from './route.ts';
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
  /** Those of the client when its connection ended. */
  rights: Rights | undefined = undefined;
  party: Party | undefined = undefined;
  session: ClientSession | undefined = undefined;
  deadline: Deadline<Due> | undefined = undefined;

  constructor(state: State, will: Will, publisher: Publisher) {
    this.state = state;
    this.topic = will.topic;
    this.payload = will.payload.slice();
    this.qos = will.qos;
    this.retain = will.retain;
    this.delaySeconds = will.delaySeconds;
    this.messageExpirySeconds = will.messageExpiryInterval;
    this.properties = withoutStamps(will.properties);
    this.publisher = publisher;
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
    const { state, rights } = this;
    const topic = this.topic as TopicName; // by check, before CONNECT was accepted
    const reach: Reach | undefined = rights?.mayPublish(topic);
    if (rights === undefined || reach === undefined) {
      if (this.party !== undefined) {
        state.outbox.report({ kind: 'denied', party: this.party, action: 'will', topic });
      }
      count(state.counters.publishRefused, 'NotAuthorized');
      return;
    }
    const expiresAtMs =
      this.messageExpirySeconds === undefined
        ? Number.POSITIVE_INFINITY
        : now + this.messageExpirySeconds * 1_000;
    const publication = new Publication(
      topic,
      this.payload,
      this.qos,
      this.retain && rights.mayRetain,
      this.properties,
      expiresAtMs,
      this.publisher,
      reach,
      true,
    );
    submit(state, publication, this.session, now);
  }
}

/** The connection ended with its Will still set: it is sent after its delay, at most `withinSeconds`. */
export function startWill(
  state: State,
  connection: Connection,
  withinSeconds: number,
  now: Millis,
): void {
  const { will, session } = connection;
  if (will === undefined || session === undefined || state.draining) return;
  connection.will = undefined;
  will.rights = connection.rights;
  will.party = connection.party;
  will.session = session;
  const delaySeconds = Math.min(will.delaySeconds, withinSeconds);
  if (delaySeconds === 0) return will.send(now);
  state.delayedWills.set(session, will);
  will.deadline = state.deadlines.set(now + delaySeconds * 1_000, will);
}

/** The client is back before the delay has passed: the Will is not sent. [MQTT-3.1.3-9] */
export function resumeWill(state: State, session: ClientSession): void {
  takeDelayed(state, session);
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
