/**
 * Retained messages (section 3.3.1.3): kept, cleared and expired, and replayed to a new subscription
 * at the pace that its client reads, however many there are.
 */
import type { QoS, RetainHandling } from '../mqtt/packet.ts';
import type { Delivery } from '../session/session.ts';
import type { Connection } from './connection.ts';
import type { Deadline } from './deadlines.ts';
import type { Millis } from './outbox.ts';
import type { Publication } from './publication.ts';
import type { ClientSubscription, Due, State } from './state.ts';

/** A retained message, and what waits for its Message Expiry Interval. */
export class Retained implements Due {
  readonly state: State;
  readonly publication: Publication;
  readonly deadline: Deadline<Due> | undefined;

  constructor(state: State, publication: Publication) {
    this.state = state;
    this.publication = publication;
    const { expiresAtMs } = publication;
    this.deadline =
      expiresAtMs === Number.POSITIVE_INFINITY ? undefined : state.deadlines.set(expiresAtMs, this);
  }

  /** Topic and payload, in bytes as the limit counts them. */
  get size(): number {
    return this.publication.topic.length + this.publication.payload.length;
  }

  /** The Message Expiry Interval has passed: the message is no longer kept. [MQTT-3.3.2-5] */
  due(): void {
    clear(this.state, this.publication);
  }
}

/**
 * Keeps `publication` as the retained message of its topic, or clears that where the payload is
 * empty. False where it must be kept and there is no room for it. [MQTT-3.3.1-5] [MQTT-3.3.1-6] [MQTT-3.3.1-7]
 */
export function retain(state: State, publication: Publication): boolean {
  const { counters, limits, retained } = state;
  if (publication.payload.length === 0) {
    clear(state, publication);
    return true;
  }
  const before = retained.get(publication.topic);
  const growth = publication.topic.length + publication.payload.length - (before?.size ?? 0);
  const bytes = counters.retainedBytes + growth;
  const messages = counters.retainedMessages + (before === undefined ? 1 : 0);
  if (bytes > limits.retainedBytes || messages > limits.retainedMessages) {
    counters.dropped['retained-full']++;
    // One of QoS 0 may be dropped at any time, but the one before it must go. [MQTT3-3.3.1-7]
    if (publication.qos === 0) clear(state, publication);
    return publication.qos === 0;
  }
  if (before?.deadline !== undefined) state.deadlines.cancel(before.deadline);
  retained.set(publication.topic, new Retained(state, publication.keep()));
  if (state.ledger.enabled) {
    publication.lasting = true;
    const message = state.ledger.numberOf(publication);
    state.ledger.keep({ kind: 'retained', topic: publication.topic, message });
  }
  counters.retainedBytes = bytes;
  counters.retainedMessages = messages;
  return true;
}

/** Takes back a retained message that a start found on disk. */
export function restoreRetained(state: State, publication: Publication): void {
  publication.lasting = true;
  const kept = new Retained(state, publication);
  state.retained.set(publication.topic, kept);
  state.counters.retainedBytes += kept.size;
  state.counters.retainedMessages++;
}

function clear(state: State, publication: Publication): void {
  const gone = state.retained.delete(publication.topic);
  if (gone === undefined) return;
  if (gone.deadline !== undefined) state.deadlines.cancel(gone.deadline);
  state.ledger.keep({ kind: 'cleared', topic: publication.topic });
  state.counters.retainedBytes -= gone.size;
  state.counters.retainedMessages--;
}

/**
 * Lines up the retained messages that a new subscription asks for; `pump` sends them as there is
 * room. None for a Shared Subscription, and by Retain Handling 1 none where it was there before.
 * [MQTT-3.3.1-9] [MQTT-3.3.1-10] [MQTT-3.3.1-11]
 */
export function replayRetained(
  state: State,
  subscription: ClientSubscription,
  handling: RetainHandling,
  isNew: boolean,
  now: Millis,
): void {
  if (subscription.group !== undefined || handling === 2 || (handling === 1 && !isNew)) return;
  const { session } = subscription;
  const list = subscription.identifier === 0 ? undefined : [subscription.identifier];
  state.retained.match(subscription.filter, (_topic, { publication }) => {
    if (publication.expired(now) || subscription.standing > publication.reach) return;
    const { publisher } = publication;
    const own =
      publisher.clientIdentifier === session.clientIdentifier && publisher.user === session.user;
    if (subscription.noLocal && own) return; // [MQTT-3.8.3-3]
    const delivery: Delivery<Connection> = {
      message: publication,
      qos: Math.min(publication.qos, subscription.maximumQoS) as QoS,
      retain: true, // [MQTT-3.3.1-8]
      subscriptionIdentifiers: list,
      sequence: 0,
      group: undefined,
    };
    session.replay ??= [];
    session.replay.push(delivery);
  });
}

/** Whether a retained message that waited is still the one to show: not cleared, replaced or expired since. */
export function isCurrent(state: State, publication: Publication, now: Millis): boolean {
  const kept = state.retained.get(publication.topic);
  return kept?.publication === publication && !publication.expired(now);
}
