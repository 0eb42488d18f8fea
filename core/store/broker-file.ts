/**
 * The broker's SQLite file in the hands of the storage thread: batches are carried out, each in one
 * transaction with its number; deliveries are read; what ended sessions leave behind goes bit by bit.
 *
 * A message row goes with its last reference, but only at the end of a batch, since within one it may
 * change hands.
 */
import { Database } from 'bun:sqlite';
import { statSync } from 'node:fs';
import type { MessageNumber, Sequence, SessionNumber } from '../broker/changes.ts';
import { Operation } from './batch.ts';
import { CommandReader, type CommandRequest } from './commands.ts';
import { LetterBox, type LetterTally, unbounded } from './letter-box.ts';
import { RELEASED } from './message-form.ts';
import { Packer, Unpacker } from './packed.ts';
import { FileRemoved } from './problem.ts';
import { prepareStatements, type Statements } from './statements.ts';

/** `fsync` outlives power loss; `os` outlives the process, and after power loss is whole but may be older. */
export type Durability = 'fsync' | 'os';

const CACHE_KIBIBYTES = 32 * 1024;
/** The write-ahead log is copied into the file when it has so many pages of 4 KiB. */
const CHECKPOINT_PAGES = 2_000;

/** A batch as it crosses to the thread. */
export interface Batch {
  readonly number: number;
  readonly operations: Uint8Array;
  /** The largest numbers that were given out, as far as they are in this batch; 0 where none is. */
  readonly lastSession: SessionNumber;
  readonly lastMessage: MessageNumber;
  readonly lastSequence: Sequence;
}

export interface FetchRequest {
  readonly session: SessionNumber;
  readonly after: Sequence;
  /** Most deliveries, and about most bytes of their messages; one is given whatever its size. */
  readonly limit: number;
  readonly bytes: number;
}

/** What came of a batch. */
export interface Applied {
  /** What was wrong in it, which is our fault and was passed over. */
  readonly faults: readonly string[];
  /** How many dead letters went because they were too many. */
  readonly lettersDropped: number;
}

export class BrokerFile {
  readonly #path: string;
  readonly #database: Database;
  readonly #identity: string;
  readonly #statements: Statements;
  readonly #letters: LetterBox;
  readonly #commands: CommandReader;
  /** How many references each message loses in the batch under way. */
  readonly #lost = new Map<MessageNumber, number>();
  /** How long the log was when it was last copied and could not be begun anew. */
  #pagesBefore = 0;
  #faults: string[] = [];

  constructor(path: string, durability: Durability, letters = unbounded) {
    this.#path = path;
    this.#database = new Database(path, { readwrite: true, create: false });
    const database = this.#database;
    database.run('pragma busy_timeout = 20');
    database.run('pragma journal_mode = wal');
    database.run(`pragma synchronous = ${durability === 'fsync' ? 'full' : 'normal'}`);
    database.run(`pragma cache_size = -${CACHE_KIBIBYTES}`);
    database.run('pragma wal_autocheckpoint = 0');
    this.#statements = prepareStatements(database);
    this.#letters = new LetterBox(this.#statements, letters);
    this.#commands = new CommandReader(database);
    database.run('begin immediate'); // makes the log, whose identity counts as well
    database.run('commit');
    this.#identity = this.#identify();
  }

  /**
   * Carries out `batch`, unless it was before. Throws where the batch could not be committed; nothing
   * of it is left then.
   */
  apply(batch: Batch): Applied {
    const { begin, commit, lastBatch, progress } = this.#statements;
    this.#faults = [];
    this.#lost.clear();
    this.#letters.begin();
    let lettersDropped = 0;
    begin.run();
    try {
      const last = lastBatch.values()[0]?.[0] as number;
      if (batch.number > last) {
        const operations = new Unpacker(batch.operations);
        while (!operations.done) this.#carryOut(operations);
        const tooMany = this.#letters.trim();
        lettersDropped = tooMany.length;
        for (const message of tooMany) this.#lose(message);
        this.#dropMessages();
        const { number, lastSession, lastMessage, lastSequence } = batch;
        progress.run(number, lastSession, lastMessage, lastSequence);
      }
      this.#checkIdentity();
      commit.run();
    } catch (error) {
      if (this.#database.inTransaction) this.#database.run('rollback');
      throw error;
    }
    this.#letters.commit();
    return { faults: this.#faults, lettersDropped };
  }

  get letters(): LetterTally {
    return this.#letters.tally;
  }

  #carryOut(from: Unpacker): void {
    const statements = this.#statements;
    const operation = from.byte() as Operation;
    switch (operation) {
      case Operation.Message:
        statements.addMessage.run(
          from.number(),
          from.size(),
          from.size(),
          from.text(),
          from.data(),
          from.data(),
        );
        return;
      case Operation.Reference:
        this.#refer(from.number(), from.size());
        return;
      case Operation.Session:
        statements.setSession.run(
          from.number(),
          from.text(),
          from.text(),
          from.number(),
          finite(from.number()),
        );
        return;
      case Operation.Subscribe:
        statements.subscribe.run(from.number(), from.text(), from.text(), from.byte(), from.size());
        return;
      case Operation.Unsubscribe:
        statements.unsubscribe.run(from.number(), from.text(), from.text());
        return;
      case Operation.UseIdentifier:
        statements.useIdentifier.run(from.number(), from.size());
        return;
      case Operation.FreeIdentifier:
        statements.freeIdentifier.run(from.number(), from.size());
        return;
      case Operation.RecentCommands:
        statements.setRecentCommands.run(from.number(), from.data());
        return;
      case Operation.Retain: {
        const topic = from.text();
        this.#loseAll(statements.clear.values(topic));
        statements.retain.run(topic, from.number());
        return;
      }
      case Operation.Clear:
        this.#loseAll(statements.clear.values(from.text()));
        return;
      case Operation.SetWill:
        statements.setWill.run(
          from.number(),
          finite(from.number()),
          from.text(),
          from.data(),
          from.data(),
        );
        return;
      case Operation.DropWill:
        statements.dropWill.run(from.number());
        return;
      case Operation.AddCommand:
        statements.addCommand.run(from.number(), from.text() || null);
        return;
      case Operation.CommandPart:
        statements.setPart.run(from.number(), from.text(), from.size(), from.byte());
        return;
      case Operation.EndCommand: {
        const message = from.number();
        this.#loseAll(statements.endCommand.values(message));
        statements.endParts.run(message);
        return;
      }
      case Operation.AddLetter:
        this.#letters.add(from);
        return;
      case Operation.DropLetter:
        for (const message of this.#letters.drop(from.number())) this.#lose(message);
        return;
      case Operation.Present:
        statements.present.run(from.text(), from.text());
        return;
      case Operation.Absent:
        statements.absent.run(from.text(), from.text());
        return;
      case Operation.PresenceNumber:
        statements.presenceNumber.run(from.number());
        return;
      case Operation.SetSchedule:
        statements.setSchedule.run(from.text(), from.text(), from.number(), from.number());
        return;
      case Operation.DropSchedule:
        statements.dropSchedule.run(from.text());
        return;
      case Operation.AddDelivery:
        this.#addDelivery(from);
        return;
      case Operation.ChangeDelivery: {
        const session = from.number();
        const sequence = from.number();
        const packetIdentifier = from.size() - 1;
        const released = from.byte() === 0 ? 0 : RELEASED;
        statements.changeDelivery.run(packetIdentifier, released, session, sequence);
        return;
      }
      case Operation.EndDelivery:
        this.#loseAll(statements.endDelivery.values(from.number(), from.number()));
        return;
      case Operation.DropOldest:
        this.#loseAll(statements.dropOldest.values(from.number()));
        return;
      case Operation.EndSession: {
        const session = from.number();
        statements.endSession.run(session);
        statements.markEnded.run(session);
        return;
      }
      default:
        operation satisfies never;
    }
  }

  #addDelivery(from: Unpacker): void {
    const session = from.number();
    const sequence = from.number();
    const message = from.number();
    const size = from.size();
    const options = from.byte();
    const packetIdentifier = from.size();
    const extra = from.text();
    const { addDelivery, addOlderDelivery } = this.#statements;
    if (size > 0) {
      addDelivery.run(session, sequence, message, size, options, packetIdentifier, extra);
    } else {
      addOlderDelivery.run(session, sequence, options, packetIdentifier, extra, message);
    }
  }

  #refer(message: MessageNumber, count: number): void {
    const { changes } = this.#statements.refer.run(count, message);
    if (changes === 0) this.#faults.push(`message ${message} is not stored any more`);
  }

  /** Each row names a message that is referred to once less. */
  #loseAll(rows: readonly unknown[][]): void {
    for (const row of rows) this.#lose(row[0] as MessageNumber);
  }

  #lose(message: MessageNumber): void {
    this.#lost.set(message, (this.#lost.get(message) ?? 0) + 1);
  }

  #dropMessages(): void {
    const { dropMessage, unrefer } = this.#statements;
    for (const [message, count] of this.#lost) {
      if (dropMessage.run(message, count).changes === 0) unrefer.run(count, message);
    }
  }

  /**
   * Takes up to `limit` rows of ended sessions out of the file, in a transaction of its own. False
   * once there are none.
   */
  sweep(limit: number): boolean {
    const statements = this.#statements;
    const session = statements.anyEnded.values()[0]?.[0] as SessionNumber | undefined;
    if (session === undefined) return false;
    this.#lost.clear();
    statements.begin.run();
    try {
      const gone = statements.endDeliveries.values(session, session, limit);
      this.#loseAll(gone);
      if (gone.length < limit) {
        statements.endSubscriptions.run(session);
        statements.endInbound.run(session);
        statements.endRecentCommands.run(session);
        statements.dropWill.run(session);
        statements.forgetEnded.run(session);
      }
      this.#dropMessages();
      statements.commit.run();
    } catch (error) {
      if (this.#database.inTransaction) this.#database.run('rollback');
      throw error;
    }
    return true;
  }

  /** Deliveries of a session, packed as `fetched.ts` reads them. */
  fetch(request: FetchRequest): { readonly deliveries: Packer; readonly more: boolean } {
    const { session, after, limit, bytes } = request;
    const deliveries = new Packer();
    // What an ended session left behind is nobody's.
    if (this.#statements.isEnded.values(session).length > 0) return { deliveries, more: false };
    let count = 0;
    let size = 0;
    for (const row of this.#statements.deliveriesAfter.values(session, after, limit + 1)) {
      const rowSize = row[2] as number;
      if (count > 0 && (count === limit || size + rowSize > bytes)) {
        return { deliveries, more: true };
      }
      if (!this.#packDelivery(row, deliveries)) continue;
      count++;
      size += rowSize;
    }
    return { deliveries, more: false };
  }

  /** Commands that wait, packed as `commands.ts` reads them. */
  fetchCommands(request: CommandRequest): { readonly commands: Packer; readonly more: boolean } {
    return this.#commands.read(request);
  }

  #packDelivery(row: readonly unknown[], into: Packer): boolean {
    const [sequence, message, , options, packetIdentifier, extra] = row;
    const content = this.#statements.message.values(message as MessageNumber)[0];
    if (content === undefined) return false;
    const [topic, head, payload] = content;
    into.number(sequence as Sequence);
    into.number(message as MessageNumber);
    into.byte(options as number);
    into.size(packetIdentifier as number);
    into.text(extra as string);
    into.text(topic as string);
    into.data(head as Uint8Array);
    into.data(payload as Uint8Array);
    return true;
  }

  /** Copies the log into the file where it has grown, so that it begins anew. Never throws: it is tried again. */
  checkpoint(): void {
    const pages = this.#pages('noop');
    if (pages < this.#pagesBefore) this.#pagesBefore = 0;
    if (pages < this.#pagesBefore + CHECKPOINT_PAGES) return;
    this.#pages('passive');
    // Somebody who reads an older state, such as a backup, keeps the log from beginning anew.
    this.#pagesBefore = pages;
  }

  /** The same however short it is. */
  emptyLog(): void {
    this.#pages('passive');
  }

  #pages(mode: 'noop' | 'passive'): number {
    try {
      const row = this.#database.query(`pragma wal_checkpoint(${mode})`).values()[0];
      return (row?.[1] as number | undefined) ?? 0;
    } catch {
      return 0;
    }
  }

  /** Copies all of the log into the file and lets go of it. */
  close(): void {
    this.#database.close(true); // else it stays open for as long as its statements live
  }

  /** Throws a `FileRemoved` where the names lead to other files by now. */
  #checkIdentity(): void {
    if (this.#identify() === this.#identity) return;
    throw new FileRemoved(
      `${this.#path} or its -wal was removed or replaced while in use; put it back, or restart`,
    );
  }

  #identify(): string {
    return [this.#path, `${this.#path}-wal`]
      .map((path) => {
        const found = statSync(path, { throwIfNoEntry: false });
        return found === undefined ? 'none' : `${found.dev}:${found.ino}`;
      })
      .join(' ');
  }
}

function finite(time: number): number | null {
  return Number.isFinite(time) ? time : null;
}
