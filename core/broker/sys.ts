/**
 * `$SYS`: what the broker tells admins about itself, as retained messages under the names that
 * Mosquitto made usual, renewed at an interval. Nobody else may subscribe to them.
 */
import type { TopicName } from '../mqtt/topic.ts';
import type { Millis } from './outbox.ts';
import { Publication } from './publication.ts';
import { Retained } from './retained.ts';
import { route } from './route.ts';
import type { Due, State } from './state.ts';

const publisher = { user: '', clientIdentifier: '$SYS', device: false };
const text = new TextEncoder();

/** Publishes a round of `$SYS` messages whenever it is due. */
export class SysTicker implements Due {
  readonly state: State;

  constructor(state: State) {
    this.state = state;
    if (state.limits.sysIntervalSeconds > 0) state.deadlines.set(state.startedAt, this);
  }

  due(now: Millis): void {
    const { state } = this;
    state.deadlines.set(now + state.limits.sysIntervalSeconds * 1_000, this);
    for (const [name, value] of readings(state, now)) this.publish(name, String(value), now);
  }

  private publish(name: string, value: string, now: Millis): void {
    const { state } = this;
    const topic = `$SYS/broker/${name}` as TopicName;
    const payload = text.encode(value);
    const publication = new Publication(
      topic,
      payload,
      0,
      payload.length,
      0,
      true,
      undefined,
      Number.POSITIVE_INFINITY,
      publisher,
      0,
      true,
    );
    // Kept beside the limits on retained messages: there are as many as this file names.
    state.retained.set(topic, new Retained(state, publication));
    route(state, publication, undefined, now);
    publication.forgetFrames();
  }
}

function readings(state: State, now: Millis): [name: string, value: number | string][] {
  const { counters } = state;
  const total = (counts: Record<string, number>): number =>
    Object.values(counts).reduce((sum, count) => sum + count, 0);
  return [
    ['version', `bellhop ${state.version}`],
    ['uptime', `${Math.max(0, Math.floor((now - state.startedAt) / 1_000))} seconds`],
    ['clients/connected', counters.clientsConnected],
    ['clients/disconnected', counters.sessions - counters.clientsConnected],
    ['clients/total', counters.sessions],
    ['clients/maximum', counters.clientsMaximum],
    ['clients/expired', counters.sessionsExpired],
    ['subscriptions/count', counters.subscriptions],
    ['shared_subscriptions/count', counters.sharedSubscriptions],
    ['retained messages/count', counters.retainedMessages],
    ['store/messages/count', counters.retainedMessages + counters.queuedMessages],
    ['store/messages/bytes', counters.retainedBytes],
    ['messages/inflight', counters.inflightMessages],
    ['messages/received', counters.packetsReceived],
    ['messages/sent', counters.packetsSent],
    ['publish/messages/received', counters.publishReceived],
    ['publish/messages/sent', counters.publishSent],
    ['publish/messages/dropped', total(counters.dropped)],
    ['publish/bytes/received', counters.publishBytesReceived],
    ['publish/bytes/sent', counters.publishBytesSent],
    ['bytes/received', counters.bytesReceived],
    ['bytes/sent', counters.bytesSent],
  ];
}
