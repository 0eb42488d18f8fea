/**
 * Puts a remote handler process together: its folder with what it keeps, the plugins, and the
 * connection to the broker. What cannot open throws a `StartError`.
 */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { StoredCommand, StoredSchedule } from '../broker/changes.ts';
import { SteadyClock } from '../net/clock.ts';
import { Remote } from '../plugins/remote.ts';
import type { Target } from '../plugins/remote-line.ts';
import { RemoteRefused } from '../plugins/remote-link.ts';
import { RemoteState } from '../plugins/remote-state.ts';
import type { TokenSource } from '../plugins/remote-token.ts';
import { StoreProblem } from '../plugins/store.ts';
import { StorageRefused } from '../store/problem.ts';
import { openStorage } from '../store/storage.ts';
import { type Lifecycle, StartError } from './lifecycle.ts';
import type { Log } from './log.ts';
import { observePlugins } from './observe-plugins.ts';
import { observeRemote } from './observe-remote.ts';
import { LOAD_TIMEOUT_MS } from './plugins.ts';
import type { Config } from './settings.ts';

export interface RemoteSettings {
  /** Where this process keeps its store and what it has to know of its session; no other process may use it. */
  readonly folder: string;
  readonly target: Target;
  readonly token: TokenSource;
  readonly group: string;
  readonly clientIdentifier: string | undefined;
  readonly sessionExpirySeconds: number;
  readonly inflight: number;
  readonly schedules: boolean;
}

const KEEP_ALIVE_SECONDS = 30;

/** Makes all that needs no broker. Throws a `StartError`. */
export async function openRemote(
  config: Config,
  settings: RemoteSettings,
  log: Log,
  lifecycle: Lifecycle,
): Promise<Remote> {
  const { folder } = settings;
  const kept = await openKept(config, folder, log, lifecycle);
  const plugins = observePlugins(log);
  const link = observeRemote(log);
  const clock = new SteadyClock();
  const remote = await guarded(
    () =>
      new Remote({
        ...settings,
        keepAliveSeconds: KEEP_ALIVE_SECONDS,
        state: new RemoteState(join(folder, 'session.json'), settings.clientIdentifier),
        storage: kept.storage,
        found: kept.found,
        pool: {
          folder: config.pluginsDir,
          copies: join(folder, 'plugin-versions'),
          watched: config.watchPlugins,
          storePath: join(folder, 'store.sqlite'),
          separator: config.userTopicSeparator,
          workers: config.handlerWorkers,
          timeoutMs: config.handlerTimeoutMs,
          memoryBytes: config.handlerMemoryMb * 1024 * 1024,
          loadTimeoutMs: LOAD_TIMEOUT_MS,
          queuedCommands: config.queuedCommands,
          queuedBytes: config.queuedCommandsBytes,
        },
        now: () => clock.now(),
        report: (event) => (isOfLink(event) ? link(event) : plugins(event)),
      }),
  );
  kept.attach(remote);
  return remote;
}

/** Connects and serves. Throws a `StartError` where the broker refuses that. */
export function startRemote(remote: Remote): Promise<void> {
  return guarded(() => remote.start());
}

type AnyEvent = Parameters<Remote['report']>[0];
type LinkEvent = Parameters<ReturnType<typeof observeRemote>>[0];

const linkKinds: ReadonlySet<string> = new Set<LinkEvent['kind']>([
  'connected',
  'connection-lost',
  'subscription-refused',
  'publish-refused',
  'token-renewed',
  'token-refused',
  'token-missing',
  'hooks-without-broker',
  'schedules-off',
]);

function isOfLink(event: AnyEvent): event is LinkEvent {
  return linkKinds.has(event.kind);
}

async function openKept(config: Config, folder: string, log: Log, lifecycle: Lifecycle) {
  let remote: Remote | undefined;
  const open = async () => {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    return openStorage({
      folder,
      durability: 'fsync',
      letters: { letters: config.deadLetters, bytes: config.deadLetterBytes },
      stored: (count) => remote?.stored(count),
      fetched() {},
      status: (status) => {
        if (status.ok) log.info('what waited is stored again');
        else log.error('nothing can be stored', { reason: status.code, detail: status.reason });
      },
      lettersDropped: (count) =>
        log.warn('dead letters dropped', { count, reason: 'DEAD_LETTERS or DEAD_LETTER_BYTES' }),
      fault: (detail) => log.error('our fault', { detail }),
    });
  };
  const { storage, snapshot } = await lifecycle.open(
    'storage',
    () => guarded(open),
    (opened) => opened.storage.close(),
  );
  const found = { commands: [] as StoredCommand[], schedules: [] as StoredSchedule[] };
  let lastMessage = 0;
  for (const piece of snapshot) {
    found.commands.push(...piece.commands);
    found.schedules.push(...piece.schedules);
    lastMessage = piece.lastMessage;
  }
  return {
    storage,
    found: { ...found, lastMessage },
    attach(given: Remote) {
      remote = given;
    },
  };
}

async function guarded<T>(open: () => T | Promise<T>): Promise<T> {
  try {
    return await open();
  } catch (error) {
    const known = [StoreProblem, StorageRefused, RemoteRefused];
    if (known.some((kind) => error instanceof kind) || isSystemError(error)) {
      throw new StartError((error as Error).message);
    }
    throw error;
  }
}

function isSystemError(error: unknown): boolean {
  return error instanceof Error && 'syscall' in error;
}
