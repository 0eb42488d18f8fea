/**
 * Listeners for MQTT over TLS and for plaintext MQTT: they move bytes between sockets and the turn,
 * and know nothing of MQTT but its ALPN name.
 *
 * A client that offers no ALPN is served; one that offers only other protocols is refused in the
 * handshake (RFC 7301 section 3.2). A connection is told to the broker as soon as it is accepted, so
 * that its time to CONNECT and the connection caps cover the handshake too.
 */
import type { Socket, SocketHandler, TCPSocketListener } from 'bun';
import type { Origin } from '../broker/outbox.ts';
import { canonicalAddress } from './address.ts';
import type { TlsMaterial } from './certificate.ts';
import { type ClientData, clientHandlers } from './client-socket.ts';
import { ListenError } from './listen-error.ts';
import { type ProxiedData, type ProxyOptions, proxyHandlers } from './proxy-intake.ts';
import { createTlsContext, type TlsOptions, upgradeToTls } from './tls.ts';
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
}

export interface TcpListener {
  readonly hostname: string;
  readonly port: number;
  /** For connections from now on; those that stand keep theirs. Throws where it cannot be used, and changes nothing then. */
  useMaterial(material: TlsMaterial): void;
  /** Accepts no more; connections live on. */
  stop(): void;
}

const NOTHING = new Uint8Array(0);

/** Throws a `ListenError` where the port cannot be had, or TLS not be spoken as asked. */
export function listenTcp(options: TcpOptions): TcpListener {
  const { turn, tls, proxy } = options;
  let context = tls === undefined ? undefined : orListenError(options, () => createTlsContext(tls));
  const secured = clientHandlers(turn, tls, (socket) => socket.data as Origin);

  /** Begins TLS with a client; false where the listener is plaintext. */
  function secure(socket: Socket<unknown>, address: string, received: Uint8Array): boolean {
    if (context === undefined) return false;
    const origin: Origin = { transport: 'mqtts', address };
    upgradeToTls<ClientData>(socket, context, secured, origin, received);
    return true;
  }

  function open(): TCPSocketListener<unknown> {
    if (proxy !== undefined)
      return listen<ProxiedData>(
        options,
        proxyHandlers(turn, proxy, (socket, address, received) => {
          if (secure(socket, address, received)) return;
          turn.counters.accepted.mqtt++;
          const link = turn.opened(socket, { transport: 'mqtt', address });
          socket.data = link;
          if (received.length > 0) turn.received(link, received);
        }),
      );
    if (tls !== undefined)
      return listen<undefined>(options, {
        open(socket) {
          secure(socket, addressOf(socket), NOTHING);
        },
        drain() {}, // Bun wants one of two handlers, and `data` would be called with what is encrypted
        error(socket, error) {
          turn.failed(undefined, error);
          socket.terminate();
        },
      });
    const handlers = clientHandlers(turn, undefined, (socket) => ({
      transport: 'mqtt',
      address: addressOf(socket),
    }));
    return listen<ClientData>(options, handlers);
  }

  const listener = open();
  return {
    hostname: listener.hostname,
    port: listener.port,
    useMaterial(material) {
      if (tls !== undefined) context = createTlsContext({ ...tls, material });
    },
    stop: () => listener.stop(false),
  };
}

function listen<Data>(options: TcpOptions, socket: SocketHandler<Data>): TCPSocketListener<Data> {
  const { hostname, port } = options;
  return orListenError(options, () => Bun.listen<Data>({ hostname, port, socket }));
}

function orListenError<T>({ setting, hostname, port }: TcpOptions, open: () => T): T {
  try {
    return open();
  } catch (error) {
    throw ListenError.from(error, setting, hostname, port);
  }
}

function addressOf(socket: Socket<unknown>): string {
  return canonicalAddress(socket.remoteAddress ?? '') ?? 'unknown';
}
