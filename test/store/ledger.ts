/**
 * The plain reading of the journal: each change applied to plain maps, one after the other. What the
 * broker's file holds is compared with it, and `fake-storage.ts` has it for a disk.
 */
import type {
  Change,
  CommandPart,
  DeadLetter,
  FetchedDeliveries,
  LetterNumber,
  MessageNumber,
  Sequence,
  SessionNumber,
  Snapshot,
  StoredDelivery,
  StoredPresence,
  StoredSchedule,
  StoredSubscription,
  StoredWill,
} from '../../core/broker/changes.ts';
import type { Message, PacketIdentifier } from '../../core/mqtt/packet.ts';
import type { TopicName } from '../../core/mqtt/topic.ts';
import { queuedSize } from '../../core/session/queue.ts';
import type { StoredLetter } from '../../core/store/dead-letters.ts';

class Held {
  state: Extract<Change, { kind: 'session' }>;
  subscriptions = new Map<string, StoredSubscription>();
  received = new Set<PacketIdentifier>();
  recentCommands: readonly number[] = [];
  deliveries = new Map<Sequence, StoredDelivery>();
  will: StoredWill | undefined = undefined;

  constructor(state: Extract<Change, { kind: 'session' }>) {
    this.state = state;
  }
}

interface HeldCommand {
  readonly only: string | undefined;
  readonly parts: Map<string, CommandPart>;
}

export class Ledger {
  sessions = new Map<SessionNumber, Held>();
  messages = new Map<MessageNumber, Message>();
  retained = new Map<TopicName, MessageNumber>();
  commands = new Map<MessageNumber, HeldCommand>();
  letters = new Map<LetterNumber, DeadLetter>();
  present = new Map<string, StoredPresence>();
  schedules = new Map<string, StoredSchedule>();
  lastPresence = 0;
  last = { lastSession: 0, lastMessage: 0, lastSequence: 0 };

  /**
   * A turn is over: messages that nothing refers to are gone, and a change that names one is a bug
   * that throws.
   */
  settle(): void {
    const referred = new Set([...this.retained.values(), ...this.commands.keys()]);
    for (const { message } of this.letters.values()) referred.add(message);
    for (const { deliveries } of this.sessions.values()) {
      for (const { message } of deliveries.values()) referred.add(message);
    }
    for (const message of this.messages.keys()) {
      if (!referred.has(message)) this.messages.delete(message);
    }
  }

  apply(change: Change): void {
    const { last } = this;
    switch (change.kind) {
      case 'message':
        this.messages.set(change.message, change.content);
        last.lastMessage = Math.max(last.lastMessage, change.message);
        return;
      case 'session': {
        const held = this.sessions.get(change.session);
        if (held === undefined) this.sessions.set(change.session, new Held(change));
        else held.state = change;
        last.lastSession = Math.max(last.lastSession, change.session);
        return;
      }
      case 'session-ended':
        this.sessions.delete(change.session);
        return;
      case 'retained':
        this.#content(change.message);
        this.retained.set(change.topic, change.message);
        return;
      case 'cleared':
        this.retained.delete(change.topic);
        return;
      case 'command':
        this.#content(change.message);
        this.commands.set(change.message, { only: change.only, parts: new Map() });
        return;
      case 'command-tried':
        this.#part(change.message, change.handler, { attempts: change.attempts });
        return;
      case 'command-part-done':
        this.#part(change.message, change.handler, { done: true });
        return;
      case 'dead':
        this.#content(change.letter.message);
        this.letters.set(change.number, change.letter);
        last.lastMessage = Math.max(last.lastMessage, change.number);
        return;
      case 'dead-dropped':
        this.letters.delete(change.number);
        return;
      case 'command-done':
        this.commands.delete(change.message);
        return;
      case 'present':
      case 'absent': {
        const { user, clientIdentifier, number } = change;
        const key = `${user}\0${clientIdentifier}`;
        // In turns for each: the journal relies on it.
        if (this.present.has(key) === (change.kind === 'present')) {
          throw new Error(`${clientIdentifier} of ${user} is ${change.kind} already`);
        }
        if (!this.present.delete(key)) this.present.set(key, { user, clientIdentifier });
        this.lastPresence = Math.max(this.lastPresence, number);
        return;
      }
      case 'scheduled': {
        const { handler, table, throughMs, message } = change;
        this.schedules.set(handler, { handler, table, throughMs, message });
        return;
      }
      case 'unscheduled':
        this.schedules.delete(change.handler);
        return;
      default:
        return this.#applyTo(this.#held(change.session), change);
    }
  }

  #part(message: MessageNumber, handler: string, change: Partial<CommandPart>): void {
    const command = this.commands.get(message);
    if (command === undefined) throw new Error(`command ${message} does not wait`);
    const before = command.parts.get(handler) ?? { handler, attempts: 0, done: false };
    command.parts.set(handler, { ...before, ...change });
  }

  #held(session: SessionNumber): Held {
    const held = this.sessions.get(session);
    if (held === undefined) throw new Error(`session ${session} was not kept`);
    return held;
  }

  #applyTo(held: Held, change: Change): void {
    switch (change.kind) {
      case 'subscribed': {
        const { shareName, filter } = change.subscription;
        held.subscriptions.set(`${shareName}/${filter}`, change.subscription);
        return;
      }
      case 'unsubscribed':
        held.subscriptions.delete(`${change.shareName}/${change.filter}`);
        return;
      case 'queued':
        this.#content(change.delivery.message);
        held.deliveries.set(change.delivery.sequence, change.delivery);
        this.last.lastSequence = Math.max(this.last.lastSequence, change.delivery.sequence);
        return;
      case 'sent':
        return alter(held, change.sequence, { packetIdentifier: change.packetIdentifier });
      case 'released':
        return alter(held, change.sequence, { released: true });
      case 'done':
        held.deliveries.delete(change.sequence);
        return;
      case 'oldest-dropped': {
        const oldest = inOrder(held).find((delivery) => delivery.packetIdentifier === 0);
        if (oldest !== undefined) held.deliveries.delete(oldest.sequence);
        return;
      }
      case 'received':
        held.received.add(change.packetIdentifier);
        return;
      case 'freed':
        held.received.delete(change.packetIdentifier);
        return;
      case 'recent-commands':
        held.recentCommands = [...change.marks];
        return;
      case 'will':
        held.will = change.will;
        return;
      case 'will-gone':
        held.will = undefined;
        return;
      default:
        throw new Error(`${change.kind} is no change to a session`);
    }
  }

  /** Everything in one piece, each list in the order of its numbers or topics. */
  snapshot(): Snapshot {
    const content = (message: MessageNumber) => ({ message, content: this.#content(message) });
    const numbers = [...this.sessions.keys()].sort((a, b) => a - b);
    return {
      sessions: numbers.map((session) => {
        const held = this.#held(session);
        const { user, clientIdentifier, expirySeconds, expiresAtMs } = held.state;
        const sizes = inOrder(held).map(({ message }) => queuedSize(this.#content(message)));
        return {
          session,
          user,
          clientIdentifier,
          expirySeconds,
          expiresAtMs,
          subscriptions: [...held.subscriptions.values()].sort(bySubscription),
          received: [...held.received].sort((a, b) => a - b),
          recentCommands: held.recentCommands,
          queuedMessages: held.deliveries.size,
          queuedBytes: sizes.reduce((sum, size) => sum + size, 0),
        };
      }),
      retained: [...this.retained.values()].map(content).sort(byTopic),
      wills: numbers.flatMap((session) => {
        const { will } = this.#held(session);
        return will === undefined ? [] : [{ session, will }];
      }),
      commands: [...this.commands]
        .sort(([a], [b]) => a - b)
        .map(([message, { only, parts }]) => ({
          ...content(message),
          state: {
            only,
            parts: [...parts.values()].sort((a, b) => compare(a.handler, b.handler)),
          },
        })),
      present: [...this.present.values()].sort(
        (a, b) => compare(a.user, b.user) || compare(a.clientIdentifier, b.clientIdentifier),
      ),
      schedules: [...this.schedules.values()]
        .sort((a, b) => compare(a.handler, b.handler))
        .map((each) => ({ ...each, message: this.commands.has(each.message) ? each.message : 0 })),
      lastPresence: this.lastPresence,
      ...this.last,
    };
  }

  inOrderOfDeath(): StoredLetter[] {
    return [...this.letters]
      .sort(([a], [b]) => a - b)
      .map(([number, letter]) => ({
        number,
        ...letter,
        content: this.#content(letter.message),
      }));
  }

  fetch(session: SessionNumber, after: Sequence, limit: number, bytes: number): FetchedDeliveries {
    const held = this.sessions.get(session);
    const all = held === undefined ? [] : inOrder(held).filter(({ sequence }) => sequence > after);
    const deliveries: FetchedDeliveries['deliveries'][number][] = [];
    let size = 0;
    for (const delivery of all) {
      const content = this.#content(delivery.message);
      if (deliveries.length === limit) break;
      if (deliveries.length > 0 && size + queuedSize(content) > bytes) break;
      deliveries.push({ ...delivery, content });
      size += queuedSize(content);
    }
    return { session, deliveries, more: deliveries.length < all.length };
  }

  #content(message: MessageNumber): Message {
    const content = this.messages.get(message);
    if (content === undefined) throw new Error(`message ${message} is not kept, or not any more`);
    return content;
  }
}

function alter(held: Held, sequence: Sequence, change: Partial<StoredDelivery>): void {
  const delivery = held.deliveries.get(sequence);
  if (delivery !== undefined) held.deliveries.set(sequence, { ...delivery, ...change });
}

function inOrder(held: Held): StoredDelivery[] {
  return [...held.deliveries.values()].sort((a, b) => a.sequence - b.sequence);
}

function bySubscription(a: StoredSubscription, b: StoredSubscription): number {
  return a.shareName === b.shareName
    ? compare(a.filter, b.filter)
    : compare(a.shareName, b.shareName);
}

function byTopic(a: { readonly content: Message }, b: { readonly content: Message }): number {
  return compare(a.content.topic, b.content.topic);
}

/** As SQLite orders text: by its bytes. */
export function compare(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}

/** The pieces of a snapshot as one, in the order of `Ledger.snapshot`. */
export function joinSnapshot(pieces: Iterable<Snapshot>): Snapshot {
  const all = [...pieces];
  const first = all[0];
  if (first === undefined) throw new Error('a snapshot has one piece at least');
  return {
    ...first,
    sessions: all.flatMap((piece) => piece.sessions),
    retained: all.flatMap((piece) => piece.retained),
    wills: all.flatMap((piece) => piece.wills),
    commands: all.flatMap((piece) => piece.commands),
    present: all.flatMap((piece) => piece.present),
    schedules: all.flatMap((piece) => piece.schedules),
  };
}
