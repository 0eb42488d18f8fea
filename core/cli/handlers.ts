/**
 * `bellhop handlers`: the handlers of a plugins folder as a process of their own, beside others like
 * it, over MQTT to a broker that may be elsewhere.
 */
import { resolve } from 'node:path';
import { Lifecycle, listenForSignals } from '../ops/lifecycle.ts';
import { BURST_WINDOW_MS, Logger } from '../ops/log.ts';
import { fieldsOfError } from '../ops/observe.ts';
import { openRemote, type RemoteSettings, startRemote } from '../ops/remote.ts';
import type { Config } from '../ops/settings.ts';
import { stdoutSink } from '../ops/stdout.ts';
import { programVersion } from '../ops/version.ts';
import type { Remote } from '../plugins/remote.ts';
import {
  expiryOf,
  type TokenSource,
  tokenFromCommand,
  tokenFromFile,
} from '../plugins/remote-token.ts';
import { type Arguments, type Command, UsageError } from './arguments.ts';
import { localUrl, readBrokerUrl, targetOf } from './broker-address.ts';
import { readConfiguration } from './configured.ts';
import { mint, parseDuration } from './mint.ts';

/** A minted token is renewed long before. */
const MINTED_SECONDS = 3_600;
const EXIT_AFTER_MS = 2_000;
const INITIAL_INFLIGHT = 128;

export const handlers: Command = {
  usage: '[options] [settings]',
  about: `Runs the handlers of the plugins folder against a broker, over MQTT 5. As many such processes as
you like share the commands. What their handlers store is in a folder of each process; see
docs/handlers.md for what is promised. SIGTERM finishes what is under way; a second one ends
it at once. Settings such as --plugins-dir and --handler-workers count as well.`,
  options: {
    broker: {
      value: 'url',
      text: 'mqtts://host:port or mqtt://host:port; this machine if not given',
    },
    token: { value: 'token', text: 'the token; better in BELLHOP_TOKEN, which `ps` does not show' },
    'token-file': {
      value: 'path',
      text: 'read the token from a file, and again before it expires',
    },
    'token-command': {
      value: 'command',
      text: 'run this in a shell for a token, and again before it expires',
    },
    user: {
      value: 'user',
      text: 'mint tokens for this user with the secret of this machine; handlers if no token is given',
    },
    cafile: { value: 'path', text: "certificates to trust; the broker's own on this machine" },
    insecure: { value: undefined, text: 'do not check the certificate' },
    group: {
      value: 'name',
      text: 'processes of one group share the commands; bellhop if not given',
    },
    'store-dir': { value: 'folder', text: 'what this process keeps; data-handlers if not given' },
    'client-id': {
      value: 'id',
      text: 'Client Identifier; one that is made and kept in --store-dir if not given',
    },
    'session-expiry': {
      value: 'time',
      text: 'how long the broker keeps what waits for this process, such as 1h; 1h if not given',
    },
    schedules: {
      value: undefined,
      text: 'run the schedules of the handlers as well; of several processes, one should',
    },
    inflight: {
      value: 'number',
      text: `commands that this process holds at a time; ${INITIAL_INFLIGHT} if not given`,
    },
  },
  async run(given) {
    process.umask(0o077); // what is kept is for nobody else
    const { config, warnings } = readConfiguration(given);
    const settings = readSettings(given, config);
    const sink = stdoutSink(config.logFormat);
    const log = new Logger({ level: config.logLevel, burst: config.logBurst, sinks: [sink] });
    for (const warning of warnings) log.warn(warning);
    const lifecycle = new Lifecycle((part, error) => {
      log.error('could not be closed', { part, ...fieldsOfError(error) });
    });
    try {
      const sweep = () => setInterval(() => log.sweep(), BURST_WINDOW_MS);
      await lifecycle.open('log', sweep, clearInterval);
      await serve(config, settings, log, lifecycle);
      return 0;
    } finally {
      await lifecycle.close();
      await log.flush();
      setTimeout(() => process.exit(), EXIT_AFTER_MS).unref();
    }
  },
};

async function serve(
  config: Config,
  settings: RemoteSettings,
  log: Logger,
  lifecycle: Lifecycle,
): Promise<void> {
  const { promise: signalled, resolve: signal } = Promise.withResolvers<string>();
  let remote: Remote | undefined;
  listenForSignals({
    stop: signal,
    stopNow: (name) => {
      log.warn('stopping at once', { reason: name });
      void log.flush().finally(() => process.exit(1));
    },
    reload: () => remote?.pool.reload(),
  });
  const fault = (thrown: unknown): void => log.error('our fault', fieldsOfError(thrown));
  process.on('uncaughtException', fault);
  process.on('unhandledRejection', fault);
  remote = await openRemote(config, settings, log, lifecycle);
  const started = startRemote(remote).then(() => {
    log.info('serving', { version: programVersion(), group: settings.group });
  });
  // A broker that cannot be reached is waited for; a signal is heard meanwhile.
  const name = await Promise.race([signalled, started.then(() => signalled)]);
  log.info('stopping', { reason: name });
  if (!(await remote.stop(config.drainTimeoutMs))) {
    log.warn('some commands were not done in time, the broker delivers them again');
  }
  log.info('stopped');
}

function readSettings(given: Arguments, config: Config): RemoteSettings {
  const broker = given.get('broker') ?? localUrl(config);
  const url = readBrokerUrl(broker, 'say who you are with a token');
  const group = given.get('group') ?? 'bellhop';
  if (group === '' || /[/+#]/.test(group)) {
    throw new UsageError(
      `--group is ${JSON.stringify(group)}, but must be a name without /, + and #`,
    );
  }
  const inflight = given.count('inflight') ?? INITIAL_INFLIGHT;
  if (inflight > 65_535) throw new UsageError('--inflight must be 65,535 at most');
  return {
    folder: resolve(given.get('store-dir') ?? 'data-handlers'),
    target: targetOf(given, config, url),
    token: readToken(given, config),
    group,
    clientIdentifier: given.get('client-id'),
    sessionExpirySeconds: readExpiry(given.get('session-expiry') ?? '1h'),
    inflight,
    schedules: given.has('schedules'),
  };
}

function readExpiry(written: string): number {
  const seconds = parseDuration(written);
  if (seconds === undefined || seconds >= 0xffff_ffff) {
    throw new UsageError(
      `--session-expiry is ${JSON.stringify(written)}, but must be a time such as 1h`,
    );
  }
  return seconds;
}

function readToken(given: Arguments, config: Config): TokenSource {
  const ways = ['token', 'token-file', 'token-command', 'user'].filter((name) => given.has(name));
  if (ways.length > 1) throw new UsageError(`--${ways[0]} and --${ways[1]} do not go together`);
  const file = given.get('token-file');
  if (file !== undefined) return tokenFromFile(file);
  const command = given.get('token-command');
  if (command !== undefined) return tokenFromCommand(command);
  const token = given.get('token') ?? process.env.BELLHOP_TOKEN;
  if (token !== undefined && token !== '' && !given.has('user')) return fixedToken(token);
  const user = given.get('user') ?? 'handlers';
  const claims = {
    user,
    role: 'handler',
    expiresInSeconds: MINTED_SECONDS,
    acl: undefined,
  } as const;
  return () => mint(config, claims);
}

/** One that cannot be renewed. */
function fixedToken(token: string): TokenSource {
  return async () => {
    const expiresAtMs = expiryOf(token);
    if (expiresAtMs === undefined || expiresAtMs > Date.now()) return token;
    throw new Error(
      'the token has expired; with --token-file or --token-command it could be renewed',
    );
  };
}
