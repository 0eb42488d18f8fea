/**
 * The brokers of a bench: Bellhop as the compiled executable, with tokens and rights on, and those peers
 * that are installed, without. Each is set up so that nothing is dropped.
 */
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Scenario } from './scenarios.ts';

/** The secret of brokers that a bench starts; they are gone when it is. */
export const SECRET = 'secret-of-a-bench-with-32-bytes-or-more';

export interface Place {
  /** An empty folder for this run. */
  readonly folder: string;
  readonly port: number;
  readonly tlsPort: number;
  readonly cert: string;
  readonly key: string;
}

export interface Setup {
  readonly command: readonly string[];
  readonly env: { readonly [name: string]: string };
}

export interface Broker {
  readonly name: string;
  readonly version: string;
  /** Whether its clients show tokens. */
  readonly hasTokens: boolean;
  readonly highestQoS: 0 | 1 | 2;
  readonly hasTls: boolean;
  /** Whether it speaks MQTT 5 at all; all are measured with 3.1.1. */
  can(scenario: Scenario): boolean;
  setup(place: Place, scenario: Scenario): Setup;
}

const echoPlugin = `import { defineHandler } from 'bellhop';
export default defineHandler({
  topic: 'bench_command', decode: 'bytes', reply: 'bench_reply', run: ({ input }) => input,
});
`;

/** `variable`, as `NAME=value`, is one of its environment in which it differs from the one that is measured. */
export function bellhop(binary: string, variable?: string): Broker {
  const [name = '', value = ''] = variable?.split(/=(.*)/s) ?? [];
  return {
    name: variable === undefined ? 'Bellhop' : `Bellhop with ${variable}`,
    version: firstLine([binary, '--version'])?.replace(/^bellhop /, '') ?? 'unknown',
    hasTokens: true,
    highestQoS: 2,
    hasTls: true,
    can: () => true,
    setup({ folder, port, tlsPort, cert, key }, { form }) {
      const plugins = join(folder, 'plugins');
      mkdirSync(plugins, { recursive: true });
      if (form === 'plugin') writeFileSync(join(plugins, 'echo.ts'), echoPlugin);
      return {
        command: [binary, 'serve'],
        env: {
          ...{ HOST: '127.0.0.1', MQTT_PORT: String(port), MQTTS_PORT: String(tlsPort) },
          ...{ HTTPS_PORT: '0', TLS_CERT: cert, TLS_KEY: key, JWT_SECRET: SECRET },
          ...{ DATA_DIR: join(folder, 'data'), PLUGINS_DIR: plugins, LOG_LEVEL: 'error' },
          ...{ MAXIMUM_CONNECTIONS_PER_ADDRESS: '1000000', MAXIMUM_SUBSCRIPTIONS: '1000000' },
          ...{ MAXIMUM_CONNECTIONS: '1000000', MAXIMUM_TOPIC_LEVELS: '128' },
          ...{ QUEUED_MESSAGES: '100000000', QUEUED_BYTES: String(2 ** 40) },
          ...(variable === undefined ? {} : { [name]: value }),
        },
      };
    },
  };
}

export function mosquitto(): Broker | undefined {
  const program = ['/usr/sbin/mosquitto', '/usr/local/sbin/mosquitto'].find(existsSync);
  if (program === undefined) return undefined;
  return {
    name: 'Mosquitto',
    version: firstLine([program, '-h'])?.replace(/^mosquitto version /, '') ?? 'unknown',
    hasTokens: false,
    highestQoS: 2,
    hasTls: true,
    can: ({ form }) => form !== 'plugin',
    setup({ folder, port, tlsPort, cert, key }, { form }) {
      const config = join(folder, 'mosquitto.conf');
      // At its defaults persistence saves the whole store each half hour, and syncs nothing.
      const persistence =
        form === 'durable'
          ? `persistence true\npersistence_location ${folder}/`
          : 'persistence false';
      writeFileSync(
        config,
        `user root
allow_anonymous true
log_type error
sys_interval 0
max_inflight_messages 0
max_inflight_bytes 0
max_queued_messages 0
max_queued_bytes 0
set_tcp_nodelay true
${persistence}
listener ${port} 127.0.0.1
max_connections -1
listener ${tlsPort} 127.0.0.1
max_connections -1
certfile ${cert}
keyfile ${key}
`,
      );
      return { command: [program, '-c', config], env: {} };
    },
  };
}

export function nats(): Broker | undefined {
  const program = [
    '/usr/sbin/nats-server',
    '/usr/bin/nats-server',
    '/usr/local/bin/nats-server',
  ].find(existsSync);
  if (program === undefined) return undefined;
  return {
    name: 'NATS',
    version: firstLine([program, '--version'])?.replace(/^nats-server: v?/, '') ?? 'unknown',
    hasTokens: false,
    highestQoS: 1,
    hasTls: true,
    can: ({ form }) => form !== 'plugin',
    setup({ folder, port, tlsPort, cert, key }, { tls }) {
      const config = join(folder, 'nats.conf');
      const listener = tls
        ? `port: ${tlsPort}\n  tls { cert_file: "${cert}", key_file: "${key}", timeout: 30 }`
        : `port: ${port}`;
      writeFileSync(
        config,
        `server_name: bench
listen: 127.0.0.1:-1
max_connections: 1000000
max_subscriptions: 0
jetstream { store_dir: "${folder}/js", max_memory_store: 4GB, max_file_store: 8GB }
mqtt {
  host: 127.0.0.1
  ${listener}
  max_ack_pending: 65535
}
max_pending: 512MB
`,
      );
      return { command: [program, '-c', config], env: {} };
    },
  };
}

/** No broker: what TLS handshakes cost without one. */
export function bareTls(): Broker {
  return {
    name: 'bare TLS',
    version: `Bun ${Bun.version}`,
    hasTokens: false,
    highestQoS: 0,
    hasTls: true,
    can: ({ kind, tls }) => kind === 'storm' && tls === true,
    setup: ({ tlsPort, cert, key }) => ({
      command: [process.execPath, join(import.meta.dir, 'bare-tls.ts'), String(tlsPort), cert, key],
      env: {},
    }),
  };
}

/** Aedes from an npm folder that has it. */
export function aedes(npmFolder: string | undefined): Broker | undefined {
  if (npmFolder === undefined) return undefined;
  const manifest = join(npmFolder, 'node_modules', 'aedes', 'package.json');
  const node = Bun.which('node');
  if (!existsSync(manifest) || node === null) return undefined;
  const { version } = require(manifest) as { version: string };
  return {
    name: 'Aedes',
    version: `${version} on Node ${firstLine([node, '--version'])}`,
    hasTokens: false,
    highestQoS: 2,
    hasTls: true,
    can: ({ form }) => form === undefined,
    setup({ folder, port, tlsPort, cert, key }) {
      const program = join(folder, 'aedes.mjs');
      writeFileSync(
        program,
        `import { readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { createServer as createTlsServer } from 'node:tls';
import { createRequire } from 'node:module';
const found = createRequire(${JSON.stringify(manifest)})('aedes');
const broker = found.Aedes.createBroker ? await found.Aedes.createBroker() : new found.Aedes();
createServer({ noDelay: true }, broker.handle).listen(${port}, '127.0.0.1', 65535);
const tls = { cert: readFileSync(${JSON.stringify(cert)}), key: readFileSync(${JSON.stringify(key)}) };
createTlsServer(tls, broker.handle).listen(${tlsPort}, '127.0.0.1', 65535);
`,
      );
      return { command: [node, '--max-old-space-size=8192', program], env: {} };
    },
  };
}

function firstLine(command: readonly string[]): string | undefined {
  const { stdout } = Bun.spawnSync([...command], { stderr: 'ignore' });
  return stdout.toString().split('\n')[0]?.trim();
}
