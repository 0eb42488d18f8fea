/**
 * Storage for simulated runs: nothing happens but in `step`, so whoever drives it decides how long
 * the disk takes. What is not told as stored may be lost in a crash; the batch under way is lost or
 * kept as a whole, as a transaction is. It is strict where the file is lenient: a change that refers
 * to what is not there throws.
 */
import type { Change, Sequence, SessionNumber, Snapshot } from '../../core/broker/changes.ts';
import type { Storage, StorageEvents } from '../../core/store/storage.ts';
import { Ledger } from './ledger.ts';

type Work =
  | { readonly kind: 'batch'; readonly changes: readonly Change[]; readonly position: number }
  | {
      readonly kind: 'fetch';
      readonly session: SessionNumber;
      readonly after: Sequence;
      readonly limit: number;
      readonly bytes: number;
    };

export class FakeStorage implements Storage {
  readonly #disk: Ledger;
  readonly #events: StorageEvents;
  readonly #line: Work[] = [];
  #gathered: Change[] = [];
  #waiting: Work[] = [];
  #position = 0;
  #failing = false;
  #closed: PromiseWithResolvers<void> | undefined = undefined;

  constructor(events: StorageEvents, disk = new Ledger()) {
    this.#events = events;
    this.#disk = disk;
  }

  /** How many changes were kept. */
  get position(): number {
    return this.#position;
  }

  get failing(): boolean {
    return this.#failing;
  }

  get disk(): Ledger {
    return this.#disk;
  }

  snapshot(): Snapshot {
    return this.#disk.snapshot();
  }

  keep(change: Change): void {
    this.#gathered.push(change);
    this.#position++;
  }

  post(): void {
    if (this.#gathered.length === 0 || this.#line.some(({ kind }) => kind === 'batch')) return;
    this.#line.push({ kind: 'batch', changes: this.#gathered, position: this.#position });
    this.#line.push(...this.#waiting);
    this.#gathered = [];
    this.#waiting = [];
  }

  fetch(session: SessionNumber, after: Sequence, limit: number, bytes: number): void {
    const work = { kind: 'fetch', session, after, limit, bytes } as const;
    if (this.#gathered.length > 0) this.#waiting.push(work);
    else this.#line.push(work);
  }

  close(): Promise<void> {
    this.#closed ??= Promise.withResolvers();
    this.post();
    if (this.idle) this.#closed.resolve();
    return this.#closed.promise;
  }

  /** Whether there is nothing that `step` could do. */
  get idle(): boolean {
    return this.#line.length === 0;
  }

  /** The disk does the next piece of work, and tells of it. False where it has none or fails. */
  step(): boolean {
    if (this.#failing) return false;
    const work = this.#line.shift();
    if (work === undefined) return false;
    if (work.kind === 'fetch') {
      const { session, after, limit, bytes } = work;
      this.#events.fetched(this.#disk.fetch(session, after, limit, bytes));
    } else {
      this.#commit(work.changes);
      this.post();
      this.#events.stored(work.position);
    }
    if (this.#closed !== undefined && this.idle) this.#closed.resolve();
    return true;
  }

  #commit(changes: readonly Change[]): void {
    for (const change of changes) this.#disk.apply(change);
    this.#disk.settle();
  }

  /** The disk takes nothing until `heal`. */
  fail(reason = 'the disk is full', code = 'SQLITE_FULL'): void {
    if (this.#failing) return;
    this.#failing = true;
    this.#events.status({ ok: false, reason, code });
  }

  heal(): void {
    if (!this.#failing) return;
    this.#failing = false;
    this.#events.status({ ok: true });
  }

  /**
   * The process dies. Returns the disk as the next one finds it: with the batch under way where
   * `torn` says that it had just made it, and with nothing of what was only gathered.
   */
  crash(torn: boolean): Ledger {
    const batch = this.#line.find((work) => work.kind === 'batch');
    if (torn && !this.#failing && batch?.kind === 'batch') this.#commit(batch.changes);
    this.#line.length = 0;
    this.#gathered = [];
    return this.#disk;
  }
}
