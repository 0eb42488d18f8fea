/**
 * The one table of settings, the limits in a file of their own: types, defaults, checks, environment
 * names, `--help`, `bellhop config` and `docs/configuration.md` all come from here. A setting's name in
 * the environment is its key in capitals with underscores (`mqttsPort`, MQTTS_PORT), and on the command
 * line with hyphens (`--mqtts-port`).
 */
import { defaultVerifierOptions } from '../auth/token.ts';
import type { Limits } from '../broker/limits.ts';
import { AddressList } from '../net/address.ts';
import { limits } from './limit-settings.ts';
import {
  choice,
  flag,
  integer,
  isUrl,
  list,
  optional,
  type Setting,
  secret,
  text,
} from './setting.ts';

const MEBIBYTE = 1024 * 1024;
const TEBIBYTE = MEBIBYTE * MEBIBYTE;

function isAddressBlock(written: string): boolean {
  try {
    return new AddressList([written]).size === 1;
  } catch {
    return false;
  }
}

function isOrigin(written: string): boolean {
  return written === '*' || URL.parse(written)?.origin === written;
}

const listeners = {
  host: text('0.0.0.0', 'Address that every listener binds to; `::` for IPv6 and IPv4'),
  mqttsPort: integer(8_883, 0, 65_535, 'Port for MQTT over TLS; 0 turns it off'),
  mqttPort: integer(
    0,
    0,
    65_535,
    'Port for MQTT without TLS, for loopback or behind a TLS terminator; 0 turns it off',
  ),
  httpsPort: integer(
    8_443,
    0,
    65_535,
    'Port for HTTPS: MQTT over WebSocket at /mqtt, /health, /ready, /metrics; 0 turns it off',
  ),
};

const transport = {
  proxyProtocol: flag(
    false,
    'Whether every connection to the MQTT ports begins with a PROXY protocol header, v1 or v2',
  ),
  proxyTrusted: list(
    'Proxies that may send such a header, others being refused, and whose X-Forwarded-For the HTTPS port believes',
    'a list of addresses and blocks such as 10.0.0.0/8, with commas between them',
    isAddressBlock,
  ),
  allowedOrigins: list(
    'Origins of web pages that may open a WebSocket, such as https://app.example.com; `*` for any. Pages of the HTTPS port itself always may',
    'a list of origins such as https://app.example.com, with commas between them, or *',
    isOrigin,
  ),
  tcpKeepAliveSeconds: integer(
    60,
    0,
    86_400,
    'Idle time before the system probes whether a peer that asked for no Keep Alive, or for one of over an hour, is still there; 0 turns it off',
  ),
};

const tls = {
  tlsCert: list(
    'PEM file with the certificate and its chain; several, with commas between them, where HTTPS serves several names. Not set: a self-signed one is made in DATA_DIR',
    'a list of paths with commas between them',
  ),
  tlsKey: list(
    'PEM file with the private key, as many as in TLS_CERT and in their order',
    'a list of paths with commas between them',
  ),
  tlsClientCert: choice(
    'off',
    ['off', 'optional', 'required'],
    'Whether MQTT clients are asked for a certificate beside the token',
  ),
  tlsClientCa: optional('PEM file with the authorities of client certificates', 'a path'),
  tlsCiphers: optional('OpenSSL cipher list for TLS 1.2; not set: the choice of the runtime'),
};

const folders = {
  dataDir: text('./data', 'Folder for what the broker keeps; made with mode 0700 where missing'),
  pluginsDir: text('./plugins', 'Folder whose files are the handlers'),
  durability: choice(
    'fsync',
    ['fsync', 'os', 'memory'],
    'What an acknowledgement promises: `fsync` that it survives power loss, `os` a crash of the process, `memory` nothing of it',
  ),
};

const tokens = {
  jwtSecret: secret(
    'Shared secret for HS256, HS384 and HS512 tokens. Where no key is configured at all, a random one is made in DATA_DIR',
  ),
  jwtSecretPrevious: secret('Secret that stays valid while tokens move to a new JWT_SECRET'),
  jwtJwksUrl: optional(
    'Where the JSON Web Key Set for RS, PS, ES and EdDSA tokens is',
    'a URL that begins with https://',
    isUrl('https:', 'http:'),
  ),
  jwtIssuer: optional(
    'What `iss` must be; with neither secret nor JWT_JWKS_URL, its keys are found by OpenID Connect discovery',
  ),
  jwtAudience: list('Audiences of which `aud` must name one'),
  jwtIssuers: secret(
    'Further issuers, as a JSON list: `[{"issuer": "https://…", "userPrefix": "x:", "audience": ["app"]}]`; see docs/rights.md',
  ),
  jwtClaimUser: text('sub', 'Claim that holds the user id'),
  jwtClaimRole: text('role', 'Claim that holds the role'),
  jwtClaimAcl: text('acl', 'Claim that holds explicit grants'),
  jwtRequireExp: flag(true, 'Whether a token without `exp` is refused'),
  jwtLeewaySeconds: integer(
    defaultVerifierOptions.leewaySeconds,
    0,
    60,
    'Clock difference that `exp` and `nbf` are read with',
  ),
  jwtMaximumLifetimeSeconds: integer(
    0,
    0,
    0xffff_ffff,
    'Longest time from `iat` to `exp` of a token that is accepted; 0 for no limit',
  ),
  jwtAllowInsecureUrls: flag(
    false,
    'Whether keys may be fetched over http:// from other hosts; whoever is on the way can then sign tokens',
  ),
};

const rights = {
  policyFile: optional('JSON file with further commands, and grants by role; see docs/rights.md'),
  userTopicSeparator: choice(
    '_',
    ['_', '/'],
    'What ends the user part of a user topic; with `/` a device may subscribe to `<user>/#`',
  ),
};

const handlers = {
  watchPlugins: flag(
    true,
    'Whether a change in the plugins folder goes live by itself; if not, SIGHUP or a restart takes it',
  ),
  handlerWorkers: integer(
    4,
    1,
    1_024,
    'Threads that run handlers; more where handlers compute much',
  ),
  handlerTimeoutMs: integer(
    30_000,
    100,
    3_600_000,
    'Time one run of a handler may take before it is ended',
  ),
  handlerMemoryMb: integer(
    512,
    16,
    1_048_576,
    'MiB that the handlers of one thread may hold before another takes its place',
  ),
  queuedCommands: integer(
    100_000,
    1,
    100_000_000,
    'Commands that wait for handlers in memory; stored ones beyond that wait on disk',
  ),
  queuedCommandsBytes: integer(
    64 * MEBIBYTE,
    65_536,
    TEBIBYTE,
    'Bytes of commands that wait for handlers in memory',
  ),
  deadLetters: integer(
    10_000,
    0,
    100_000_000,
    'Dead letters that are kept; the oldest are dropped first, and 0 keeps none',
  ),
  deadLetterBytes: integer(
    256 * MEBIBYTE,
    0,
    TEBIBYTE,
    'Bytes of dead letters that are kept, with their messages',
  ),
};

const operation = {
  logLevel: choice('info', ['debug', 'info', 'warn', 'error'], 'Least important lines to log'),
  logFormat: choice(
    'auto',
    ['auto', 'json', 'pretty'],
    'One JSON object a line, or for people; `auto` is pretty on a terminal',
  ),
  logBurst: integer(
    100,
    1,
    1_000_000,
    'Lines of one kind that are logged in ten seconds; further ones are counted',
  ),
  metricsAccess: choice(
    'loopback',
    ['loopback', 'token', 'open', 'off'],
    'Who may read /metrics: this machine and admins, admins alone, everybody, or nobody',
  ),
  drainTimeoutMs: integer(
    10_000,
    0,
    600_000,
    'Time that SIGTERM gives connections to take what waits for them',
  ),
};

/** In the order of the docs page. */
export const sections = {
  Listeners: listeners,
  TLS: tls,
  Transport: transport,
  Folders: folders,
  Tokens: tokens,
  Rights: rights,
  Limits: limits,
  Handlers: handlers,
  Operation: operation,
};

export const settings = {
  ...listeners,
  ...tls,
  ...transport,
  ...folders,
  ...tokens,
  ...rights,
  ...limits,
  ...handlers,
  ...operation,
};

export type SettingKey = keyof typeof settings;
export type Config = { readonly [K in SettingKey]: (typeof settings)[K]['initial'] };

export const settingKeys = Object.keys(settings) as SettingKey[];

/**
 * Names that the design has fixed for what later versions do. They are no error, so that one
 * environment serves both; the start says that they have no effect yet.
 */
export const reservedNames = ['NATS_URL', 'LOGGLY_TOKEN', 'LOGGLY_SUBDOMAIN'];

/** `mqttsPort` is MQTTS_PORT in the environment. */
export function environmentName(key: SettingKey): string {
  return key.replace(/[A-Z]/g, '_$&').toUpperCase();
}

/** `mqttsPort` is `--mqtts-port` on the command line. */
export function flagName(key: SettingKey): string {
  return key.replace(/[A-Z]/g, '-$&').toLowerCase();
}

/** A setting seen without its type, for code that treats all alike. */
export function settingOf(key: SettingKey): Setting<unknown> {
  return settings[key] as Setting<unknown>;
}

/** The part of the settings that the core gets. */
export function limitsOf(config: Config): Limits {
  return Object.fromEntries(
    Object.keys(limits).map((key) => [key, config[key as keyof Limits]]),
  ) as unknown as Limits;
}
