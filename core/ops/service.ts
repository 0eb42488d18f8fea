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
import { createLocalBus } from '../cluster/bus.ts';
import type { TopicName } from '../mqtt/topic.ts';
import { Turn, type TurnOptions } from '../net/turn.ts';
import type { Pool } from '../plugins/pool.ts';
import { lockFolder } from '../store/data-folder.ts';
import { StorageRefused } from '../store/problem.ts';
import { type BrokerStorage, openBrokerStorage } from './broker-storage.ts';
import { openControl } from './control.ts';
import { ensureSecret, openDataFolder } from './data-folder.ts';
import { needsOwnSecret, verifierOptions } from './identity.ts';
import { brokerDesk, memoryDesk } from './letter-desk.ts';
import { type Lifecycle, StartError, within } from './lifecycle.ts';
import { openListeners } from './listeners.ts';
import type { Log } from './log.ts';
import { observe } from './observe.ts';
import { openPlugins } from './plugins.ts';
import { roomForConnections } from './room.ts';
import { type Config, limitsOf } from './settings.ts';
import { openTls } from './tls-files.ts';
import { version } from './version.ts';
import { openWebApp } from './web-app.ts';

export interface Service {
  /** Whether tokens are checked against a secret that was made here: nobody has configured where they come from. */
  readonly hasOwnSecret: boolean;
  /** Whether a handler carries out this command. */
  readonly declares: (command: string) => boolean;
  /** Reads certificates anew, and the plugins folder. Never rejects: where that fails, those in use stay. */
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
  const { mqttsPort, mqttPort, httpsPort } = config;
  if (mqttsPort + mqttPort + httpsPort === 0) {
    throw new StartError(
      'there is nothing to listen on: MQTTS_PORT, MQTT_PORT and HTTPS_PORT are 0',
    );
  }
  openDataFolder(config.dataDir);
  if (config.durability === 'memory') await takeDataFolder(config.dataDir, lifecycle);
  const ownSecret = needsOwnSecret(config) ? ensureSecret(config.dataDir) : undefined;
  const verifier = openVerifier(config, ownSecret, log);
  const policy = await openPolicy(config);
  const tls = mqttsPort + httpsPort > 0 ? await openTls(config) : undefined;
  const { durability } = config;
  const stored =
    durability === 'memory'
      ? undefined
      : await openBrokerStorage(config, durability, log, lifecycle);
  let pool: Pool | undefined;
  const turn = await lifecycle.open(
    'connections',
    () =>
      openTurn(config, policy, verifier, stored, log, (...command) => {
        pool?.dispatch(...command);
      }),
    (part) => part.stop(),
  );
  const plugins = await openPlugins(config, turn, stored, log, lifecycle);
  const handlers = plugins.pool;
  pool = handlers;
  plugins.restore(stored?.attach(turn) ?? 0);
  const desk =
    stored === undefined
      ? memoryDesk
      : brokerDesk(config.dataDir, turn, stored, (name) => handlers.hasHandler(name));
  await openControl(config.dataDir, desk, log, lifecycle);
  let state: 'starting' | 'serving' | 'draining' = 'starting';
  const notReady = (): readonly string[] => {
    const problem = stored?.problem();
    const reasons = problem === undefined ? [] : [`nothing can be stored: ${problem}`];
    return state === 'serving' ? reasons : [state, ...reasons];
  };
  const app =
    tls &&
    (await openWebApp(
      { config, turn, pool, storage: stored?.counters, verifier, tls, notReady, log },
      lifecycle,
    ));
  const listeners = await openListeners({ config, turn, tls, app, log }, lifecycle);
  state = 'serving';
  // A key server that is down is no reason not to start; the first token that needs it asks again.
  void verifier.prefetch(Date.now());
  return {
    hasOwnSecret: ownSecret !== undefined,
    declares: (command) => turn.broker.declares(command as TopicName),
    reload: () => {
      handlers.reload();
      return listeners.reload();
    },
    drain: (timeoutMs) => {
      state = 'draining';
      listeners.stop();
      turn.shutDown();
      return within(timeoutMs, turn.empty());
    },
  };
}

/** One process to a data folder, also where the broker keeps nothing there: the handlers do. */
async function takeDataFolder(folder: string, lifecycle: Lifecycle): Promise<void> {
  const open = () => {
    try {
      return lockFolder(folder);
    } catch (error) {
      throw error instanceof StorageRefused ? new StartError(error.message) : error;
    }
  };
  await lifecycle.open('data folder', open, (lock) => lock.close(true));
}

function openTurn(
  config: Config,
  policy: Policy,
  verifier: Verifier,
  stored: BrokerStorage | undefined,
  log: Log,
  handle: TurnOptions['handle'],
): Turn {
  const bus = createLocalBus();
  const room = roomForConnections(config.maximumConnections);
  if (room.warning !== undefined) log.warn(room.warning);
  const turn = new Turn({
    storage: stored?.storage,
    maximumLingering: room.lingering,
    tcpKeepAliveMs: config.tcpKeepAliveSeconds * 1_000,
    broker: (outbox) =>
      createBroker({
        outbox,
        policy,
        version,
        limits: { ...limitsOf(config), maximumConnections: room.connections },
        assignClientIdentifier: () => `auto-${randomUUID()}`,
        startedAt: Date.now(),
        durable: stored !== undefined,
      }),
    verify: (token, wallMs) => verifier.verify(token, wallMs),
    handle,
    forward: (message) => bus.forward(message),
    report: observe(log),
  });
  bus.connect((message) => turn.inside.arrived(message));
  return turn;
}

function openVerifier(config: Config, ownSecret: string | undefined, log: Log): Verifier {
  const options = verifierOptions(config, ownSecret);
  const report = (event: KeyEvent): void => {
    if (event.kind === 'keys-fetched')
      log.info('keys fetched', { url: event.url, keys: event.keys });
    else log.warn('keys could not be fetched', { url: event.url, detail: event.detail });
  };
  for (const warning of issuerWarnings(options.issuers)) log.warn(warning);
  try {
    return createVerifier(options, report);
  } catch (error) {
    throw new StartError(`JWT_ISSUER, JWT_JWKS_URL: ${(error as Error).message}`);
  }
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
