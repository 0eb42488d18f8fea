/**
 * Gathers changes while the last batch commits, and lets go of what comes to nothing: a message that
 * was queued and acknowledged meanwhile never touches the disk. What is left is what the file must
 * come to, each row once, so that a gathering is never larger than the state that it changes, however
 * long the disk is away.
 *
 * A delivery is one entry in the order of the changes, since `oldest-dropped` depends on that order;
 * what follows to it is folded into its entry. That is sound: what is sent, released or done later
 * was not the one that was dropped. In the other tables the last change to a row decides.
 */
import type {
  Change,
  DeadLetter,
  LetterNumber,
  MessageNumber,
  Sequence,
  SessionNumber,
  StoredDelivery,
  StoredPresence,
  StoredSchedule,
  StoredWill,
} from '../broker/changes.ts';
import type { Message, PacketIdentifier } from '../mqtt/packet.ts';
import type { TopicName } from '../mqtt/topic.ts';
import { sessionKey } from '../session/session.ts';

/** What a batch does about a delivery. */
export const Act = { Nothing: 0, Insert: 1, Update: 2, Delete: 3, DropOldest: 4 } as const;
export type Act = (typeof Act)[keyof typeof Act];

export class DeliveryEntry {
  act: Act;
  readonly session: SessionNumber;
  readonly sequence: Sequence;
  /** With Insert. */
  readonly delivery: StoredDelivery | undefined;
  /** -1 where it stays what it is. */
  packetIdentifier: PacketIdentifier;
  /** Update: false where it stays what it is. */
  released: boolean;

  constructor(
    act: Act,
    session: SessionNumber,
    sequence: Sequence,
    delivery: StoredDelivery | undefined,
    packetIdentifier: PacketIdentifier,
    released: boolean,
  ) {
    this.act = act;
    this.session = session;
    this.sequence = sequence;
    this.delivery = delivery;
    this.packetIdentifier = packetIdentifier;
    this.released = released;
  }
}

export class MessageEntry {
  readonly content: Message;
  /** Deliveries, topics, commands and dead letters of this gathering that refer to it. */
  references = 0;

  constructor(content: Message) {
    this.content = content;
  }
}

/** What a batch does about a command. */
export class CommandEntry {
  /** Whether it is one of this gathering. */
  readonly added: boolean;
  /** Added: the one handler that it is for. */
  readonly only: string | undefined;
  /** Handlers that have tried since, or are done. */
  readonly parts = new Map<string, { attempts: number; done: boolean }>();

  constructor(added: boolean, only: string | undefined) {
    this.added = added;
    this.only = only;
  }
}

/** What a batch does about the presence of a device. */
export interface PresenceEntry extends StoredPresence {
  readonly present: boolean;
  /** Whether the file may know it as present. */
  readonly known: boolean;
}

/** An inbound Packet Identifier: in use since this gathering, free, or free and in use again. */
export type InboundMark = 'used' | 'freed' | 'used-again';

type SubscriptionChange = Extract<Change, { kind: 'subscribed' | 'unsubscribed' }>;
type SessionChange = Extract<Change, { kind: 'session' }>;

/** The changes between two batches, as what is to be written. */
export class Gathering {
  /** How many changes were kept up to its end, from the start of the journal. */
  position = 0;
  readonly messages = new Map<MessageNumber, MessageEntry>();
  /** References that were added to messages of earlier batches. */
  readonly references = new Map<MessageNumber, number>();
  readonly sessions = new Map<SessionNumber, SessionChange>();
  readonly subscriptions = new Map<string, SubscriptionChange>();
  /** By session times 65 536 plus Packet Identifier. */
  readonly inbound = new Map<number, InboundMark>();
  readonly recentCommands = new Map<SessionNumber, Uint32Array<ArrayBuffer>>();
  readonly retained = new Map<TopicName, MessageNumber | undefined>();
  readonly wills = new Map<SessionNumber, StoredWill | undefined>();
  /** Undefined where it is done. */
  readonly commands = new Map<MessageNumber, CommandEntry | undefined>();
  /** Undefined where it is dropped. */
  readonly letters = new Map<LetterNumber, DeadLetter | undefined>();
  /** By user and Client Identifier. */
  readonly presence = new Map<string, PresenceEntry>();
  /** By handler; undefined where it has none any more. */
  readonly schedules = new Map<string, StoredSchedule | undefined>();
  /** The number of the last presence event; 0 where there was none. */
  lastPresence = 0;
  deliveries: DeliveryEntry[] = [];
  readonly bySequence = new Map<Sequence, DeliveryEntry>();
  readonly ended: SessionNumber[] = [];
  /** Messages that were referred to and are not, unless somebody came back to them. */
  unreferred: MessageNumber[] = [];
  lastSession: SessionNumber = 0;
  lastMessage: MessageNumber = 0;
  lastSequence: Sequence = 0;
}

/** So many messages may wait to be let go of before it is done. */
const LEFT_OVER = 1_024;

export class Journal {
  #gathering = new Gathering();
  #position = 0;
  #taken = 0;

  /** How many changes were kept. */
  get position(): number {
    return this.#position;
  }

  /** Whether something was kept that was not taken. */
  get pending(): boolean {
    return this.#position !== this.#taken;
  }

  /** What was gathered since the last call; undefined where nothing was kept. */
  take(): Gathering | undefined {
    if (!this.pending) return undefined;
    const gathering = this.#gathering;
    gathering.position = this.#position;
    this.#taken = this.#position;
    this.#gathering = new Gathering();
    return gathering;
  }

  /** Lets go of what came to nothing, once it is worth it. For the end of a turn: a message may change hands within. */
  tidy(): void {
    const gathering = this.#gathering;
    if (gathering.unreferred.length < LEFT_OVER) return;
    for (const message of gathering.unreferred) {
      if (gathering.messages.get(message)?.references === 0) gathering.messages.delete(message);
    }
    gathering.unreferred = [];
    gathering.deliveries = gathering.deliveries.filter((entry) => {
      if (entry.act !== Act.Nothing) return true;
      gathering.bySequence.delete(entry.sequence);
      return false;
    });
  }

  keep(change: Change): void {
    this.#position++;
    const gathering = this.#gathering;
    switch (change.kind) {
      case 'message':
        gathering.messages.set(change.message, new MessageEntry(change.content));
        if (change.message > gathering.lastMessage) gathering.lastMessage = change.message;
        return;
      case 'queued':
        return queue(gathering, change.session, change.delivery);
      case 'sent': {
        const entry = touch(gathering, change.session, change.sequence);
        entry.packetIdentifier = change.packetIdentifier;
        return;
      }
      case 'released':
        touch(gathering, change.session, change.sequence).released = true;
        return;
      case 'done':
        return end(gathering, change.session, change.sequence);
      case 'oldest-dropped':
        gathering.deliveries.push(
          new DeliveryEntry(Act.DropOldest, change.session, 0, undefined, 0, false),
        );
        return;
      case 'received':
        return use(gathering, inboundKey(change.session, change.packetIdentifier));
      case 'recent-commands':
        gathering.recentCommands.set(change.session, change.marks);
        return;
      case 'freed':
        return free(gathering, inboundKey(change.session, change.packetIdentifier));
      case 'session':
        gathering.sessions.set(change.session, change);
        if (change.session > gathering.lastSession) gathering.lastSession = change.session;
        return;
      case 'session-ended':
        gathering.sessions.delete(change.session);
        gathering.ended.push(change.session);
        return;
      case 'subscribed':
        gathering.subscriptions.set(
          subscriptionKey(
            change.session,
            change.subscription.shareName,
            change.subscription.filter,
          ),
          change,
        );
        return;
      case 'unsubscribed':
        gathering.subscriptions.set(
          subscriptionKey(change.session, change.shareName, change.filter),
          change,
        );
        return;
      case 'retained':
        return retain(gathering, change.topic, change.message);
      case 'cleared':
        return retain(gathering, change.topic, undefined);
      case 'will':
        gathering.wills.set(change.session, change.will);
        return;
      case 'will-gone':
        gathering.wills.set(change.session, undefined);
        return;
      case 'command':
        refer(gathering, change.message);
        gathering.commands.set(change.message, new CommandEntry(true, change.only));
        return;
      case 'command-tried':
        partOf(gathering, change.message, change.handler).attempts = change.attempts;
        return;
      case 'command-part-done':
        partOf(gathering, change.message, change.handler).done = true;
        return;
      case 'command-done':
        return endCommand(gathering, change.message);
      case 'dead':
        refer(gathering, change.letter.message);
        gathering.letters.set(change.number, change.letter);
        if (change.number > gathering.lastMessage) gathering.lastMessage = change.number;
        return;
      case 'dead-dropped':
        return dropLetter(gathering, change.number);
      case 'present':
      case 'absent':
        return notePresence(gathering, change);
      case 'scheduled':
        gathering.schedules.set(change.handler, change);
        return;
      case 'unscheduled':
        gathering.schedules.set(change.handler, undefined);
        return;
      default:
        change satisfies never;
    }
  }
}

function queue(gathering: Gathering, session: SessionNumber, delivery: StoredDelivery): void {
  const { sequence, message, packetIdentifier, released } = delivery;
  const entry = new DeliveryEntry(
    Act.Insert,
    session,
    sequence,
    delivery,
    packetIdentifier,
    released,
  );
  gathering.deliveries.push(entry);
  gathering.bySequence.set(sequence, entry);
  refer(gathering, message);
  if (sequence > gathering.lastSequence) gathering.lastSequence = sequence;
}

/** The entry that a change to a delivery goes into: that of its insertion, or one of its own. */
function touch(gathering: Gathering, session: SessionNumber, sequence: Sequence): DeliveryEntry {
  const known = gathering.bySequence.get(sequence);
  if (known !== undefined) return known;
  const entry = new DeliveryEntry(Act.Update, session, sequence, undefined, -1, false);
  gathering.deliveries.push(entry);
  gathering.bySequence.set(sequence, entry);
  return entry;
}

function end(gathering: Gathering, session: SessionNumber, sequence: Sequence): void {
  const entry = touch(gathering, session, sequence);
  if (entry.act === Act.Insert) {
    entry.act = Act.Nothing;
    unrefer(gathering, (entry.delivery as StoredDelivery).message);
  } else if (entry.act === Act.Update) {
    entry.act = Act.Delete;
  }
}

/** What is to be said of `handler` and a command that is not done. */
function partOf(
  gathering: Gathering,
  message: MessageNumber,
  handler: string,
): { attempts: number; done: boolean } {
  const entry = gathering.commands.get(message) ?? new CommandEntry(false, undefined);
  gathering.commands.set(message, entry);
  const part = entry.parts.get(handler) ?? { attempts: 0, done: false };
  entry.parts.set(handler, part);
  return part;
}

function endCommand(gathering: Gathering, message: MessageNumber): void {
  if (gathering.commands.get(message)?.added) {
    gathering.commands.delete(message);
    unrefer(gathering, message);
  } else gathering.commands.set(message, undefined);
}

function dropLetter(gathering: Gathering, number: LetterNumber): void {
  const letter = gathering.letters.get(number);
  if (letter === undefined) gathering.letters.set(number, undefined);
  else {
    gathering.letters.delete(number);
    unrefer(gathering, letter.message);
  }
}

/** Those who come and go again within the gathering leave nothing behind, however many they are. */
function notePresence(
  gathering: Gathering,
  change: Extract<Change, { kind: 'present' | 'absent' }>,
): void {
  const { user, clientIdentifier } = change;
  const present = change.kind === 'present';
  const key = sessionKey(user, clientIdentifier);
  const before = gathering.presence.get(key);
  // It is told in turns: what goes first was there before.
  const known = before?.known ?? !present;
  if (present || known) gathering.presence.set(key, { user, clientIdentifier, present, known });
  else gathering.presence.delete(key);
  gathering.lastPresence = Math.max(gathering.lastPresence, change.number);
}

function refer(gathering: Gathering, message: MessageNumber): void {
  const entry = gathering.messages.get(message);
  if (entry !== undefined) entry.references++;
  else gathering.references.set(message, (gathering.references.get(message) ?? 0) + 1);
}

/** Takes back a `refer` of this gathering. */
function unrefer(gathering: Gathering, message: MessageNumber): void {
  const entry = gathering.messages.get(message);
  if (entry !== undefined) {
    if (--entry.references === 0) gathering.unreferred.push(message);
  } else gathering.references.set(message, (gathering.references.get(message) ?? 0) - 1);
}

function retain(gathering: Gathering, topic: TopicName, message: MessageNumber | undefined): void {
  const before = gathering.retained.get(topic);
  if (message !== undefined) refer(gathering, message);
  if (before !== undefined) unrefer(gathering, before);
  gathering.retained.set(topic, message);
}

function use(gathering: Gathering, key: number): void {
  gathering.inbound.set(key, gathering.inbound.has(key) ? 'used-again' : 'used');
}

function free(gathering: Gathering, key: number): void {
  if (gathering.inbound.get(key) === 'used') gathering.inbound.delete(key);
  else gathering.inbound.set(key, 'freed');
}

function inboundKey(session: SessionNumber, packetIdentifier: PacketIdentifier): number {
  return session * 65_536 + packetIdentifier;
}

/** A ShareName holds no `/`, and where there is none the filter may begin with one. [MQTT-4.8.2-1] */
function subscriptionKey(session: SessionNumber, shareName: string, filter: string): string {
  return `${session} ${shareName}/${filter}`;
}
