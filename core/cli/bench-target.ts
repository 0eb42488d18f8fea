/** Which broker `bellhop bench` puts load on, and who its connections say they are. */
import { lookup } from 'node:dns/promises';
import type { Target } from '../bench/dialer.ts';
import type { Surroundings } from '../bench/member.ts';
import type { ClientPlan } from '../bench/plan.ts';
import { StartError } from '../ops/lifecycle.ts';
import type { Config } from '../ops/settings.ts';
import { type Arguments, type Options, UsageError } from './arguments.ts';
import { readAuthorities } from './client.ts';
import { mint } from './mint.ts';

const DAY_SECONDS = 86_400;
const ports = { 'mqtts:': 8_883, 'mqtt:': 1_883 } as const;

export const targetOptions: Options = {
  broker: {
    value: 'url',
    text: 'mqtts://host:port or mqtt://host:port; this machine if not given; several share the connections',
    several: true,
  },
  yes: { value: undefined, text: 'the broker is on another machine, and it is yours to load' },
  cafile: { value: 'path', text: "certificates to trust; the broker's own on this machine" },
  insecure: { value: undefined, text: 'do not check the certificate' },
  anonymous: { value: undefined, text: 'no user name and no password' },
  username: { value: 'name', text: 'user name of every connection, for brokers without tokens' },
  password: {
    value: 'text',
    text: 'its password; better in BELLHOP_PASSWORD, which `ps` does not show',
  },
  ramp: {
    value: 'number',
    text: 'connections to begin in a second; as fast as it goes if not given',
  },
  parallel: { value: 'number', text: 'connections that are being made at a time; 64 if not given' },
};

/** `run` is that of the process that leads; undefined where this one does. */
export async function readSurroundings(
  given: Arguments,
  config: Config,
  run: number | undefined,
  connectRate: number | undefined,
): Promise<Surroundings> {
  const written = given.all('broker');
  const urls = (written.length > 0 ? written : [localUrl(config)]).map(readUrl);
  if (new Set(urls.map((url) => url.protocol)).size > 1) {
    throw new UsageError('--broker: all with TLS, or none');
  }
  return {
    dial: {
      targets: await Promise.all(urls.map((url) => targetOf(given, config, url))),
      parallel: given.count('parallel') ?? 64,
      perSecond: given.count('ramp') ?? connectRate,
      timeoutSeconds: 600,
    },
    run: run ?? crypto.getRandomValues(new Uint32Array(1))[0] ?? 0,
    credentials: credentialsOf(given, config),
  };
}

function localUrl({ mqttsPort, mqttPort }: Config): string {
  return mqttsPort > 0 ? `mqtts://localhost:${mqttsPort}` : `mqtt://localhost:${mqttPort}`;
}

function readUrl(written: string): URL {
  const url = URL.parse(written);
  if (url === null || !(url.protocol in ports) || url.hostname === '') {
    throw new UsageError(
      `--broker is ${JSON.stringify(written)}, but must be mqtts://host:port or mqtt://host:port`,
    );
  }
  if (url.username !== '' || url.password !== '') {
    throw new UsageError('--broker holds a user name: use --username');
  }
  return url;
}

/** The address is looked up once, and not by each of thousands of connections. */
async function targetOf(given: Arguments, config: Config, url: URL): Promise<Target> {
  const name = url.hostname.replace(/^\[|\]$/g, '');
  const found = await lookup(name, { all: true }).catch((error: Error) => {
    throw new StartError(`${url.host}: ${error.message}`);
  });
  const address = (found.find(({ family }) => family === 4) ?? found[0])?.address ?? name;
  const isLoopback = address.startsWith('127.') || address === '::1';
  if (!isLoopback && !given.has('yes')) {
    throw new UsageError(
      `${name} is another machine, and a load test may take it down: if it is yours, add --yes`,
    );
  }
  const isSecure = url.protocol === 'mqtts:';
  return {
    hostname: address,
    port: Number(url.port === '' ? ports[url.protocol as keyof typeof ports] : url.port),
    tls: isSecure
      ? {
          serverName: name,
          rejectUnauthorized: !given.has('insecure'),
          ...readAuthorities(given, config, url),
        }
      : undefined,
  };
}

function credentialsOf(given: Arguments, config: Config): Surroundings['credentials'] {
  const userName = given.get('username');
  if (given.has('anonymous')) {
    if (userName !== undefined) throw new UsageError('--anonymous goes without --username');
    return async () => ({ userName: undefined, password: undefined });
  }
  if (userName !== undefined) {
    const password = given.get('password') ?? process.env.BELLHOP_PASSWORD;
    return async () => ({ userName, password });
  }
  if (given.has('password')) throw new UsageError('--password goes with --username');
  return async ({ user, role }: ClientPlan) => ({
    userName: 'JWT',
    password: await mint(config, { user, role, expiresInSeconds: DAY_SECONDS, acl: undefined }),
  });
}
