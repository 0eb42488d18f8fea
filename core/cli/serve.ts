/**
 * `bellhop serve`: the broker as a process. Starts it, tells whoever started it, and sees to signals,
 * the service manager, and mistakes of ours that nobody caught.
 */

import type { Configuration } from '../ops/configuration.ts';
import { firstSteps } from '../ops/first-steps.ts';
import { Lifecycle, listenForSignals } from '../ops/lifecycle.ts';
import { BURST_WINDOW_MS, type Log, Logger } from '../ops/log.ts';
import { type Notifier, openNotifier } from '../ops/notify.ts';
import { fieldsOfError } from '../ops/observe.ts';
import { RUN_LINE, RUN_LINES } from '../ops/observe-plugins.ts';
import { openService } from '../ops/service.ts';
import { isPretty, stdoutSink } from '../ops/stdout.ts';
import { programVersion } from '../ops/version.ts';
import type { Command } from './arguments.ts';
import { readConfiguration } from './configured.ts';

/** After all is closed, how long whatever still runs may keep the process. */
const EXIT_AFTER_MS = 2_000;

export const serve: Command = {
  usage: '[settings]',
  about: `Runs the broker until SIGTERM or SIGINT, which let connections take what waits for them; a
second one ends it at once. SIGHUP reads certificates and plugins anew. Every setting is a flag:`,
  options: {},
  async run(given) {
    process.umask(0o077); // what is made in the data folder is for nobody else
    const configuration = readConfiguration(given);
    const { config, warnings } = configuration;
    const sink = stdoutSink(config.logFormat);
    const log = new Logger({
      level: config.logLevel,
      burst: config.logBurst,
      bursts: { [RUN_LINE]: RUN_LINES },
      sinks: [sink],
    });
    for (const warning of warnings) log.warn(warning);
    const lifecycle = new Lifecycle((part, error) => {
      log.error('could not be closed', { part, ...fieldsOfError(error) });
    });
    try {
      await lifecycle.open('log', () => sweepRegularly(log), clearInterval);
      await lifecycle.open(
        'faults',
        () => catchFaults(log),
        (end) => end(),
      );
      await serveUntilSignalled(configuration, log, lifecycle);
      return 0;
    } finally {
      await lifecycle.close();
      await log.flush();
      setTimeout(() => process.exit(), EXIT_AFTER_MS).unref();
    }
  },
};

async function serveUntilSignalled(
  configuration: Configuration,
  log: Logger,
  lifecycle: Lifecycle,
): Promise<void> {
  const { config } = configuration;
  const { promise: signalled, resolve: signal } = Promise.withResolvers<string>();
  let reload = (): void => {};
  listenForSignals({
    stop: signal,
    stopNow: (name) => {
      log.warn('stopping at once', { reason: name });
      void log.flush().finally(() => process.exit(1));
    },
    reload: () => reload(),
  });
  const notifier = tryOpenNotifier(log);
  const service = await openService(config, log, lifecycle);
  reload = () => void service.reload();
  const watchdog = () => startWatchdog(notifier);
  await lifecycle.open('watchdog', watchdog, clearInterval);

  if (service.hasOwnSecret) {
    const out = isPretty(config.logFormat) ? process.stdout : process.stderr;
    out.write(firstSteps(configuration, service.declares));
  }
  log.info('serving', { version: programVersion() });
  notifier?.send('READY=1');

  const name = await signalled;
  notifier?.send('STOPPING=1');
  log.info('stopping', { reason: name });
  const { drainTimeoutMs } = config;
  if (!(await service.drain(drainTimeoutMs))) {
    log.warn('some connections did not take what waited for them in time', { drainTimeoutMs });
  }
  log.info('stopped');
}

function sweepRegularly(log: Logger): ReturnType<typeof setInterval> {
  return setInterval(() => log.sweep(), BURST_WINDOW_MS);
}

/** What nobody caught is a mistake of ours; it is told, and everybody else is served on. */
function catchFaults(log: Log): () => void {
  const fault = (thrown: unknown): void => log.error('our fault', fieldsOfError(thrown));
  process.on('uncaughtException', fault);
  process.on('unhandledRejection', fault);
  return () => {
    process.off('uncaughtException', fault);
    process.off('unhandledRejection', fault);
  };
}

/** A service manager that cannot be told is no reason not to serve; it will say so itself. */
function tryOpenNotifier(log: Log): Notifier | undefined {
  try {
    return openNotifier(process.env);
  } catch (error) {
    log.warn('the service manager cannot be told', fieldsOfError(error));
    return undefined;
  }
}

/** The event loop's sign of life, from the event loop. */
function startWatchdog(notifier: Notifier | undefined): ReturnType<typeof setInterval> | undefined {
  if (notifier?.watchdogMs === undefined) return undefined;
  return setInterval(() => notifier.send('WATCHDOG=1'), notifier.watchdogMs);
}
