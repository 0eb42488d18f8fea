/**
 * The mark of a run that has been committed, in the handlers' database: one row, written in the run's own
 * transaction, that is both proof that it happened and the outbox of what it sent. While the row is
 * there its messages may not have reached the broker's file; so a start gives them out, instead of
 * running the command again.
 */
import type { Database } from 'bun:sqlite';
import type { Message } from '../mqtt/packet.ts';
import { packHead, unpackMessage } from '../store/message-form.ts';
import { Packer, Unpacker } from '../store/packed.ts';
import type { Mark, Route } from './exchange.ts';

export const PROCESSED_TABLE = `create table if not exists bellhop_processed (
  message integer not null,
  handler text not null,
  sends blob not null,
  primary key (message, handler)
) without rowid, strict`;

/** A message that a run sent, and how. */
export interface Sent {
  readonly route: Route;
  readonly message: Message;
}

export interface StoredMark extends Mark {
  readonly sends: readonly Sent[];
}

const FORM = 1;
const room = new ArrayBuffer(64 * 1024);

/** What a run sent, for its mark; good until the next call. `expiresAtMs` counts from `wallMs` in each. */
export function packSends(sends: readonly Sent[], wallMs: number): Uint8Array {
  const into = new Packer(room);
  into.byte(FORM);
  for (const { route, message } of sends) {
    into.byte(route);
    into.text(message.topic);
    into.data(packHead({ ...message, expiresAtMs: wallMs + message.expiresAtMs }));
    into.data(message.payload);
  }
  return into.written;
}

/** What `packSends` packed, where `expiresAtMs` is in milliseconds since the epoch. */
export function unpackSends(blob: Uint8Array): Sent[] {
  const from = new Unpacker(blob);
  if (from.byte() !== FORM) throw new Error('written by a later version');
  const sends: Sent[] = [];
  while (!from.done) {
    const route = from.byte() as Route;
    const topic = from.text();
    const head = from.data();
    sends.push({ route, message: unpackMessage(topic, head, from.data()) });
  }
  return sends;
}

/** All marks there are; none where nothing was ever stored. */
export function readMarks(database: Database): StoredMark[] {
  const table = database.query("select 1 from sqlite_schema where name = 'bellhop_processed'");
  if (table.get() === null) return [];
  return database
    .query<{ message: number; handler: string; sends: Uint8Array }, []>(
      'select message, handler, sends from bellhop_processed order by message, handler',
    )
    .all()
    .map(({ message, handler, sends }) => ({ message, handler, sends: unpackSends(sends) }));
}
