/** The plugins as the settings ask for them, tied to the turn. */
import { join } from 'node:path';
import type { Turn } from '../net/turn.ts';
import { Pool } from '../plugins/pool.ts';
import { StoreProblem } from '../plugins/store.ts';
import { type Lifecycle, StartError } from './lifecycle.ts';
import type { Log } from './log.ts';
import { observePlugins } from './observe-plugins.ts';
import type { Config } from './settings.ts';

/** How long one plugin file may take to import. */
const LOAD_TIMEOUT_MS = 30_000;

/** Loads the plugins and declares their commands. Throws a `StartError` where the folder or the handlers' database cannot be used. */
export async function openPlugins(
  config: Config,
  turn: Turn,
  log: Log,
  lifecycle: Lifecycle,
): Promise<Pool> {
  const pool = await lifecycle.open(
    'plugins',
    () => makePool(config, turn, log),
    (opened) => opened.stop(config.drainTimeoutMs),
  );
  await pool.start();
  turn.handles(pool.topics, []);
  return pool;
}

function makePool(config: Config, turn: Turn, log: Log): Pool {
  const options = {
    folder: config.pluginsDir,
    storePath: join(config.dataDir, 'store.sqlite'),
    separator: config.userTopicSeparator,
    workers: config.handlerWorkers,
    timeoutMs: config.handlerTimeoutMs,
    loadTimeoutMs: LOAD_TIMEOUT_MS,
    queuedCommands: config.queuedCommands,
    queuedBytes: config.queuedCommandsBytes,
  };
  try {
    return new Pool(options, {
      now: () => turn.clock.now(),
      sent: (message) => turn.sent(message),
      declares: (topic) => turn.broker.declares(topic),
      handled: (number) => void turn.handled(number, undefined),
      report: observePlugins(log),
    });
  } catch (error) {
    if (error instanceof StoreProblem) throw new StartError(`PLUGINS_DIR: ${error.message}`);
    throw new StartError(
      `PLUGINS_DIR: ${config.pluginsDir} cannot be read: ${(error as Error).message}`,
    );
  }
}
