/**
 * The event loop's end of the storage thread: one batch at a time, the next gathered meanwhile. What
 * was sent and is not answered is kept, so that a thread that is lost can be replaced; the number of
 * a batch tells the new one whether the old one had committed it.
 */

import type { Change, MessageNumber, Sequence, SessionNumber } from '../broker/changes.ts';
import { packBatch } from './batch.ts';
import type { FetchRequest } from './broker-file.ts';
import { type CommandRequest, unpackCommands } from './commands.ts';
import { hasDescriptorsForThread } from './descriptors.ts';
import { unpackFetched } from './fetched.ts';
import { type Gathering, Journal } from './journal.ts';
import { type LetterTally, unbounded } from './letter-box.ts';
import { Packer } from './packed.ts';
import { StorageRefused } from './problem.ts';
import type { Storage, StorageOptions } from './storage.ts';
import type { Report, Request } from './worker.ts';

/** More room than this is given back after use. */
const KEPT_ROOM = 16 * 1024 * 1024;
const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 2_000;

/** Something to be read. */
type Reading =
  | ({ readonly kind: 'fetch' } & FetchRequest)
  | ({ readonly kind: 'commands' } & CommandRequest);

/** Sent and not answered; in order, which is that of the answers. */
type Unanswered =
  | { readonly kind: 'batch'; readonly number: number; readonly gathering: Gathering }
  | Reading
  | { readonly kind: 'close' };

export interface StorageCounters {
  /** Changes kept. */
  changes: number;
  /** Changes known to be on disk, or to have come to nothing. */
  stored: number;
  batches: number;
  /** Operations in those batches: what is left of the changes. */
  operations: number;
  /** Time that the thread spent on them. */
  commitSeconds: number;
  /** Dead letters in the file, and their bytes. */
  deadLetters: number;
  deadLetterBytes: number;
  /** Those that went because they were too many. */
  deadLettersDropped: number;
}

export class FileStorage implements Storage {
  readonly counters: StorageCounters = {
    changes: 0,
    stored: 0,
    batches: 0,
    operations: 0,
    commitSeconds: 0,
    deadLetters: 0,
    deadLetterBytes: 0,
    deadLettersDropped: 0,
  };
  /** Resolves once the thread has the file; rejects with a `StorageRefused` where it cannot open it. */
  readonly opened: Promise<void>;
  readonly #path: string;
  readonly #options: StorageOptions;
  readonly #whenClosed: () => void;
  readonly #journal = new Journal();
  #lastBatch: number;
  #thread: Worker | undefined = undefined;
  /** Whether the present thread has the file, and whether one ever had it. */
  #ready = false;
  #started = false;
  #pauseMs = FIRST_PAUSE_MS;
  #room: ArrayBuffer | undefined = undefined;
  readonly #unanswered: Unanswered[] = [];
  /** To be sent behind the batch that what was kept before them goes into. */
  #waiting: Reading[] = [];
  /** Reads of commands that are not answered, and what commands are done with since the first of them. */
  #commandReads = 0;
  readonly #doneMeanwhile = new Set<MessageNumber>();
  /** Whether a batch is under way, or one that came to nothing is about to be told as stored. */
  #busy = false;
  readonly #opening = Promise.withResolvers<void>();
  #closing: PromiseWithResolvers<void> | undefined = undefined;

  /** `lastBatch` is the number of the last batch in the file; `whenClosed` is called at the very end. */
  constructor(path: string, lastBatch: number, options: StorageOptions, whenClosed: () => void) {
    this.#path = path;
    this.#lastBatch = lastBatch;
    this.#options = options;
    this.#whenClosed = whenClosed;
    this.opened = this.#opening.promise;
    this.#start();
  }

  keep(change: Change): void {
    if (this.#commandReads > 0 && change.kind === 'command-done') {
      this.#doneMeanwhile.add(change.message);
    }
    this.#journal.keep(change);
  }

  post(): void {
    if (this.#busy) this.#journal.tidy();
    else this.#begin();
  }

  fetch(session: SessionNumber, after: Sequence, limit: number, bytes: number): void {
    this.#read({ kind: 'fetch', session, after, limit, bytes });
  }

  /**
   * As `fetch` does, reads commands behind the message `after`; `commandsFetched` brings them, without those
   * that are done with by then, also where the disk failed meanwhile and does not know of it.
   */
  fetchCommands(after: MessageNumber, limit: number, bytes: number): void {
    this.#commandReads++;
    this.#read({ kind: 'commands', after, limit, bytes });
  }

  #read(request: Reading): void {
    // Behind a batch under way it is answered in its turn; behind what is only gathered it waits.
    if (this.#journal.pending || this.#waiting.length > 0) this.#waiting.push(request);
    else this.#send(request);
  }

  close(): Promise<void> {
    if (this.#closing === undefined) {
      this.#closing = Promise.withResolvers<void>();
      this.#begin();
      this.#send({ kind: 'close' });
    }
    return this.#closing.promise;
  }

  /** Sends what was gathered, and the fetches that wait for it. */
  #begin(): void {
    const gathering = this.#journal.take();
    if (gathering === undefined) return;
    const waiting = this.#waiting;
    this.#waiting = [];
    const packed = this.#pack(gathering);
    this.counters.changes = gathering.position;
    // A close begins a batch behind one that is under way, and that one is told of first.
    const alone = !this.#busy;
    this.#busy = true;
    if (packed.length === 0 && alone) {
      this.#room = packed.release();
      queueMicrotask(() => this.#finish(gathering.position));
    } else {
      const number = ++this.#lastBatch;
      this.#unanswered.push({ kind: 'batch', number, gathering });
      this.#postBatch(number, gathering, packed);
    }
    for (const request of waiting) this.#send(request);
  }

  /** The batch; empty where `gathering` came to nothing. */
  #pack(gathering: Gathering): Packer {
    const packer = new Packer(this.#room);
    this.#room = undefined;
    this.counters.operations += packBatch(gathering, packer);
    return packer;
  }

  #postBatch(number: number, gathering: Gathering, packed: Packer): void {
    const { lastSession, lastMessage, lastSequence } = gathering;
    const room = packed.release();
    const operations = new Uint8Array(room, 0, packed.length);
    this.#tell({ kind: 'batch', number, operations, lastSession, lastMessage, lastSequence }, [
      room,
    ]);
  }

  /** All up to `position` is stored: the next batch begins before anybody hears of it. */
  #finish(position: number): void {
    this.#busy = false;
    this.#begin();
    this.counters.stored = position;
    this.#options.stored(position);
  }

  #send(request: Exclude<Unanswered, { kind: 'batch' }>): void {
    this.#unanswered.push(request);
    this.#tell(request);
  }

  #tell(request: Request, transfer: ArrayBuffer[] = []): void {
    // Without a thread it waits with the other unanswered ones for the next.
    if (this.#ready) this.#thread?.postMessage(request, transfer);
  }

  #start(): void {
    const thread = (this.#options.startThread ?? startThread)();
    this.#thread = thread;
    thread.onmessage = ({ data }: MessageEvent<Report>) => this.#hear(data);
    thread.onerror = (event) => {
      event.preventDefault();
      this.#options.fault(`the storage thread failed: ${event.message}`);
    };
    thread.addEventListener('close', () => this.#lose(thread));
    thread.postMessage({
      kind: 'open',
      path: this.#path,
      durability: this.#options.durability,
      letters: this.#options.letters ?? unbounded,
    } satisfies Request);
  }

  /** The thread has ended although nobody asked it to. */
  #lose(thread: Worker): void {
    if (thread !== this.#thread) return;
    this.#thread = undefined;
    this.#ready = false;
    if (!this.#started) return this.#refuse('the storage thread does not start');
    const reason = 'the storage thread ended, and is started again';
    this.#options.status({ ok: false, reason, code: 'THREAD_LOST' });
    this.#startAgain();
  }

  #startAgain(): void {
    setTimeout(() => {
      if (hasDescriptorsForThread()) this.#start();
      else this.#startAgain();
    }, this.#pauseMs);
    this.#pauseMs = Math.min(2 * this.#pauseMs, LONGEST_PAUSE_MS);
  }

  #hear(report: Report): void {
    switch (report.kind) {
      case 'opened':
        this.#count(report.letters);
        return this.#begun();
      case 'committed':
        return this.#committed(report);
      case 'fetched':
        this.#unanswered.shift();
        this.#options.fetched(unpackFetched(report.session, report.deliveries, report.more));
        return;
      case 'commands':
        this.#unanswered.shift();
        return this.#readCommands(report);
      case 'status':
        if (!this.#started && !report.status.ok) this.#refuse(report.status.reason);
        else this.#options.status(report.status);
        return;
      case 'closed':
        return this.#closed(report.problem);
      default:
        report satisfies never;
    }
  }

  #readCommands({ commands, more }: Extract<Report, { kind: 'commands' }>): void {
    const done = this.#doneMeanwhile;
    const found = unpackCommands(commands).filter(({ message }) => !done.has(message));
    if (--this.#commandReads === 0) done.clear();
    this.#options.commandsFetched?.(found, more);
  }

  #begun(): void {
    if (this.#started) this.#options.status({ ok: true });
    this.#ready = true;
    this.#started = true;
    this.#opening.resolve();
    for (const request of this.#unanswered) {
      if (request.kind !== 'batch') this.#tell(request);
      else {
        const packer = new Packer();
        packBatch(request.gathering, packer);
        this.#postBatch(request.number, request.gathering, packer);
      }
    }
  }

  #committed(report: Extract<Report, { kind: 'committed' }>): void {
    const batch = this.#unanswered.shift();
    if (batch?.kind !== 'batch' || batch.number !== report.number) {
      throw new Error(`batch ${report.number} was not the next to be committed`);
    }
    this.#pauseMs = FIRST_PAUSE_MS;
    if (report.room.byteLength <= KEPT_ROOM) this.#room = report.room;
    this.counters.batches++;
    this.counters.commitSeconds += report.seconds;
    this.#count(report.letters);
    for (const detail of report.faults) this.#options.fault(detail);
    if (report.lettersDropped > 0) {
      this.counters.deadLettersDropped += report.lettersDropped;
      this.#options.lettersDropped?.(report.lettersDropped);
    }
    this.#finish(batch.gathering.position);
  }

  #count({ letters, bytes }: LetterTally): void {
    this.counters.deadLetters = letters;
    this.counters.deadLetterBytes = bytes;
  }

  /** The first thread cannot work: nothing has begun, and nothing is tried again. */
  #refuse(reason: string): void {
    const thread = this.#thread;
    this.#thread = undefined;
    thread?.terminate();
    this.#opening.reject(new StorageRefused(`${this.#path}: ${reason}`));
  }

  #closed(problem: string | undefined): void {
    const thread = this.#thread;
    this.#thread = undefined;
    thread?.terminate();
    this.#whenClosed();
    if (problem === undefined) this.#closing?.resolve();
    else {
      const lost = this.#journal.position - this.counters.stored;
      this.#closing?.reject(new Error(`${lost} changes could not be stored: ${problem}`));
    }
  }
}

/** In the executable the thread's program lies where it lay in the source tree. */
export function startThread(): Worker {
  const program = Bun.isStandaloneExecutable ? './core/store/worker.ts' : './worker.ts';
  return new Worker(new URL(program, import.meta.url));
}
