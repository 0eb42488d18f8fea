/** The plugins as the settings ask for them, tied to the turn. */
import { join } from 'node:path';
import type { MessageNumber } from '../broker/changes.ts';
import type { Turn } from '../net/turn.ts';
import { Pool, type PoolOptions } from '../plugins/pool.ts';
import type { PoolHost } from '../plugins/pool-host.ts';
import { type ScheduleHost, Schedules } from '../plugins/schedule.ts';
import { StoreProblem } from '../plugins/store.ts';
import type { BrokerStorage } from './broker-storage.ts';
import { type Lifecycle, StartError } from './lifecycle.ts';
import type { Log } from './log.ts';
import { observePlugins } from './observe-plugins.ts';
import type { Config } from './settings.ts';

/** How long one plugin file may take to import. */
export const LOAD_TIMEOUT_MS = 30_000;

export interface Plugins {
  readonly pool: Pool;
  /**
   * To be called once the broker has what was stored, of which no command has a number above `last`:
   * handlers get those, and schedules begin.
   */
  restore(last: MessageNumber): void;
}

/** Loads the plugins and declares their commands. Throws a `StartError` where the folder or the handlers' database cannot be used. */
export async function openPlugins(
  config: Config,
  turn: Turn,
  stored: BrokerStorage | undefined,
  log: Log,
  lifecycle: Lifecycle,
): Promise<Plugins> {
  let schedules: Schedules | undefined;
  const swapped = () => schedules?.replace(pool.schedules);
  const pool = await lifecycle.open(
    'plugins',
    () => makePool(config, turn, stored, log, swapped),
    (opened) => {
      schedules?.stop();
      return opened.stop(config.drainTimeoutMs);
    },
  );
  stored?.listen({
    stored: (count) => pool.stored(count),
    storageBack: () => pool.storageBack(),
    commandsFetched: (commands, more) => pool.fetched(commands, more),
  });
  await guarded(config, () => pool.start());
  return {
    pool,
    restore(last) {
      pool.restore(last);
      schedules = new Schedules(scheduleHost(turn, pool));
      schedules.replace(pool.schedules);
    },
  };
}

function scheduleHost(turn: Turn, pool: Pool): ScheduleHost {
  const known = (handler: string) => turn.broker.scheduleOf(handler);
  return {
    known,
    begin: (...schedule) => turn.inside.schedules(...schedule),
    end: (handler) => turn.inside.unschedules(handler),
    // A run that is stored may not be with the pool yet, and one that is not is there alone.
    busy: (handler) => (known(handler)?.message ?? 0) !== 0 || pool.isBusy(handler),
    tick: (...due) => turn.inside.tick(...due),
  };
}

/** `swapped` is called when other handlers serve. */
async function makePool(
  config: Config,
  turn: Turn,
  stored: BrokerStorage | undefined,
  log: Log,
  swapped: () => void,
): Promise<Pool> {
  const options: PoolOptions = {
    folder: config.pluginsDir,
    copies: join(config.dataDir, 'plugin-versions'),
    watched: config.watchPlugins,
    storePath: join(config.dataDir, 'store.sqlite'),
    separator: config.userTopicSeparator,
    workers: config.handlerWorkers,
    timeoutMs: config.handlerTimeoutMs,
    memoryBytes: config.handlerMemoryMb * 1024 * 1024,
    loadTimeoutMs: LOAD_TIMEOUT_MS,
    queuedCommands: config.queuedCommands,
    queuedBytes: config.queuedCommandsBytes,
  };
  const storage = stored?.storage;
  const host: PoolHost = {
    now: () => turn.clock.now(),
    sent: (message, cause) => turn.inside.sent(message, cause),
    declares: (topic) => turn.broker.declares(topic),
    mayReply: (publisher, topic) => turn.broker.mayReply(publisher, topic),
    storageFails: () => stored?.problem() !== undefined,
    handled: (number, handler) => turn.inside.handled(number, handler),
    tried: (number, handler, attempts) => turn.inside.tried(number, handler, attempts),
    buried: (letter) => turn.inside.buried(letter),
    enqueue: (command, only) => turn.inside.enqueue(command, only),
    serves: (topics, hooks) => {
      turn.inside.handles(topics, hooks);
      swapped();
    },
    fetch: storage && ((...wanted) => storage.fetchCommands(...wanted)),
    report: observePlugins(log),
  };
  return guarded(config, () => new Pool(options, host));
}

async function guarded<T>(config: Config, open: () => T | Promise<T>): Promise<T> {
  try {
    return await open();
  } catch (error) {
    if (error instanceof StoreProblem) throw new StartError(`PLUGINS_DIR: ${error.message}`);
    throw new StartError(
      `PLUGINS_DIR: ${config.pluginsDir} cannot be used: ${(error as Error).message}`,
    );
  }
}
