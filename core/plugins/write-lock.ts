/**
 * The right to write to the handlers' database, which one worker of the process has at a time: numbers in
 * shared memory. SQLite has a lock of its own that decides; but whoever waits for it asks again and
 * again, ever more slowly, while here a worker is woken as soon as it is its turn.
 *
 * A worker that died may have held it: whoever learns of that frees it.
 */

/** The places in the shared numbers. */
const Place = {
  /** The number of the worker that has it; 0 for none. */
  Owner: 0,
  /** 1 once somebody has had to wait since it was last taken. */
  Wanted: 1,
  /** How often it was taken. */
  Taken: 2,
} as const;
const LENGTH = 3;

/** How long a worker at most lets those who wait for it go first. */
const COURTESY_MS = 2;
/** A waiter that was woken for nothing, or missed its call, looks again after so long. */
const LOOK_MS = 50;
/** Whoever waits longer gives up: somebody keeps it for as long as their time limit lets them. */
const PATIENCE_MS = 60_000;

export type SharedLock = Int32Array<SharedArrayBuffer>;

/** One for the whole process, nobody's yet. */
export function newWriteLock(): SharedLock {
  return new Int32Array(new SharedArrayBuffer(4 * LENGTH));
}

/** Takes it from a worker that is no more, if it had it. */
export function freeWriteLock(lock: SharedLock, worker: number): void {
  if (Atomics.compareExchange(lock, Place.Owner, worker, 0) !== worker) return;
  Atomics.notify(lock, Place.Owner);
}

export class WriteLock {
  readonly #lock: SharedLock;
  readonly #worker: number;
  readonly #waits: (waiting: boolean) => void;
  /** How often it had been taken when this worker let go of it while others waited. */
  #passedOnAt: number | undefined = undefined;

  /** `waits` is told when a wait begins and ends. */
  constructor(lock: SharedLock, worker: number, waits: (waiting: boolean) => void) {
    this.#lock = lock;
    this.#worker = worker;
    this.#waits = waits;
  }

  /** Takes it, and keeps the thread waiting for it. Throws after a minute. */
  take(): void {
    if (this.#passedOnAt === undefined && this.tryTake()) return;
    this.#waits(true);
    try {
      this.#letOthersGoFirst();
      const until = performance.now() + PATIENCE_MS;
      while (!this.tryTake()) {
        if (performance.now() > until) throw new Error('another run keeps the store for itself');
        Atomics.store(this.#lock, Place.Wanted, 1);
        const owner = Atomics.load(this.#lock, Place.Owner);
        if (owner !== 0) Atomics.wait(this.#lock, Place.Owner, owner, LOOK_MS);
      }
    } finally {
      this.#waits(false);
    }
  }

  /** Takes it if nobody has it. */
  tryTake(): boolean {
    if (Atomics.compareExchange(this.#lock, Place.Owner, 0, this.#worker) !== 0) return false;
    Atomics.store(this.#lock, Place.Wanted, 0);
    Atomics.add(this.#lock, Place.Taken, 1);
    Atomics.notify(this.#lock, Place.Taken);
    return true;
  }

  /** Lets go of it. */
  release(): void {
    const wanted = Atomics.load(this.#lock, Place.Wanted) === 1;
    this.#passedOnAt = wanted ? Atomics.load(this.#lock, Place.Taken) : undefined;
    freeWriteLock(this.#lock, this.#worker);
  }

  /** Whoever is awake would otherwise have it again before those who sleep have woken. */
  #letOthersGoFirst(): void {
    const count = this.#passedOnAt;
    this.#passedOnAt = undefined;
    if (count !== undefined) Atomics.wait(this.#lock, Place.Taken, count, COURTESY_MS);
  }
}
