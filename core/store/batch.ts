/**
 * What a gathering comes to, packed as one batch for the storage thread: operations on rows, in the
 * order in which `broker-file.ts` carries them out. Messages stand before what refers to them, the
 * ends of sessions behind all that came before.
 */
import type { DeadLetter, LetterNumber, StoredDelivery } from '../broker/changes.ts';
import { queuedSize } from '../session/queue.ts';
import { Act, type DeliveryEntry, type Gathering } from './journal.ts';
import {
  packDeliveryOptions,
  packExtra,
  packHead,
  packSubscriptionOptions,
  packWill,
} from './message-form.ts';
import type { Packer } from './packed.ts';

export const Operation = {
  /** number, references, size, topic, head, payload */
  Message: 1,
  /** number, how many more */
  Reference: 2,
  /** number, user, Client Identifier, expiry seconds, expiry time or Infinity */
  Session: 3,
  /** session, ShareName, filter, options, identifier */
  Subscribe: 4,
  /** session, ShareName, filter */
  Unsubscribe: 5,
  /** session, Packet Identifier */
  UseIdentifier: 6,
  /** session, Packet Identifier */
  FreeIdentifier: 7,
  /** topic, message */
  Retain: 8,
  /** topic */
  Clear: 9,
  /** session, time or Infinity, topic, head, payload */
  SetWill: 10,
  /** session */
  DropWill: 11,
  /** message, the one handler that it is for or an empty text */
  AddCommand: 12,
  /** message */
  EndCommand: 13,
  /** session, sequence, message, size (0: as the message row says), options, Packet Identifier, extra */
  AddDelivery: 14,
  /** session, sequence, Packet Identifier plus 1 (0: as it is), 1 where it is released now */
  ChangeDelivery: 15,
  /** session, sequence */
  EndDelivery: 16,
  /** session */
  DropOldest: 17,
  /** session */
  EndSession: 18,
  /** message, handler, attempts or 0, 1 where it is done */
  CommandPart: 19,
  /** number, message, size, then as `packLetter` has it */
  AddLetter: 20,
  /** number */
  DropLetter: 21,
  /** user, Client Identifier */
  Present: 22,
  /** user, Client Identifier */
  Absent: 23,
  /** number of the last presence event */
  PresenceNumber: 24,
  /** handler, time table, through, message */
  SetSchedule: 25,
  /** handler */
  DropSchedule: 26,
  /** session, marks */
  RecentCommands: 27,
} as const;
export type Operation = (typeof Operation)[keyof typeof Operation];

/** Packs `gathering` and returns how many operations it comes to, which may be none. */
export function packBatch(gathering: Gathering, into: Packer): number {
  return (
    packMessages(gathering, into) +
    packSessions(gathering, into) +
    packSubscriptions(gathering, into) +
    packInbound(gathering, into) +
    packRecentCommands(gathering, into) +
    packTopics(gathering, into) +
    packWills(gathering, into) +
    packCommands(gathering, into) +
    packLetters(gathering, into) +
    packPresence(gathering, into) +
    packSchedules(gathering, into) +
    packDeliveries(gathering, into) +
    packEnds(gathering, into)
  );
}

function packMessages(gathering: Gathering, into: Packer): number {
  let count = 0;
  for (const [number, { content, references }] of gathering.messages) {
    if (references === 0) continue;
    into.byte(Operation.Message);
    into.number(number);
    into.size(references);
    into.size(queuedSize(content));
    into.text(content.topic);
    into.data(packHead(content));
    into.data(content.payload);
    count++;
  }
  for (const [number, more] of gathering.references) {
    if (more === 0) continue;
    into.byte(Operation.Reference);
    into.number(number);
    into.size(more);
    count++;
  }
  return count;
}

function packSessions(gathering: Gathering, into: Packer): number {
  for (const change of gathering.sessions.values()) {
    into.byte(Operation.Session);
    into.number(change.session);
    into.text(change.user);
    into.text(change.clientIdentifier);
    into.number(change.expirySeconds);
    into.number(change.expiresAtMs);
  }
  return gathering.sessions.size;
}

function packSubscriptions(gathering: Gathering, into: Packer): number {
  for (const change of gathering.subscriptions.values()) {
    const added = change.kind === 'subscribed';
    const { shareName, filter } = added ? change.subscription : change;
    into.byte(added ? Operation.Subscribe : Operation.Unsubscribe);
    into.number(change.session);
    into.text(shareName);
    into.text(filter);
    if (!added) continue;
    into.byte(packSubscriptionOptions(change.subscription));
    into.size(change.subscription.identifier);
  }
  return gathering.subscriptions.size;
}

function packInbound(gathering: Gathering, into: Packer): number {
  for (const [key, mark] of gathering.inbound) {
    into.byte(mark === 'freed' ? Operation.FreeIdentifier : Operation.UseIdentifier);
    into.number(Math.floor(key / 65_536));
    into.size(key % 65_536);
  }
  return gathering.inbound.size;
}

function packRecentCommands({ recentCommands }: Gathering, into: Packer): number {
  for (const [session, marks] of recentCommands) {
    into.byte(Operation.RecentCommands);
    into.number(session);
    into.data(new Uint8Array(marks.buffer));
  }
  return recentCommands.size;
}

function packTopics(gathering: Gathering, into: Packer): number {
  for (const [topic, message] of gathering.retained) {
    into.byte(message === undefined ? Operation.Clear : Operation.Retain);
    into.text(topic);
    if (message !== undefined) into.number(message);
  }
  return gathering.retained.size;
}

function packWills(gathering: Gathering, into: Packer): number {
  for (const [session, will] of gathering.wills) {
    into.byte(will === undefined ? Operation.DropWill : Operation.SetWill);
    into.number(session);
    if (will === undefined) continue;
    into.number(will.dueAtMs);
    into.text(will.topic);
    into.data(packWill(will));
    into.data(will.payload);
  }
  return gathering.wills.size;
}

function packCommands(gathering: Gathering, into: Packer): number {
  let count = 0;
  for (const [message, entry] of gathering.commands) {
    if (entry === undefined || entry.added) {
      into.byte(entry === undefined ? Operation.EndCommand : Operation.AddCommand);
      into.number(message);
      if (entry !== undefined) into.text(entry.only ?? '');
      count++;
    }
    for (const [handler, { attempts, done }] of entry?.parts ?? []) {
      into.byte(Operation.CommandPart);
      into.number(message);
      into.text(handler);
      into.size(attempts);
      into.byte(done ? 1 : 0);
      count++;
    }
  }
  return count;
}

function packLetters(gathering: Gathering, into: Packer): number {
  for (const [number, letter] of gathering.letters) {
    if (letter === undefined) {
      into.byte(Operation.DropLetter);
      into.number(number);
    } else packLetter(number, letter, into);
  }
  return gathering.letters.size;
}

function packLetter(number: LetterNumber, letter: DeadLetter, into: Packer): void {
  into.byte(Operation.AddLetter);
  into.number(number);
  into.number(letter.message);
  into.size(letterSize(letter));
  into.text(letter.handler);
  into.number(letter.diedAtMs);
  into.size(letter.attempts);
  into.text(letter.kind);
  into.text(letter.detail);
  into.text(letter.at ?? '');
  into.text(letter.stack ?? '');
  into.text(letter.invocation);
}

/** What a letter counts for in the bound on their bytes, its message included. */
export function letterSize({ content, handler, detail, stack = '' }: DeadLetter): number {
  return queuedSize(content) + handler.length + detail.length + stack.length;
}

function packPresence({ presence, lastPresence }: Gathering, into: Packer): number {
  if (lastPresence === 0) return 0;
  into.byte(Operation.PresenceNumber);
  into.number(lastPresence);
  for (const { user, clientIdentifier, present } of presence.values()) {
    into.byte(present ? Operation.Present : Operation.Absent);
    into.text(user);
    into.text(clientIdentifier);
  }
  return 1 + presence.size;
}

function packSchedules({ schedules }: Gathering, into: Packer): number {
  for (const [handler, schedule] of schedules) {
    into.byte(schedule === undefined ? Operation.DropSchedule : Operation.SetSchedule);
    into.text(handler);
    if (schedule === undefined) continue;
    into.text(schedule.table);
    into.number(schedule.throughMs);
    into.number(schedule.message);
  }
  return schedules.size;
}

function packDeliveries(gathering: Gathering, into: Packer): number {
  let count = 0;
  for (const entry of gathering.deliveries) {
    switch (entry.act) {
      case Act.Nothing:
        continue;
      case Act.Insert:
        packInsertion(gathering, entry, entry.delivery as StoredDelivery, into);
        break;
      case Act.Update:
        into.byte(Operation.ChangeDelivery);
        into.number(entry.session);
        into.number(entry.sequence);
        into.size(entry.packetIdentifier + 1);
        into.byte(entry.released ? 1 : 0);
        break;
      case Act.Delete:
        into.byte(Operation.EndDelivery);
        into.number(entry.session);
        into.number(entry.sequence);
        break;
      case Act.DropOldest:
        into.byte(Operation.DropOldest);
        into.number(entry.session);
        break;
      default:
        entry.act satisfies never;
    }
    count++;
  }
  return count;
}

function packInsertion(
  gathering: Gathering,
  entry: DeliveryEntry,
  delivery: StoredDelivery,
  into: Packer,
): void {
  const message = gathering.messages.get(delivery.message);
  into.byte(Operation.AddDelivery);
  into.number(entry.session);
  into.number(delivery.sequence);
  into.number(delivery.message);
  into.size(message === undefined ? 0 : queuedSize(message.content));
  into.byte(packDeliveryOptions(delivery.qos, delivery.retain, entry.released));
  into.size(entry.packetIdentifier);
  into.text(packExtra(delivery));
}

function packEnds(gathering: Gathering, into: Packer): number {
  for (const session of gathering.ended) {
    into.byte(Operation.EndSession);
    into.number(session);
  }
  return gathering.ended.length;
}
