/**
 * Listeners for MQTT over TLS and for plaintext MQTT: they move bytes between sockets and the turn,
 * and know nothing of MQTT but its ALPN name.
 *
 * A client that offers no ALPN is served; one that offers only other protocols is refused in the
 * handshake (RFC 7301 section 3.2). A connection is told to the broker as soon as it is accepted, so
 * that its time to CONNECT and the connection caps cover the handshake too.
 */
import { canonicalAddress } from './address.ts';
import type { Certificate } from './certificate.ts';
import { type ClientData, clientHandlers } from './client-socket.ts';
import { ListenError } from './listen-error.ts';
import { type ProxiedData, type ProxyOptions, proxyHandlers } from './proxy-intake.ts';
import {
  createTlsContext,
  listenerTls,
  type TlsContext,
  type TlsOptions,
  useTlsContext,
} from './tls.ts';
import type { Turn } from './turn.ts';

export interface TcpOptions {
  readonly turn: Turn;
  readonly hostname: string;
  /** 0 takes any free one. */
  readonly port: number;
  /** The setting that names the port, for the error where it cannot be had. */
  readonly setting: string;
  /** Undefined for plaintext. */
  readonly tls: TlsOptions | undefined;
  /** Undefined where clients connect directly. */
  readonly proxy: ProxyOptions | undefined;
  /** Idle time before TCP keep-alive probes; 0 turns them off. */
  readonly tcpKeepAliveMs: number;
}

export interface TcpListener {
  readonly hostname: string;
  readonly port: number;
  /** For connections from now on; those that stand keep theirs. Throws where it cannot be used, and changes nothing then. */
  useCertificate(certificate: Certificate): void;
  /** Accepts no more; connections live on. */
  stop(): void;
}

/** Throws a `ListenError` where the port cannot be had. */
export function listenTcp(options: TcpOptions): TcpListener {
  const { turn, hostname, port, tls, proxy, tcpKeepAliveMs } = options;
  const transport = tls === undefined ? 'mqtt' : 'mqtts';
  /** What handshakes use in place of the listener's own certificate: it cannot be changed, nor used behind a header. */
  let context: TlsContext | undefined =
    tls !== undefined && proxy !== undefined ? createTlsContext(tls) : undefined;

  function listen() {
    if (proxy !== undefined)
      return Bun.listen<ProxiedData>({
        hostname,
        port,
        socket: proxyHandlers({ turn, proxy, tls, tcpKeepAliveMs, context: () => context }),
      });
    return Bun.listen<ClientData>({
      hostname,
      port,
      ...(tls === undefined ? {} : { tls: listenerTls(tls) }),
      socket: clientHandlers({
        turn,
        tls,
        tcpKeepAliveMs,
        prepare(socket) {
          if (context !== undefined) useTlsContext(socket, context);
        },
        originOf: (socket) => ({
          transport,
          address: canonicalAddress(socket.remoteAddress ?? '') ?? 'unknown',
        }),
      }),
    });
  }

  try {
    const listener = listen();
    return {
      hostname: listener.hostname,
      port: listener.port,
      useCertificate(certificate) {
        if (tls !== undefined) context = createTlsContext({ ...tls, certificate });
      },
      stop: () => listener.stop(false),
    };
  } catch (error) {
    throw ListenError.from(error, options.setting, hostname, port);
  }
}
