/**
 * Where what must last is kept: the core keeps changes and is told how many are on disk. A thread of
 * its own owns the broker's file, so that no fsync runs on the loop that serves sockets; what arrives
 * during one commit shares the next.
 */
import type {
  Change,
  FetchedDeliveries,
  Sequence,
  SessionNumber,
  Snapshot,
  StoredCommand,
} from '../broker/changes.ts';
import type { Durability } from './broker-file.ts';
import { lockFolder, prepareFile } from './data-folder.ts';
import { FileStorage } from './file-storage.ts';
import type { LetterBounds } from './letter-box.ts';
import type { StorageStatus } from './problem.ts';
import { readLastBatch, readSnapshot } from './snapshot.ts';

export interface Storage {
  /**
   * Takes note of `change`; `stored` tells when it lasts. What it refers to must not change after
   * that, a payload least of all.
   */
  keep(change: Change): void;
  /** Ends a turn: begins a batch where none is under way. */
  post(): void;
  /**
   * Reads deliveries of `session` behind the sequence `after`, at most `limit` of them and about
   * `bytes` bytes, one whatever its size. `fetched` brings them as they are after all changes that
   * were kept before this call, and after `stored` of those. Answers come in the order of the calls.
   */
  fetch(session: SessionNumber, after: Sequence, limit: number, bytes: number): void;
  /**
   * Stores what was kept and lets go of the file. Rejects where that cannot be done within two
   * seconds or so; what was not told as stored is then not promised to be there.
   */
  close(): Promise<void>;
}

/** What storage tells. None of it is called from within a call to it. */
export interface StorageEvents {
  /** The first `count` changes that were kept are on disk, those that came to nothing included. */
  stored(count: number): void;
  fetched(found: FetchedDeliveries): void;
  /** Storing does not go on for now, or does again. It is tried again all the while. */
  status(status: StorageStatus): void;
  /** A bug of ours that was passed over, for the log. */
  fault(detail: string): void;
}

export interface StorageOptions extends StorageEvents {
  /** The data folder, which exists. */
  readonly folder: string;
  readonly durability: Durability;
  /** How many dead letters there may be; no bound where it is not given. */
  readonly letters?: LetterBounds;
  /** So many dead letters went because they were too many. */
  readonly lettersDropped?: (count: number) => void;
  /** Commands that `fetchCommands` asked for, with more behind them or not. */
  readonly commandsFetched?: (commands: readonly StoredCommand[], more: boolean) => void;
  /** How the storage thread is started, where it is not the usual one. */
  readonly startThread?: () => Worker;
}

export interface OpenedStorage {
  readonly storage: FileStorage;
  /** What was stored before, in pieces, at least one; to be read through before anything is fetched. */
  readonly snapshot: Iterable<Snapshot>;
}

/**
 * Opens the broker's file in `folder`, made where it is missing. Throws a `StorageRefused` where
 * another process has the folder, or the file is not fit for use; it is left as it is then.
 */
export async function openStorage(options: StorageOptions): Promise<OpenedStorage> {
  const lock = lockFolder(options.folder);
  try {
    const path = prepareFile(options.folder);
    const storage = new FileStorage(path, readLastBatch(path), options, () => lock.close(true));
    await storage.opened;
    return { storage, snapshot: readSnapshot(path) };
  } catch (error) {
    lock.close(true);
    throw error;
  }
}
