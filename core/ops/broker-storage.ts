/**
 * The broker's storage as the settings ask for it, tied to the turn: what was stored before goes into
 * the broker, and what comes of storing is told to it.
 */
import type { MessageNumber, Snapshot, StoredCommand } from '../broker/changes.ts';
import type { StorageFailure } from '../broker/ledger.ts';
import { ReasonCode } from '../mqtt/reason-code.ts';
import type { Turn } from '../net/turn.ts';
import type { FileStorage, StorageCounters } from '../store/file-storage.ts';
import { StorageRefused, type StorageStatus } from '../store/problem.ts';
import { openStorage } from '../store/storage.ts';
import { type Lifecycle, StartError } from './lifecycle.ts';
import type { Log } from './log.ts';
import type { Config } from './settings.ts';

export interface BrokerStorage {
  readonly storage: FileStorage;
  /** Why nothing can be stored now; undefined where it can. */
  problem(): string | undefined;
  /** How many dead letters there are, and what was dropped of them. */
  readonly counters: StorageCounters;
  /**
   * Gives `turn` what was stored before, and from then on what comes of storing. Commands stay on disk,
   * to be read as there is room for them; returns a number that none of theirs is larger than.
   */
  attach(turn: Turn): MessageNumber;
  /** `listener` hears what comes of storing, behind the broker. */
  listen(listener: StorageListener): void;
}

/** Who else is to know what is on disk. */
export interface StorageListener {
  /** The first `count` changes are on disk: `Position`s up to that are. */
  stored(count: number): void;
  /** Nothing can be stored for now. */
  storageFailed?(problem: string): void;
  /** Storing goes on again. */
  storageBack?(): void;
  /** Commands that `fetchCommands` asked for, with more behind them or not. */
  commandsFetched?(commands: readonly StoredCommand[], more: boolean): void;
}

/** Throws a `StartError` where the broker's file cannot be used. */
export async function openBrokerStorage(
  config: Config,
  durability: 'fsync' | 'os',
  log: Log,
  lifecycle: Lifecycle,
): Promise<BrokerStorage> {
  let turn: Turn | undefined;
  const listeners: StorageListener[] = [];
  let problem: string | undefined;
  const status = (now: StorageStatus): void => {
    const before = problem;
    problem = now.ok ? undefined : now.reason;
    turn?.inside.storageStatus(now.ok ? undefined : failureOf(now));
    if (!now.ok) {
      log.error('nothing can be stored', { reason: now.code, detail: now.reason });
      for (const listener of listeners) listener.storageFailed?.(now.reason);
    } else if (before !== undefined) {
      log.info('what waited is stored again');
      for (const listener of listeners) listener.storageBack?.();
    }
  };
  const open = () =>
    openStorage({
      folder: config.dataDir,
      durability,
      letters: { letters: config.deadLetters, bytes: config.deadLetterBytes },
      stored: (count) => {
        turn?.inside.stored(count);
        for (const listener of listeners) listener.stored(count);
      },
      fetched: (found) => turn?.inside.fetched(found),
      commandsFetched: (commands, more) => {
        for (const listener of listeners) listener.commandsFetched?.(commands, more);
      },
      status,
      lettersDropped: (count) =>
        log.warn('dead letters dropped', { count, reason: 'DEAD_LETTERS or DEAD_LETTER_BYTES' }),
      fault: (detail) => log.error('our fault', { detail }),
    }).catch((error: unknown) => {
      throw error instanceof StorageRefused ? new StartError(error.message) : error;
    });
  const { storage, snapshot } = await lifecycle.open('storage', open, (opened) =>
    opened.storage.close(),
  );
  return {
    storage,
    counters: storage.counters,
    problem: () => problem,
    listen: (listener) => void listeners.push(listener),
    attach(given) {
      turn = given;
      return restore(given, snapshot);
    },
  };
}

function restore(turn: Turn, snapshot: Iterable<Snapshot>): MessageNumber {
  let last = 0;
  for (const piece of snapshot) {
    turn.inside.restore({ ...piece, commands: [] });
    last = piece.lastMessage;
  }
  return last;
}

/** A full disk is a quota that was reached; anything else is our trouble. */
function failureOf({ reason, code }: { reason: string; code: string }): StorageFailure {
  const full = code === 'SQLITE_FULL';
  return {
    reasonCode: full ? ReasonCode.QuotaExceeded : ReasonCode.ImplementationSpecificError,
    detail: `cannot be stored: ${reason}`,
  };
}
