/** What the storage thread says to SQLite, prepared once. */
import type { Database, SQLQueryBindings, Statement } from 'bun:sqlite';

export type Statements = ReturnType<typeof prepareStatements>;

export function prepareStatements(database: Database) {
  const prepare = (sql: string): Statement<unknown, SQLQueryBindings[]> => database.prepare(sql);
  return {
    begin: prepare('begin immediate'),
    commit: prepare('commit'),
    lastBatch: prepare('select batch from progress'),
    progress: prepare(
      `update progress set batch = ?, last_session = max(last_session, ?),
        last_message = max(last_message, ?), last_sequence = max(last_sequence, ?)`,
    ),
    addMessage: prepare(
      `insert or replace into message (number, reference_count, size, topic, head, payload)
        values (?, ?, ?, ?, ?, ?)`,
    ),
    message: prepare('select topic, head, payload from message where number = ?'),
    refer: prepare('update message set reference_count = reference_count + ? where number = ?'),
    unrefer: prepare('update message set reference_count = reference_count - ? where number = ?'),
    dropMessage: prepare('delete from message where number = ? and reference_count = ?'),
    setSession: prepare(
      `insert or replace into session (number, user, client_identifier, expiry_seconds, expires_at_ms)
        values (?, ?, ?, ?, ?)`,
    ),
    endSession: prepare('delete from session where number = ?'),
    markEnded: prepare('insert or ignore into ended (session) values (?)'),
    isEnded: prepare('select 1 from ended where session = ?'),
    anyEnded: prepare('select session from ended limit 1'),
    forgetEnded: prepare('delete from ended where session = ?'),
    endDeliveries: prepare(
      `delete from delivery where session = ? and sequence <= (
        select max(sequence) from (
          select sequence from delivery where session = ? order by sequence limit ?
        )
      ) returning message`,
    ),
    endSubscriptions: prepare('delete from subscription where session = ?'),
    endInbound: prepare('delete from inbound where session = ?'),
    subscribe: prepare(
      `insert or replace into subscription (session, share_name, filter, options, identifier)
        values (?, ?, ?, ?, ?)`,
    ),
    unsubscribe: prepare(
      'delete from subscription where session = ? and share_name = ? and filter = ?',
    ),
    useIdentifier: prepare(
      'insert or replace into inbound (session, packet_identifier) values (?, ?)',
    ),
    freeIdentifier: prepare('delete from inbound where session = ? and packet_identifier = ?'),
    setRecentCommands: prepare(
      'insert or replace into recent_commands (session, marks) values (?, ?)',
    ),
    endRecentCommands: prepare('delete from recent_commands where session = ?'),
    retain: prepare('insert or replace into retained (topic, message) values (?, ?)'),
    clear: prepare('delete from retained where topic = ? returning message'),
    setWill: prepare(
      `insert or replace into will (session, due_at_ms, topic, head, payload)
        values (?, ?, ?, ?, ?)`,
    ),
    dropWill: prepare('delete from will where session = ?'),
    addCommand: prepare('insert or replace into command (message, only_handler) values (?, ?)'),
    endCommand: prepare('delete from command where message = ? returning message'),
    // A part of a command that is gone is of no more use.
    setPart: prepare(
      `insert into command_part (message, handler, attempts, done)
        select message, ?2, ?3, ?4 from command where message = ?1
        on conflict do update set attempts = max(attempts, excluded.attempts),
          done = max(done, excluded.done)`,
    ),
    endParts: prepare('delete from command_part where message = ?'),
    addLetter: prepare(
      `insert or replace into dead_letter (number, message, size, handler, died_at_ms, attempts,
        kind, detail, at, stack, invocation) values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    ),
    dropLetter: prepare('delete from dead_letter where number = ? returning message, size'),
    oldestLetters: prepare('select number from dead_letter order by number limit ?'),
    letters: prepare('select count(*), coalesce(sum(size), 0) from dead_letter'),
    present: prepare('insert or ignore into presence (user, client_identifier) values (?, ?)'),
    absent: prepare('delete from presence where user = ? and client_identifier = ?'),
    presenceNumber: prepare(
      `insert into presence_progress (id, number) values (1, ?)
        on conflict do update set number = max(number, excluded.number)`,
    ),
    setSchedule: prepare(
      `insert or replace into schedule (handler, time_table, through_ms, message)
        values (?, ?, ?, ?)`,
    ),
    dropSchedule: prepare('delete from schedule where handler = ?'),
    addDelivery: prepare(
      `insert or replace into delivery
        (session, sequence, message, size, options, packet_identifier, extra)
        values (?, ?, ?, ?, ?, ?, ?)`,
    ),
    addOlderDelivery: prepare(
      `insert or replace into delivery
        (session, sequence, message, size, options, packet_identifier, extra)
        select ?, ?, number, size, ?, ?, ? from message where number = ?`,
    ),
    changeDelivery: prepare(
      `update delivery set packet_identifier = iif(?1 < 0, packet_identifier, ?1),
        options = options | ?2 where session = ?3 and sequence = ?4`,
    ),
    endDelivery: prepare(
      'delete from delivery where session = ? and sequence = ? returning message',
    ),
    dropOldest: prepare(
      `delete from delivery where session = ?1 and sequence = (
        select sequence from delivery where session = ?1 and packet_identifier = 0
          order by sequence limit 1
      ) returning message`,
    ),
    deliveriesAfter: prepare(
      `select sequence, message, size, options, packet_identifier, extra from delivery
        where session = ? and sequence > ? order by sequence limit ?`,
    ),
  };
}
