/** Which broker `bellhop bench` puts load on, and who its connections say they are. */
import { lookup } from 'node:dns/promises';
import type { Target } from '../bench/dialer.ts';
import type { Surroundings } from '../bench/member.ts';
import type { ClientPlan } from '../bench/plan.ts';
import { StartError } from '../ops/lifecycle.ts';
import type { Config } from '../ops/settings.ts';
import { type Arguments, type Options, UsageError } from './arguments.ts';
import { localUrl, readBrokerUrl, targetOf } from './broker-address.ts';
import { mint } from './mint.ts';

const DAY_SECONDS = 86_400;

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
  const brokers = written.length > 0 ? written : [localUrl(config)];
  const urls = brokers.map((broker) => readBrokerUrl(broker, 'use --username'));
  if (new Set(urls.map((url) => url.protocol)).size > 1) {
    throw new UsageError('--broker: all with TLS, or none');
  }
  return {
    dial: {
      targets: await Promise.all(urls.map((url) => lookUp(given, config, url))),
      parallel: given.count('parallel') ?? 64,
      perSecond: given.count('ramp') ?? connectRate,
      timeoutSeconds: 600,
    },
    run: run ?? crypto.getRandomValues(new Uint32Array(1))[0] ?? 0,
    credentials: credentialsOf(given, config),
  };
}

/** The address is looked up once, and not by each of thousands of connections. */
async function lookUp(given: Arguments, config: Config, url: URL): Promise<Target> {
  const target = targetOf(given, config, url);
  const { hostname: name } = target;
  const found = await lookup(name, { all: true }).catch((error: Error) => {
    throw new StartError(`${url.host}: ${error.message}`);
  });
  const hostname = (found.find(({ family }) => family === 4) ?? found[0])?.address ?? name;
  const isLoopback = hostname.startsWith('127.') || hostname === '::1';
  if (!isLoopback && !given.has('yes')) {
    throw new UsageError(
      `${name} is another machine, and a load test may take it down: if it is yours, add --yes`,
    );
  }
  return { ...target, hostname };
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
