/**
 * `$SYS` as the model has it: what the broker tells admins about itself, from time to time, at QoS 0
 * and retained. Most of the values are the broker's affair: the model learns each from the first
 * client that is told, and everybody else must be told the same.
 */
import type { Millis } from '../../core/broker/outbox.ts';
import type { Model } from './model.ts';

const publisher = { user: '', clientIdentifier: '$SYS', device: false };

/** What each is called below `$SYS/broker/`. */
const names = [
  'version',
  'uptime',
  'clients/connected',
  'clients/disconnected',
  'clients/total',
  'clients/maximum',
  'clients/expired',
  'subscriptions/count',
  'shared_subscriptions/count',
  'retained messages/count',
  'store/messages/count',
  'store/messages/bytes',
  'messages/inflight',
  'messages/received',
  'messages/sent',
  'publish/messages/received',
  'publish/messages/sent',
  'publish/messages/dropped',
  'publish/bytes/received',
  'publish/bytes/sent',
  'bytes/received',
  'bytes/sent',
];

/** When a round of them comes. */
export class SystemClock {
  readonly #model: Model;
  #dueMs: Millis;
  /** A round is due, and nobody was seen to be told yet. */
  #isDue = false;

  constructor(model: Model) {
    this.#model = model;
    this.#dueMs = model.limits.sysIntervalSeconds > 0 ? 0 : Number.POSITIVE_INFINITY;
  }

  passed(now: Millis): void {
    if (this.#dueMs > now) return;
    this.#dueMs = now + this.#model.limits.sysIntervalSeconds * 1_000;
    this.#isDue = true;
  }

  /** A round is published by now, if it is due. `seen`: at this very moment, so that some of it is known. */
  publish(seen: boolean): void {
    if (!this.#isDue) return;
    this.#isDue = false;
    const known = seen ? readings(this.#model) : new Map<string, number>();
    for (const name of names) {
      const value = known.get(name);
      this.#model.routing.publish(
        {
          topic: `$SYS/broker/${name}`,
          payload: new TextEncoder().encode(value === undefined ? '' : String(value)),
          qos: 0,
          retain: true,
          properties: undefined,
          messageExpiryInterval: undefined,
          reach: 0,
          isUnknown: value === undefined,
        },
        publisher,
        undefined,
        true,
      );
    }
  }
}

function readings({ connections, sessions }: Model): Map<string, number> {
  let connected = 0;
  for (const connection of connections.values()) if (connection.open) connected++;
  const all = [...sessions.values()].flatMap((each) => [...each.subscriptions.values()]);
  return new Map([
    ['clients/connected', connected],
    ['clients/disconnected', sessions.size - connected],
    ['clients/total', sessions.size],
    ['subscriptions/count', all.length],
    ['shared_subscriptions/count', all.filter(({ group }) => group !== undefined).length],
  ]);
}

/** What a value looks like, whichever it is. */
export function isReading(topic: string, payload: string): boolean {
  switch (topic) {
    case '$SYS/broker/version':
      return payload === 'bellhop simulated';
    case '$SYS/broker/uptime':
      return /^\d+ seconds$/.test(payload);
    default:
      return /^\d+$/.test(payload);
  }
}
