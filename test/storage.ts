/**
 * A storage double for the harness: keeps in memory what the core wants kept, as the file does on
 * disk, and reads deliveries from there. It is told when to be done: the harness decides.
 */
import type {
  Change,
  FetchedDeliveries,
  MessageNumber,
  Sequence,
  SessionNumber,
  StoredDelivery,
} from '../core/broker/changes.ts';
import type { Message } from '../core/mqtt/packet.ts';

export class MemoryStorage {
  /** How many changes came. */
  kept = 0;
  readonly #messages = new Map<MessageNumber, Message>();
  readonly #sessions = new Map<SessionNumber, Map<Sequence, StoredDelivery>>();

  keep(change: Change): void {
    this.kept++;
    switch (change.kind) {
      case 'message':
        this.#messages.set(change.message, change.content);
        break;
      case 'queued':
        this.#deliveries(change.session).set(change.delivery.sequence, change.delivery);
        break;
      case 'sent':
        this.#update(change.session, change.sequence, {
          packetIdentifier: change.packetIdentifier,
        });
        break;
      case 'released':
        this.#update(change.session, change.sequence, { released: true });
        break;
      case 'done':
        this.#deliveries(change.session).delete(change.sequence);
        break;
      case 'oldest-dropped': {
        const deliveries = this.#deliveries(change.session);
        const oldest = [...deliveries.values()].find(
          ({ packetIdentifier }) => packetIdentifier === 0,
        );
        if (oldest !== undefined) deliveries.delete(oldest.sequence);
        break;
      }
      case 'session-ended':
        this.#sessions.delete(change.session);
        break;
      default:
        break; // what only a restart reads
    }
  }

  /** Up to `limit` deliveries of `session` behind `after`, in order. */
  fetch(session: SessionNumber, after: Sequence, limit: number): FetchedDeliveries {
    const behind = [...this.#deliveries(session).values()]
      .filter(({ sequence }) => sequence > after)
      .sort((a, b) => a.sequence - b.sequence);
    const deliveries = behind.slice(0, limit).map((delivery) => ({
      ...delivery,
      content: this.#messages.get(delivery.message) as Message,
    }));
    return { session, deliveries, more: behind.length > limit };
  }

  #deliveries(session: SessionNumber): Map<Sequence, StoredDelivery> {
    const deliveries = this.#sessions.get(session) ?? new Map<Sequence, StoredDelivery>();
    this.#sessions.set(session, deliveries);
    return deliveries;
  }

  #update(session: SessionNumber, sequence: Sequence, change: Partial<StoredDelivery>): void {
    const deliveries = this.#deliveries(session);
    const delivery = deliveries.get(sequence);
    if (delivery !== undefined) deliveries.set(sequence, { ...delivery, ...change });
  }
}
