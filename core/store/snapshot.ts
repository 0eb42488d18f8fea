/**
 * What a start finds in the broker's file, read in pieces before the storage thread is given any
 * work: sessions with what routing needs of them, Wills, retained messages, commands. What is queued
 * is counted and stays on disk.
 */
import { Database } from 'bun:sqlite';
import type {
  CommandPart,
  MessageNumber,
  SessionNumber,
  Snapshot,
  StoredCommand,
  StoredPresence,
  StoredSchedule,
  StoredSession,
  StoredSubscription,
} from '../broker/changes.ts';
import type { PacketIdentifier } from '../mqtt/packet.ts';
import { unpackMessage, unpackSubscription, unpackWill } from './message-form.ts';

const SESSIONS_A_PIECE = 1_000;
const MESSAGES_A_PIECE = 256;
const PRESENCE_A_PIECE = 10_000;

type Row = readonly unknown[];
type Numbers = Pick<Snapshot, 'lastSession' | 'lastMessage' | 'lastSequence' | 'lastPresence'>;

/** Reads `path` as it is when the first piece is asked for. There is one piece at least. */
export function* readSnapshot(path: string): Generator<Snapshot, void, undefined> {
  const database = new Database(path, { readonly: true });
  try {
    database.run('pragma busy_timeout = 5000');
    database.run('begin');
    const numbers = readNumbers(database);
    const none = { sessions: [], retained: [], wills: [], commands: [] };
    const empty = { ...none, present: [], schedules: [], ...numbers };
    for (const sessions of readSessions(database)) yield { ...empty, sessions };
    yield { ...empty, wills: readWills(database) };
    for (const retained of readRetained(database)) yield { ...empty, retained };
    for (const commands of readCommands(database)) yield { ...empty, commands };
    yield { ...empty, schedules: readSchedules(database) };
    for (const present of readPresence(database)) yield { ...empty, present };
  } finally {
    database.close(true);
  }
}

/** The number of the last batch that was committed. */
export function readLastBatch(path: string): number {
  const database = new Database(path, { readonly: true });
  try {
    // A thread that was ended may not have let go of the file yet.
    database.run('pragma busy_timeout = 5000');
    return database.query('select batch from progress').values()[0]?.[0] as number;
  } finally {
    database.close(true);
  }
}

function readNumbers(database: Database): Numbers {
  const sql = 'select last_session, last_message, last_sequence from progress';
  const [lastSession, lastMessage, lastSequence] = database.query(sql).values()[0] as number[];
  const presence = database.query('select number from presence_progress').values()[0];
  return {
    lastPresence: (presence?.[0] as number | undefined) ?? 0,
    lastSession: lastSession as number,
    lastMessage: lastMessage as number,
    lastSequence: lastSequence as number,
  };
}

function* readSessions(database: Database): Generator<StoredSession[]> {
  const select = (sql: string) => database.query<unknown, [number, number]>(sql);
  const sessions = select(
    `select number, user, client_identifier, expiry_seconds, expires_at_ms from session
      where number > ? order by number limit ?`,
  );
  const range = 'where session > ? and session <= ?';
  const subscriptions = select(
    `select session, filter, share_name, options, identifier from subscription ${range}`,
  );
  const inbound = select(`select session, packet_identifier from inbound ${range}`);
  const recents = select(`select session, marks from recent_commands ${range}`);
  const queues = select(
    `select session, count(*), sum(size) from delivery ${range} group by session`,
  );
  for (let last = 0; ; ) {
    const rows = sessions.values(last, SESSIONS_A_PIECE) as Row[];
    const end = rows.at(-1)?.[0] as SessionNumber | undefined;
    if (end === undefined) return;
    const held = grouped(subscriptions.values(last, end), readSubscription);
    const received = grouped(inbound.values(last, end), (row) => row[1] as PacketIdentifier);
    const recent = grouped(recents.values(last, end), (row) => row[1] as Uint8Array);
    const queued = grouped(queues.values(last, end), (row) => row);
    yield rows.map((row) => readSession(row, held, received, recent, queued));
    last = end;
  }
}

/** By the session or message that stands first in a row. */
function grouped<T>(rows: readonly Row[], read: (row: Row) => T): Map<number, T[]> {
  const found = new Map<number, T[]>();
  for (const row of rows) {
    const key = row[0] as number;
    const list = found.get(key);
    if (list === undefined) found.set(key, [read(row)]);
    else list.push(read(row));
  }
  return found;
}

function readSubscription(row: Row): StoredSubscription {
  return unpackSubscription(row[1] as string, row[2] as string, row[3] as number, row[4] as number);
}

function readSession(
  row: Row,
  subscriptions: ReadonlyMap<SessionNumber, StoredSubscription[]>,
  received: ReadonlyMap<SessionNumber, PacketIdentifier[]>,
  recent: ReadonlyMap<SessionNumber, Uint8Array[]>,
  queues: ReadonlyMap<SessionNumber, Row[]>,
): StoredSession {
  const session = row[0] as SessionNumber;
  const queue = queues.get(session)?.[0];
  return {
    session,
    user: row[1] as string,
    clientIdentifier: row[2] as string,
    expirySeconds: row[3] as number,
    expiresAtMs: (row[4] as number | null) ?? Number.POSITIVE_INFINITY,
    subscriptions: subscriptions.get(session) ?? [],
    received: received.get(session) ?? [],
    recentCommands: readMarks(recent.get(session)?.[0]),
    queuedMessages: (queue?.[1] as number | undefined) ?? 0,
    queuedBytes: (queue?.[2] as number | undefined) ?? 0,
  };
}

function readMarks(bytes: Uint8Array | undefined): readonly number[] {
  return bytes === undefined ? [] : [...new Uint32Array(new Uint8Array(bytes).buffer)];
}

/** Those of ended sessions, which may still lie there, are left out. */
function readWills(database: Database): Snapshot['wills'] {
  const sql = `select session, topic, head, payload, due_at_ms from will
    where session in (select number from session) order by session`;
  return database
    .query(sql)
    .values()
    .map((row) => {
      const [session, topic, head, payload, dueAtMs] = row as [
        SessionNumber,
        string,
        Uint8Array,
        Uint8Array,
        number | null,
      ];
      const due = dueAtMs ?? Number.POSITIVE_INFINITY;
      return { session, will: unpackWill(topic, head, payload, due) };
    });
}

type MessageRow = [MessageNumber, topic: string, head: Uint8Array, payload: Uint8Array];

function* readRetained(database: Database): Generator<Snapshot['retained']> {
  const select = database.query<unknown, [string, number]>(
    `select number, message.topic, head, payload, retained.topic from retained
      join message on number = retained.message where retained.topic > ?
      order by retained.topic limit ?`,
  );
  for (let last = ''; ; ) {
    const rows = select.values(last, MESSAGES_A_PIECE) as [...MessageRow, string][];
    const end = rows.at(-1);
    if (end === undefined) return;
    yield rows.map(([message, topic, head, payload]) => ({
      message,
      content: unpackMessage(topic, head, payload),
    }));
    last = end[4];
  }
}

/** In the order of their arrival. */
function* readCommands(database: Database): Generator<StoredCommand[]> {
  const select = database.query<unknown, [number, number]>(
    `select number, topic, head, payload, only_handler from command
      join message on number = command.message where command.message > ?
      order by command.message limit ?`,
  );
  const selectParts = database.query<unknown, [number, number]>(
    `select message, handler, attempts, done from command_part
      where message > ? and message <= ? order by message, handler`,
  );
  for (let last = 0; ; ) {
    const rows = select.values(last, MESSAGES_A_PIECE) as [...MessageRow, string | null][];
    const end = rows.at(-1);
    if (end === undefined) return;
    const parts = grouped(selectParts.values(last, end[0]), readPart);
    yield rows.map(([message, topic, head, payload, only]) => ({
      message,
      content: unpackMessage(topic, head, payload),
      state: { only: only ?? undefined, parts: parts.get(message) ?? [] },
    }));
    last = end[0];
  }
}

function readSchedules(database: Database): StoredSchedule[] {
  const sql = `select handler, time_table, through_ms,
      iif(message in (select message from command), message, 0) from schedule order by handler`;
  const rows = database.query(sql).values() as [string, string, number, number][];
  return rows.map(([handler, table, throughMs, message]) => ({
    handler,
    table,
    throughMs,
    message,
  }));
}

function* readPresence(database: Database): Generator<StoredPresence[]> {
  const select = database.query<unknown, [string, string, number]>(
    `select user, client_identifier from presence where (user, client_identifier) > (?, ?)
      order by user, client_identifier limit ?`,
  );
  for (let last: [string, string] = ['', '']; ; ) {
    const rows = select.values(...last, PRESENCE_A_PIECE) as [string, string][];
    const end = rows.at(-1);
    if (end === undefined) return;
    yield rows.map(([user, clientIdentifier]) => ({ user, clientIdentifier }));
    last = end;
  }
}

function readPart(row: Row): CommandPart {
  return { handler: row[1] as string, attempts: row[2] as number, done: row[3] === 1 };
}
