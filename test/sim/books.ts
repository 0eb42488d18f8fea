/** The broker's counters against the books of the model: what is open, held, in flight and waiting. */
import type { Broker } from '../../core/broker/broker.ts';
import { check } from './failure.ts';
import type { Model } from './model.ts';

export function checkBooks(broker: Broker, model: Model): void {
  const { counters } = broker;
  const { connections, sessions, routing } = model;
  const same = (name: keyof typeof counters, expected: number) => {
    check(counters[name] === expected, () => `${name} is ${counters[name]}, not ${expected}`);
  };
  let open = 0;
  for (const connection of connections.values()) if (connection.open) open++;
  let subscriptions = 0;
  let inFlight = 0;
  let loose = 0;
  for (const session of sessions.values()) {
    subscriptions += session.subscriptions.size;
    for (const delivery of session.deliveries) {
      if (delivery.inFlight) inFlight++;
      // May wait for another member by now, or be dropped.
      if (delivery.loose || delivery.doubtful) loose++;
    }
  }
  same('connections', connections.size);
  same('clientsConnected', open);
  same('sessions', sessions.size);
  same('subscriptions', subscriptions);
  const { inflightMessages } = counters;
  // What is in flight to a stored session that is away is on disk alone, and counts as queued.
  check(
    model.durable || (inflightMessages <= inFlight && inflightMessages >= inFlight - loose),
    `${inflightMessages} messages are in flight, not ${inFlight - loose} to ${inFlight}`,
  );
  const { queuedMessages } = model.limits;
  check(counters.queuedMessages >= 0, 'fewer than no messages are queued');
  check(
    model.durable || counters.queuedMessages <= queuedMessages * sessions.size,
    `${counters.queuedMessages} messages are queued, ${queuedMessages} allowed`,
  );
  // `$SYS` is kept beside them.
  const kept = [...routing.retained.values()].filter(({ topic }) => !topic.startsWith('$SYS/'));
  const good = kept.filter((each) => each.expiresAtMs > model.latest).length;
  check(
    counters.retainedMessages >= good && counters.retainedMessages <= kept.length,
    `${counters.retainedMessages} retained messages, not ${good} to ${kept.length}`,
  );
}
