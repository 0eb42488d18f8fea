/** Hooks as a test looks at them: short texts, and brokers that find what an earlier one kept. */
import type { Presence } from '../../core/plugins/context.ts';
import { Harness } from '../harness.ts';
import { Ledger } from '../store/ledger.ts';

const text = new TextDecoder();

/** The hooks' commands since the last call, taken out. */
export function take(harness: Harness): Harness['handled'] {
  harness.settle();
  return harness.handled.splice(0).filter(({ topic }) => topic.startsWith('$hook/'));
}

export interface Event extends Presence {
  readonly user: string;
  readonly client: string;
}

/** Presence events since the last call, taken out. */
export function presence(harness: Harness): Event[] {
  return take(harness).map(({ topic, payload, publisher }) => {
    const told: Presence = JSON.parse(text.decode(payload));
    if (topic !== `$hook/${told.event}`) throw new Error(`${told.event} under ${topic}`);
    return { ...told, user: publisher.user, client: publisher.clientIdentifier };
  });
}

/** The same as `connect 1/phone`, with ` by takeover` where it is one. */
export function told(harness: Harness): string[] {
  return presence(harness).map(
    ({ event, user, client, takeover }) =>
      `${event} ${user}/${client}${takeover ? ' by takeover' : ''}`,
  );
}

/** Undelivered messages since the last call, as `1_news: text`, taken out. */
export function undelivered(harness: Harness): string[] {
  return take(harness).map(({ topic, payload }) => {
    return `${topic.replace('$hook/undelivered/', '')}: ${text.decode(payload)}`;
  });
}

/** The process dies with all that it kept on disk; the next one has plugins that want `hooks` when it starts. */
export function crash(harness: Harness, ...hooks: string[]): Harness {
  const disk = new Ledger();
  for (const change of harness.kept) disk.apply(change);
  disk.settle();
  const next = new Harness({ durable: true });
  next.now = harness.now + 1_000;
  if (hooks.length > 0) next.wants(...hooks);
  next.restore(disk.snapshot());
  // What the next crash finds was there before.
  next.kept.unshift(...harness.kept);
  return next;
}
