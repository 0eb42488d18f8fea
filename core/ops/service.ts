/**
 * Puts the parts together, in the order in which they need each other: data folder, keys and policy,
 * certificates, broker and turn, plugins, listeners. Listeners come last, so that nobody is let in
 * before all stands; what cannot open throws a `StartError`, and what is open by then is closed.
 */
import { randomUUID } from 'node:crypto';
import { issuerWarnings } from '../auth/issuers.ts';
import type { KeyEvent } from '../auth/jwks.ts';
import { defaultPolicy, loadPolicy, PolicyProblem } from '../auth/policy.ts';
import type { Policy } from '../auth/rights.ts';
import { createVerifier, type Verifier } from '../auth/token.ts';
import { createBroker } from '../broker/broker.ts';
import { AddressList } from '../net/address.ts';
import { ListenError } from '../net/listen-error.ts';
import { listenTcp, type TcpListener, type TcpOptions } from '../net/tcp.ts';
import { Turn } from '../net/turn.ts';
import { ensureSecret, openDataFolder, secretPath } from './data-folder.ts';
import { needsOwnSecret, verifierOptions } from './identity.ts';
import { type Lifecycle, StartError, within } from './lifecycle.ts';
import type { Log } from './log.ts';
import { observe } from './observe.ts';
import { type Config, limitsOf } from './settings.ts';
import { version } from './version.ts';

/** How long a proxy has to send its header. */
const PROXY_HEADER_MS = 5_000;

export interface Service {
  /** Whether a secret or a certificate was made, so that whoever started it has yet to be told of them. */
  readonly isFirstStart: boolean;
  /** Reads certificates anew. Never rejects: where that fails, those in use stay. */
  reload(): Promise<void>;
  /** Accepts no more, ends every connection in good order; tells whether all were gone in time. */
  drain(timeoutMs: number): Promise<boolean>;
}

/** Throws `StartError`; what it opened by then is for `lifecycle` to close. */
export async function openService(
  config: Config,
  log: Log,
  lifecycle: Lifecycle,
): Promise<Service> {
  openDataFolder(config.dataDir);
  const own = needsOwnSecret(config) ? ensureSecret(config.dataDir) : undefined;
  if (own !== undefined) {
    log.info(
      'tokens are checked against a secret made here; set JWT_SECRET or an issuer for production',
      {
        file: secretPath(config.dataDir),
      },
    );
  }
  const verifier = openVerifier(config, own?.secret, log);
  const policy = await openPolicy(config);
  const turn = await lifecycle.open(
    'connections',
    () => openTurn(config, policy, verifier, log),
    (part) => part.stop(),
  );
  const listeners = await openListeners(config, turn, log, lifecycle);
  void verifier.prefetch(Date.now());
  return {
    isFirstStart: own?.made ?? false,
    reload: async () => {},
    drain: (timeoutMs) => {
      for (const listener of listeners) listener.stop();
      turn.shutDown();
      return within(timeoutMs, turn.empty());
    },
  };
}

function openTurn(config: Config, policy: Policy, verifier: Verifier, log: Log): Turn {
  return new Turn({
    broker: (outbox) =>
      createBroker({
        outbox,
        policy,
        version,
        limits: limitsOf(config),
        assignClientIdentifier: () => `auto-${randomUUID()}`,
        startedAt: Date.now(),
      }),
    verify: (token, wallMs) => verifier.verify(token, wallMs),
    handle: () => {},
    forward: () => {},
    report: observe(log),
  });
}

/** Does what `open` does, and makes the mistakes of an operator that it throws into a `StartError`. */
function orStartError<T>(setting: string, open: () => T): T {
  try {
    return open();
  } catch (error) {
    throw error instanceof ListenError
      ? new StartError(error.message)
      : new StartError(`${setting}: ${(error as Error).message}`);
  }
}

function openVerifier(config: Config, ownSecret: string | undefined, log: Log): Verifier {
  const options = verifierOptions(config, ownSecret);
  const report = (event: KeyEvent): void => {
    if (event.kind === 'keys-fetched')
      log.info('keys fetched', { url: event.url, keys: event.keys });
    else log.warn('keys could not be fetched', { url: event.url, detail: event.detail });
  };
  const verifier = orStartError('JWT_ISSUER', () => createVerifier(options, report));
  for (const warning of issuerWarnings(options.issuers)) log.warn(warning);
  return verifier;
}

async function openPolicy(config: Config): Promise<Policy> {
  if (config.policyFile === undefined) return defaultPolicy(config.userTopicSeparator);
  try {
    return await loadPolicy(config.policyFile, config.userTopicSeparator);
  } catch (error) {
    if (error instanceof PolicyProblem) throw new StartError(`POLICY_FILE: ${error.message}`);
    throw error;
  }
}

async function openListeners(
  config: Config,
  turn: Turn,
  log: Log,
  lifecycle: Lifecycle,
): Promise<readonly TcpListener[]> {
  const listeners: TcpListener[] = [];
  const listen = async (transport: 'MQTT' | 'MQTTS', options: TcpOptions): Promise<void> => {
    const open = () => orStartError(options.setting, () => listenTcp(options));
    const listener = await lifecycle.open(transport, open, (part) => part.stop());
    log.info('listening', { reason: transport, host: listener.hostname, port: listener.port });
    listeners.push(listener);
  };
  const common = {
    turn,
    hostname: config.host,
    proxy: config.proxyProtocol
      ? { trusted: new AddressList(config.proxyTrusted), timeoutMs: PROXY_HEADER_MS }
      : undefined,
    tcpKeepAliveMs: config.tcpKeepAliveSeconds * 1_000,
  };
  if (config.mqttPort > 0) {
    log.warn('MQTT without TLS: tokens and messages can be read on the way', {
      port: config.mqttPort,
    });
    await listen('MQTT', {
      ...common,
      port: config.mqttPort,
      setting: 'MQTT_PORT',
      tls: undefined,
    });
  }
  return listeners;
}
