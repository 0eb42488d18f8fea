/** What the HTTPS listener answers beside MQTT, put together from the parts that know it. */
import type { Verifier } from '../auth/token.ts';
import { type App, createApp } from '../http/app.ts';
import { LoopLag } from '../http/loop-lag.ts';
import { type LetterCounters, metricsPage, writeLetterMetrics } from '../http/metrics.ts';
import type { Turn } from '../net/turn.ts';
import type { Pool } from '../plugins/pool.ts';
import type { Lifecycle } from './lifecycle.ts';
import type { Log } from './log.ts';
import { fieldsOfError } from './observe.ts';
import { writePluginMetrics } from './observe-plugins.ts';
import type { Config } from './settings.ts';
import type { OpenedTls } from './tls-files.ts';
import { version } from './version.ts';

export interface WebAppOptions {
  readonly config: Config;
  readonly turn: Turn;
  readonly pool: Pool;
  /** Undefined where all is in memory alone. */
  readonly storage: LetterCounters | undefined;
  readonly verifier: Verifier;
  readonly tls: OpenedTls;
  /** Why this node takes no clients now; empty where it does. */
  readonly notReady: () => readonly string[];
  readonly log: Log;
}

export async function openWebApp(options: WebAppOptions, lifecycle: Lifecycle): Promise<App> {
  const { config, turn, pool, storage, verifier, tls, notReady, log } = options;
  const measure = (): LoopLag => {
    const lag = new LoopLag();
    lag.start();
    return lag;
  };
  const lag = await lifecycle.open('event loop lag', measure, (part) => part.stop());
  return createApp({
    notReady,
    metrics: () =>
      metricsPage({
        version,
        turn,
        lag,
        material: () => tls.material,
        more: (page) => {
          writePluginMetrics(page, pool);
          if (storage !== undefined) writeLetterMetrics(page, storage);
        },
      }),
    metricsAccess: config.metricsAccess,
    isAdmin: async (token) => {
      const verdict = await verifier.verify(token, Date.now());
      return verdict.kind === 'accept' ? verdict.identity.role === 'admin' : undefined;
    },
    report: (error) => log.error('our fault', fieldsOfError(error)),
  });
}
