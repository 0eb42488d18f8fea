/**
 * The listeners that the settings ask for, and the certificates that they show: read at start, and
 * again when their files change or SIGHUP asks.
 */
import type { App } from '../http/app.ts';
import { listenHttps } from '../http/server.ts';
import { AddressList } from '../net/address.ts';
import type { TlsMaterial } from '../net/certificate.ts';
import { type CertificateEvent, CertificateKeeper } from '../net/certificate-keeper.ts';
import { ListenError } from '../net/listen-error.ts';
import { listenTcp, type TcpOptions } from '../net/tcp.ts';
import type { Turn } from '../net/turn.ts';
import { type Lifecycle, StartError } from './lifecycle.ts';
import type { Log } from './log.ts';
import { fieldsOfError } from './observe.ts';
import type { Config } from './settings.ts';
import type { OpenedTls } from './tls-files.ts';

/** How long a proxy has to send its header. */
const PROXY_HEADER_MS = 5_000;

export interface Listeners {
  /** Reads certificates anew. Never rejects: where that fails, those in use stay. */
  reload(): Promise<void>;
  /** Accepts no more; connections live on. */
  stop(): void;
}

interface Listener {
  useMaterial(material: TlsMaterial): void;
  stop(): void;
}

export interface ListenersOptions {
  readonly config: Config;
  readonly turn: Turn;
  /** Undefined where no listener needs it. */
  readonly tls: OpenedTls | undefined;
  /** Undefined where HTTPS is off. */
  readonly app: App | undefined;
  readonly log: Log;
}

/** Throws `StartError`. */
export async function openListeners(
  { config, turn, tls, app, log }: ListenersOptions,
  lifecycle: Lifecycle,
): Promise<Listeners> {
  const listeners: Listener[] = [];
  const add = async (name: string, port: number, open: () => Listener): Promise<void> => {
    const listener = await lifecycle.open(
      name,
      () => orStartError(open),
      (part) => part.stop(),
    );
    log.info('listening', { reason: name, host: config.host, port });
    listeners.push(listener);
  };
  const trustedProxies =
    config.proxyTrusted.length > 0 ? new AddressList(config.proxyTrusted) : undefined;
  if (config.proxyProtocol && trustedProxies === undefined) {
    throw new StartError(
      'PROXY_TRUSTED is missing: PROXY_PROTOCOL needs to know whose headers to believe',
    );
  }
  const tcp: Omit<TcpOptions, 'port' | 'setting' | 'tls'> = {
    turn,
    hostname: config.host,
    proxy:
      config.proxyProtocol && trustedProxies !== undefined
        ? { trusted: trustedProxies, timeoutMs: PROXY_HEADER_MS }
        : undefined,
  };
  const { host, mqttsPort, mqttPort, httpsPort } = config;

  if (mqttsPort > 0 && tls !== undefined) {
    const options = {
      material: tls.material,
      clientCertificates: config.tlsClientCert,
      ciphers: config.tlsCiphers,
    };
    await add('MQTT over TLS', mqttsPort, () =>
      listenTcp({ ...tcp, port: mqttsPort, setting: 'MQTTS_PORT', tls: options }),
    );
  }
  if (mqttPort > 0) {
    log.warn('MQTT without TLS: tokens and messages can be read on the way', {
      host,
      port: mqttPort,
    });
    await add('MQTT without TLS', mqttPort, () =>
      listenTcp({ ...tcp, port: mqttPort, setting: 'MQTT_PORT', tls: undefined }),
    );
  }
  if (httpsPort > 0 && tls !== undefined && app !== undefined) {
    await add('HTTPS', httpsPort, () =>
      listenHttps({
        hostname: host,
        port: httpsPort,
        setting: 'HTTPS_PORT',
        material: tls.material,
        ciphers: config.tlsCiphers,
        app,
        webSocket: {
          turn,
          allowedOrigins: config.allowedOrigins,
          maximumPacketSize: config.maximumPacketSize,
        },
        trustedProxies,
      }),
    );
  }

  const keeper = tls && (await openKeeper(tls, listeners, turn, log, lifecycle));
  return {
    reload: async () => void (await keeper?.reload()),
    stop: () => {
      for (const listener of listeners) listener.stop();
    },
  };
}

function openKeeper(
  tls: OpenedTls,
  listeners: readonly Listener[],
  turn: Turn,
  log: Log,
  lifecycle: Lifecycle,
): Promise<CertificateKeeper> {
  const tell = (material: TlsMaterial): void => {
    for (const { warnings } of material.certificates) for (const one of warnings) log.warn(one);
  };
  tell(tls.material);
  const report = (event: CertificateEvent): void => {
    if (event.kind === 'certificate-refused') {
      log.error(
        'certificates could not be read anew; those in use stay',
        fieldsOfError(event.error),
      );
      return;
    }
    log.info('certificates read anew');
    tell(event.material);
  };
  const open = async (): Promise<CertificateKeeper> => {
    const keeper = new CertificateKeeper({
      files: tls.files,
      material: tls.material,
      use: (material) => {
        for (const listener of listeners) listener.useMaterial(material);
        tls.material = material;
      },
      report,
      counters: turn.counters,
    });
    await keeper.start();
    return keeper;
  };
  return lifecycle.open('certificates', open, (keeper) => keeper.stop());
}

function orStartError<T>(open: () => T): T {
  try {
    return open();
  } catch (error) {
    if (error instanceof ListenError) throw new StartError(error.message);
    throw new StartError(`TLS_CERT: ${(error as Error).message}`);
  }
}
