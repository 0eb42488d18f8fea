/**
 * Dead letters, read from the broker's file: as it is at the moment, whether a broker has it open or
 * not. Whoever reads sees one state and keeps nobody from writing.
 */
import { Database } from 'bun:sqlite';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { DeadLetter, LetterNumber, MessageNumber } from '../broker/changes.ts';
import type { Millis } from '../broker/outbox.ts';
import type { TopicName } from '../mqtt/topic.ts';
import { FILE_NAME } from './data-folder.ts';
import { unpackMessage } from './message-form.ts';
import { describeProblem, StorageRefused } from './problem.ts';
import { APPLICATION_ID, LETTERS_SINCE, SCHEMA_VERSION } from './schema.ts';

export interface StoredLetter extends DeadLetter {
  readonly number: LetterNumber;
}

/** A letter without what is long. */
export interface LetterSummary {
  readonly number: LetterNumber;
  readonly handler: string;
  readonly kind: string;
  readonly detail: string;
  readonly at: string | undefined;
  readonly attempts: number;
  readonly invocation: string;
  readonly diedAtMs: Millis;
  readonly topic: TopicName;
  readonly user: string;
  readonly clientIdentifier: string;
  readonly payloadBytes: number;
}

const columns = `dead_letter.number as number, dead_letter.message as message, handler,
  died_at_ms as diedAtMs, attempts, kind, detail, at, stack, invocation, topic, head,
  length(payload) as payloadBytes`;
const from = 'from dead_letter join message on message.number = dead_letter.message';
const ofHandler = '($handler is null or handler = $handler)';

interface Row {
  readonly number: LetterNumber;
  readonly message: MessageNumber;
  readonly handler: string;
  readonly diedAtMs: Millis;
  readonly attempts: number;
  readonly kind: string;
  readonly detail: string;
  readonly at: string;
  readonly stack: string;
  readonly invocation: string;
  readonly topic: string;
  readonly head: Uint8Array;
  readonly payloadBytes: number;
  readonly payload: Uint8Array;
}

type Bindings = { readonly [name: string]: string | number | null };

const nothing = new Uint8Array(0);

export class DeadLetters {
  readonly #database: Database;
  readonly #any: boolean;

  private constructor(database: Database, any: boolean) {
    this.#database = database;
    this.#any = any;
  }

  /** Reads the file of `folder` with `read`. Throws a `StorageRefused` where it cannot be read, and what `read` throws. */
  static read<T>(folder: string, read: (letters: DeadLetters) => T): T {
    const path = join(folder, FILE_NAME);
    if (!existsSync(path)) {
      throw new StorageRefused(
        `${path} does not exist: no broker has kept anything in this DATA_DIR`,
      );
    }
    let database: Database | undefined;
    try {
      database = new Database(path, { readonly: true });
      database.run('pragma busy_timeout = 5000');
      database.run('begin');
      return read(new DeadLetters(database, hasLetters(database, path)));
    } catch (error) {
      if (error instanceof StorageRefused) throw error;
      throw new StorageRefused(`${path}: ${describeProblem(error).reason}`);
    } finally {
      database?.close(true);
    }
  }

  /** The newest first, at most `limit`; those of `handler`, or with undefined of all. */
  list(handler: string | undefined, limit: number): LetterSummary[] {
    const sql = `select ${columns} ${from} where ${ofHandler} order by dead_letter.number desc limit $limit`;
    return this.#rows(sql, { $handler: handler ?? null, $limit: limit }).map(summaryOf);
  }

  /** In order. */
  numbers(handler: string | undefined): LetterNumber[] {
    const sql = `select number from dead_letter where ${ofHandler} order by number`;
    const rows = this.#select<{ number: number }>(sql, { $handler: handler ?? null });
    return rows.map(({ number }) => number);
  }

  get(number: LetterNumber): StoredLetter | undefined {
    const sql = `select ${columns}, payload ${from} where dead_letter.number = $number`;
    return this.#rows(sql, { $number: number }).map(letterOf)[0];
  }

  handlerOf(number: LetterNumber): string | undefined {
    const sql = 'select handler from dead_letter where number = $number';
    return this.#select<{ handler: string }>(sql, { $number: number })[0]?.handler;
  }

  /** How many there are of each handler. */
  count(): Map<string, number> {
    const sql =
      'select handler, count(*) as count from dead_letter group by handler order by handler';
    const rows = this.#select<{ handler: string; count: number }>(sql, {});
    return new Map(rows.map(({ handler, count }) => [handler, count]));
  }

  #rows(sql: string, bindings: Bindings): Row[] {
    return this.#select<Row>(sql, bindings);
  }

  #select<T>(sql: string, bindings: Bindings): T[] {
    if (!this.#any) return [];
    return this.#database.query<T, [Bindings]>(sql).all(bindings);
  }
}

/** False for a file of an older Bellhop, which the next start brings up to date. */
function hasLetters(database: Database, path: string): boolean {
  const pragma = (name: string) => Number(database.query(`pragma ${name}`).values()[0]?.[0]);
  if (pragma('application_id') !== APPLICATION_ID) {
    throw new StorageRefused(`${path} is a database of another program`);
  }
  const version = pragma('user_version');
  if (version > SCHEMA_VERSION) {
    throw new StorageRefused(`${path} was written by a newer Bellhop; use that one`);
  }
  return version >= LETTERS_SINCE;
}

function summaryOf(row: Row): LetterSummary {
  const { number, handler, kind, detail, at, attempts, invocation, diedAtMs, payloadBytes } = row;
  const { topic, publisher } = unpackMessage(row.topic, row.head, nothing);
  const { user, clientIdentifier } = publisher;
  return {
    number,
    handler,
    kind,
    detail,
    at: at === '' ? undefined : at,
    attempts,
    invocation,
    diedAtMs,
    topic,
    user,
    clientIdentifier,
    payloadBytes,
  };
}

function letterOf(row: Row): StoredLetter {
  const { number, message, handler, kind, detail, at, stack, attempts, invocation, diedAtMs } = row;
  return {
    number,
    message,
    content: unpackMessage(row.topic, row.head, row.payload),
    handler,
    kind,
    detail,
    at: at === '' ? undefined : at,
    stack: stack === '' ? undefined : stack,
    attempts,
    invocation,
    diedAtMs,
  };
}
