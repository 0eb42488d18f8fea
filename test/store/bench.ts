/** A storage with what it told, as the shared suite and the tests of failures use it. */
import type { Change, FetchedDeliveries, Snapshot } from '../../core/broker/changes.ts';
import { DeadLetters, type StoredLetter } from '../../core/store/dead-letters.ts';
import type { FileStorage } from '../../core/store/file-storage.ts';
import type { StorageStatus } from '../../core/store/problem.ts';
import { openStorage, type Storage, type StorageOptions } from '../../core/store/storage.ts';
import { FakeStorage } from './fake-storage.ts';
import { joinSnapshot, type Ledger } from './ledger.ts';

export type Told =
  | { readonly kind: 'stored'; readonly count: number }
  | { readonly kind: 'fetched'; readonly found: FetchedDeliveries }
  | { readonly kind: 'status'; readonly status: StorageStatus }
  | { readonly kind: 'fault'; readonly detail: string };

export abstract class Bench {
  readonly told: Told[] = [];
  abstract readonly storage: Storage;
  /** What it found when it was opened. */
  abstract readonly found: Snapshot;
  kept = 0;
  #fetches = 0;
  /** Set while a call to the storage is under way, in which it must tell nothing. */
  #calling = false;
  #watchers: { readonly met: () => boolean; readonly done: () => void }[] = [];

  /** A broker that starts after this one has ended in good order, or has just ended. */
  abstract restart(): Promise<Bench>;
  /** Lets a storage that does nothing by itself do something; false where it acts by itself or is done. */
  abstract step(): boolean;
  abstract dispose(): Promise<void>;
  /** Dead letters on disk, in order. */
  abstract letters(): StoredLetter[];

  protected get events() {
    return {
      stored: (count: number) => this.#tell({ kind: 'stored', count }),
      fetched: (found: FetchedDeliveries) => this.#tell({ kind: 'fetched', found }),
      status: (status: StorageStatus) => this.#tell({ kind: 'status', status }),
      fault: (detail: string) => this.#tell({ kind: 'fault', detail }),
    };
  }

  #tell(told: Told): void {
    if (this.#calling) throw new Error(`${told.kind} was told from within a call`);
    this.told.push(told);
    const met = this.#watchers.filter((watcher) => watcher.met());
    this.#watchers = this.#watchers.filter((watcher) => !met.includes(watcher));
    for (const { done } of met) done();
  }

  #call(call: () => void): void {
    this.#calling = true;
    call();
    this.#calling = false;
  }

  keep(...changes: readonly Change[]): void {
    for (const change of changes) this.#call(() => this.storage.keep(change));
    this.kept += changes.length;
  }

  post(): void {
    this.#call(() => this.storage.post());
  }

  fetch(session: number, after = 0, limit = 1_000, bytes = 1e9): void {
    this.#fetches++;
    this.#call(() => this.storage.fetch(session, after, limit, bytes));
  }

  get stored(): number {
    return this.told.reduce((most, told) => (told.kind === 'stored' ? told.count : most), 0);
  }

  get fetched(): FetchedDeliveries[] {
    return this.told.flatMap((told) => (told.kind === 'fetched' ? [told.found] : []));
  }

  get statuses(): StorageStatus[] {
    return this.told.flatMap((told) => (told.kind === 'status' ? [told.status] : []));
  }

  /** Resolves as soon as `met` holds after something was told. */
  async until(met: () => boolean): Promise<void> {
    while (!met()) {
      if (this.step()) continue;
      await new Promise<void>((done) => this.#watchers.push({ met, done }));
    }
  }

  /** Posts, and waits until all that was kept is stored and all that was asked is answered. */
  async settle(): Promise<void> {
    this.post();
    await this.until(() => this.stored === this.kept && this.fetched.length === this.#fetches);
  }
}

export class FileBench extends Bench {
  readonly storage: FileStorage;
  /** How many went because they were too many. */
  lettersDropped = 0;
  readonly found: Snapshot;
  readonly #options: Pick<StorageOptions, 'folder' | 'durability' | 'letters'>;

  private constructor(
    storage: FileStorage,
    found: Snapshot,
    options: Pick<StorageOptions, 'folder' | 'durability' | 'letters'>,
    bind: (bench: FileBench) => void,
  ) {
    super();
    this.storage = storage;
    this.found = found;
    this.#options = options;
    bind(this);
  }

  static async open(
    options: Pick<StorageOptions, 'folder' | 'durability' | 'letters' | 'startThread'>,
  ): Promise<FileBench> {
    let bench: FileBench | undefined;
    const { storage, snapshot } = await openStorage({
      ...options,
      stored: (count) => bench?.events.stored(count),
      fetched: (found) => bench?.events.fetched(found),
      status: (status) => bench?.events.status(status),
      fault: (detail) => bench?.events.fault(detail),
      lettersDropped: (count) => {
        if (bench !== undefined) bench.lettersDropped += count;
      },
    });
    return new FileBench(storage, joinSnapshot(snapshot), options, (made) => {
      bench = made;
    });
  }

  async restart(): Promise<FileBench> {
    await this.storage.close();
    return FileBench.open(this.#options);
  }

  step(): boolean {
    return false;
  }

  letters(): StoredLetter[] {
    return DeadLetters.read(this.#options.folder, (found) =>
      found.numbers(undefined).map((number) => found.get(number) as StoredLetter),
    );
  }

  async dispose(): Promise<void> {
    await this.storage.close();
  }
}

export class FakeBench extends Bench {
  readonly storage: FakeStorage;
  readonly found: Snapshot;

  constructor(disk?: Ledger) {
    super();
    this.storage = new FakeStorage(this.events, disk);
    this.found = this.storage.snapshot();
  }

  async restart(): Promise<FakeBench> {
    while (this.storage.step());
    return new FakeBench(this.storage.crash(false));
  }

  step(): boolean {
    return this.storage.step();
  }

  letters(): StoredLetter[] {
    return this.storage.disk.inOrderOfDeath();
  }

  async dispose(): Promise<void> {}
}
