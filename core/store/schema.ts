/**
 * The tables of the broker's own SQLite file, as numbered migrations: the file's `user_version` is
 * the number of the last one applied. A migration that was released is never changed; the next one
 * is appended.
 *
 * Times are milliseconds since the epoch; packed columns are read in `message-form.ts`. Rows of a
 * session that is in `ended` are left over, and go bit by bit.
 */
import type { Database } from 'bun:sqlite';

/** Says that a SQLite file is ours: "Bllh". */
export const APPLICATION_ID = 0x426c6c68;

const migrations: readonly string[] = [
  `
  -- The number of the last batch, and the largest numbers that were ever given out.
  create table progress (
    id integer primary key check (id = 1),
    batch integer not null,
    last_session integer not null,
    last_message integer not null,
    last_sequence integer not null
  ) strict;
  insert into progress values (1, 0, 0, 0, 0);

  create table session (
    number integer primary key,
    user text not null,
    client_identifier text not null,
    expiry_seconds integer not null,
    expires_at_ms integer -- null while a connection is attached
  ) strict;

  create table subscription (
    session integer not null,
    share_name text not null,
    filter text not null,
    options integer not null,
    identifier integer not null,
    primary key (session, share_name, filter)
  ) strict, without rowid;

  -- Packet Identifiers of QoS 2 messages that a client has not released.
  create table inbound (
    session integer not null,
    packet_identifier integer not null,
    primary key (session, packet_identifier)
  ) strict, without rowid;

  -- Each once, however many deliveries, topics and commands refer to it.
  create table message (
    number integer primary key,
    reference_count integer not null,
    size integer not null, -- as a queue counts it
    topic text not null,
    head blob not null,
    payload blob not null
  ) strict;

  create table delivery (
    session integer not null,
    sequence integer not null,
    message integer not null,
    size integer not null, -- that of the message, so that a start need not look at messages
    options integer not null,
    packet_identifier integer not null, -- 0 while it waits
    extra text not null,
    primary key (session, sequence)
  ) strict, without rowid;

  create table retained (
    topic text primary key,
    message integer not null
  ) strict, without rowid;

  create table will (
    session integer primary key,
    due_at_ms integer, -- null while a connection is attached
    topic text not null,
    head blob not null,
    payload blob not null
  ) strict;

  -- Messages that wait for the plugins.
  create table command (
    message integer primary key
  ) strict;

  create table ended (
    session integer primary key
  ) strict;
  `,
  `
  -- Null: it is for all handlers that match its topic.
  alter table command add column only_handler text;

  -- What is known of the handlers of a command that waits.
  create table command_part (
    message integer not null,
    handler text not null,
    attempts integer not null,
    done integer not null,
    primary key (message, handler)
  ) strict, without rowid;

  -- Commands that a handler gave up. The message stays for as long.
  create table dead_letter (
    number integer primary key,
    message integer not null,
    size integer not null, -- with that of the message
    handler text not null,
    died_at_ms integer not null,
    attempts integer not null,
    kind text not null,
    detail text not null,
    at text not null, -- empty where it is not known, as is the stack
    stack text not null,
    invocation text not null
  ) strict;

  -- QoS 1 commands of a client of late: Packet Identifier and fingerprint in turn, 32 bits each, the low byte first.
  create table recent_commands (
    session integer primary key,
    marks blob not null
  ) strict;

  -- Devices that are connected, while plugins are told of such.
  create table presence (
    user text not null,
    client_identifier text not null,
    primary key (user, client_identifier)
  ) strict, without rowid;

  -- The number of the last presence event; at most one row.
  create table presence_progress (
    id integer primary key check (id = 1),
    number integer not null
  ) strict;

  -- Up to when the time tables of handlers are seen to.
  create table schedule (
    handler text primary key,
    time_table text not null,
    through_ms integer not null,
    message integer not null -- the command of the last run, which may be done; 0 for none
  ) strict, without rowid;
  `,
];

/** The newest schema that this program knows. */
export const SCHEMA_VERSION = migrations.length;

/** The schema that dead letters came with. */
export const LETTERS_SINCE = 2;

/** Applies what is missing behind `from`, each migration in a transaction with its number. */
export function migrate(database: Database, from: number, steps = migrations): void {
  for (const [index, sql] of steps.entries()) {
    if (index < from) continue;
    database.transaction(() => {
      database.run(sql);
      database.run(`pragma user_version = ${index + 1}`);
    })();
  }
}
