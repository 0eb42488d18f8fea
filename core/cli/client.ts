/**
 * A connection of `bellhop pub` and `bellhop sub` to a broker, over MQTT.js: one attempt, and whatever
 * goes wrong with it in one line that says what the broker answered.
 */
import { existsSync, readFileSync } from 'node:fs';
import mqtt, { type IClientOptions, type MqttClient } from 'mqtt';

import { certificatePath } from '../ops/data-folder.ts';
import { StartError } from '../ops/lifecycle.ts';
import type { Config } from '../ops/settings.ts';
import { type Arguments, type Options, UsageError } from './arguments.ts';
import { readConfiguration } from './configured.ts';
import { mint, parseDuration, roles } from './mint.ts';

export const clientOptions: Options = {
  url: { value: 'url', text: 'mqtts://, mqtt:// or wss:// URL; this machine if not given' },
  user: { value: 'user', text: 'mint a token for this user with the secret of this machine' },
  role: { value: 'role', text: `role of the minted token: ${roles.join(', ')}` },
  token: { value: 'token', text: 'the token; better in BELLHOP_TOKEN, which `ps` does not show' },
  'token-file': { value: 'path', text: 'read the token from a file' },
  cafile: { value: 'path', text: "certificates to trust; the broker's own on this machine" },
  insecure: { value: undefined, text: 'do not check the certificate' },
  'mqtt-version': { value: 'version', text: '3.1, 3.1.1 or 5; 5 if not given' },
  'client-id': { value: 'id', text: 'Client Identifier; a random one if not given' },
  qos: { value: '0|1|2', text: 'Quality of Service; 1 if not given' },
  timeout: { value: 'time', text: 'longest time to connect, such as 10s; 30s if not given' },
};

const versions = { '3.1': 3, '3.1.1': 4, '5': 5, '5.0': 5 } as const;

export function readQos(given: Arguments): 0 | 1 | 2 {
  return Number(given.choice('qos', ['0', '1', '2'], '1')) as 0 | 1 | 2;
}

/** Connects as the options say. Throws `UsageError`, or `StartError` with what the broker answered. */
export async function connect(given: Arguments): Promise<MqttClient> {
  const { config } = readConfiguration(given);
  const url = readUrl(given.get('url') ?? localUrl(config));
  const version = given.choice('mqtt-version', ['3.1', '3.1.1', '5', '5.0'], '5');
  const clientId = given.get('client-id');
  const timeoutMs = readTimeout(given.get('timeout') ?? '30s');
  const options: IClientOptions = {
    ...target(url),
    username: 'JWT',
    password: await readToken(given, config),
    protocolVersion: versions[version],
    ...(versions[version] === 3 && { protocolId: 'MQIsdp' }),
    ...(clientId !== undefined && { clientId }),
    reconnectPeriod: 0,
    connectTimeout: timeoutMs,
    rejectUnauthorized: !given.has('insecure'),
    ...readAuthorities(given, config, url),
  };
  return open(url.href, options, timeoutMs);
}

function open(url: string, options: IClientOptions, timeoutMs: number): Promise<MqttClient> {
  const { promise, resolve, reject } = Promise.withResolvers<MqttClient>();
  const client = mqtt.connect(options);
  let reason: string | undefined;
  const fail = (detail: string): void => {
    client.end(true);
    reject(new StartError(`${url}: ${reason === undefined ? detail : `${detail} (${reason})`}`));
  };
  client.on('packetreceive', (packet) => {
    if (packet.cmd === 'connack' || packet.cmd === 'disconnect') {
      reason = packet.properties?.reasonString;
    }
  });
  client.once('connect', () => resolve(client));
  client.on('error', (error) => fail(describe(error)));
  client.once('close', () => fail(`no connection within ${timeoutMs / 1_000} s, or it was closed`));
  return promise;
}

function describe(error: Error & { code?: unknown }): string {
  if (typeof error.code === 'string' && error.code.includes('CERT')) {
    return `the certificate is not trusted: ${error.message}; name its authority with --cafile`;
  }
  return error.message === '' ? String(error.code ?? error) : error.message;
}

/** In parts: MQTT.js would read an URL with what its runtime warns of. */
function target({ protocol, hostname, port, pathname }: URL): IClientOptions {
  return {
    protocol: protocol.slice(0, -1) as 'mqtts' | 'mqtt' | 'wss' | 'ws',
    host: hostname.replace(/^\[|\]$/g, ''),
    ...(port !== '' && { port: Number(port) }),
    ...(protocol.startsWith('ws') && { path: pathname }),
  };
}

function localUrl(config: Config): string {
  if (config.mqttsPort > 0) return `mqtts://localhost:${config.mqttsPort}`;
  if (config.httpsPort > 0) return `wss://localhost:${config.httpsPort}/mqtt`;
  return `mqtt://localhost:${config.mqttPort}`;
}

function readUrl(written: string): URL {
  const url = URL.parse(written);
  if (url === null || !['mqtts:', 'mqtt:', 'wss:', 'ws:'].includes(url.protocol)) {
    throw new UsageError(`--url is ${JSON.stringify(written)}, but must be mqtts://host:port`);
  }
  if (url.username !== '' || url.password !== '') {
    throw new UsageError('--url holds a user name: say who you are with --token or --user');
  }
  return url;
}

function readTimeout(written: string): number {
  const seconds = parseDuration(written);
  if (seconds === undefined) {
    throw new UsageError(`--timeout is ${JSON.stringify(written)}, but must be a time such as 10s`);
  }
  return seconds * 1_000;
}

async function readToken(given: Arguments, config: Config): Promise<string> {
  const user = given.get('user');
  if (user !== undefined) {
    const role = given.choice('role', roles, 'device');
    return mint(config, { user, role, expiresInSeconds: 3_600, acl: undefined });
  }
  if (given.has('role')) throw new UsageError('--role goes with --user');
  const file = given.get('token-file');
  const token =
    given.get('token') ?? (file === undefined ? process.env.BELLHOP_TOKEN : readText(file).trim());
  if (token !== undefined && token !== '') return token;
  throw new UsageError('who are you? Give --user, BELLHOP_TOKEN, --token-file or --token');
}

/** Whose certificates to trust: those of --cafile, or the broker's own where it runs on this machine. */
export function readAuthorities(given: Arguments, config: Config, url: URL): { ca?: string } {
  const file = given.get('cafile');
  if (file !== undefined) return { ca: readText(file) };
  const own = certificatePath(config.dataDir);
  const local = ['localhost', '127.0.0.1', '[::1]'].includes(url.hostname);
  return local && config.tlsCert.length === 0 && existsSync(own) ? { ca: readText(own) } : {};
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw new StartError(`${path} cannot be read: ${(error as Error).message}`);
  }
}
