/**
 * Which runs have been committed without our knowing that what they sent is on the broker's disk: those
 * that a start finds marked, and those of this process. A mark is forgotten once it is known.
 */

import { Database } from 'bun:sqlite';
import { existsSync } from 'node:fs';
import type { MessageNumber } from '../broker/changes.ts';
import type { Position } from '../broker/ledger.ts';
import type { Mark } from './exchange.ts';
import { Fifo } from './fifo.ts';
import { readMarks, type Sent, type StoredMark } from './mark.ts';
import { StoreProblem } from './store.ts';

/** So many are forgotten with one batch at most. */
const MOST_FORGOTTEN = 1_000;

export class Marks {
  /** What a start found, until it is taken: by command, then by handler. */
  readonly #found = new Map<MessageNumber, Map<string, readonly Sent[]>>();
  /** In the order of their positions. */
  readonly #pending = new Fifo<{ readonly position: Position; readonly mark: Mark }>();
  #useless: Mark[] = [];

  /** Reads those in the handlers' database, if there is one. Throws a `StoreProblem` where it cannot be read. */
  read(storePath: string): void {
    try {
      for (const { message, handler, sends } of readFile(storePath)) {
        const others = this.#found.get(message) ?? new Map<string, readonly Sent[]>();
        this.#found.set(message, others.set(handler, sends));
      }
    } catch (error) {
      throw new StoreProblem(`${storePath}: ${(error as Error).message}`);
    }
  }

  /** What a run that a start found marked has sent; undefined where there is no such mark. It is found once. */
  take(message: MessageNumber, handler: string): readonly Sent[] | undefined {
    const found = this.#found.get(message);
    const sends = found?.get(handler);
    if (sends === undefined) return undefined;
    found?.delete(handler);
    return sends;
  }

  /** Whether a start found any of the command. */
  found(message: MessageNumber): boolean {
    return this.#found.has(message);
  }

  /** As `take`, all those of a command whose handlers are not among `others`. */
  takeBut(message: MessageNumber, others: readonly string[]): [string, readonly Sent[]][] {
    const found = this.#found.get(message);
    if (found === undefined) return [];
    const taken = [...found].filter(([handler]) => !others.includes(handler));
    for (const [handler] of taken) found.delete(handler);
    return taken;
  }

  /** What is left of those that a start found, behind `last`, is of commands that are done, or that nobody knows of. */
  forgetFound(last: MessageNumber = 0): void {
    for (const [message, found] of this.#found) {
      if (message <= last) continue;
      for (const handler of found.keys()) this.#useless.push({ message, handler });
      this.#found.delete(message);
    }
  }

  /** The run is over on disk as soon as `position` is stored. */
  settled(mark: Mark, position: Position): void {
    this.#pending.push({ position, mark });
  }

  stored(count: Position): void {
    for (let next = this.#pending.peek(); next && next.position <= count; ) {
      this.#useless.push(next.mark);
      this.#pending.shift();
      next = this.#pending.peek();
    }
  }

  /** Marks to be deleted. */
  takeUseless(): readonly Mark[] {
    return this.#useless.length === 0 ? none : this.#useless.splice(0, MOST_FORGOTTEN);
  }
}

const none: readonly Mark[] = [];

/** What a run sent, by its mark; undefined where it has none, or it cannot be read. */
export function findMark(
  storePath: string,
  message: MessageNumber,
  handler: string,
): readonly Sent[] | undefined {
  try {
    const found = readFile(storePath).find(
      (mark) => mark.message === message && mark.handler === handler,
    );
    return found?.sends;
  } catch {
    return undefined;
  }
}

function readFile(storePath: string): readonly StoredMark[] {
  if (!existsSync(storePath)) return [];
  const database = new Database(storePath, { readonly: true });
  try {
    return readMarks(database);
  } finally {
    database.close();
  }
}
