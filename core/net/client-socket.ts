/**
 * The socket of one MQTT client, TLS or plain: its events become events of the turn.
 */
import type { Socket, SocketHandler } from 'bun';
import type { Origin } from '../broker/outbox.ts';
import type { SocketRefusal } from './counters.ts';
import type { Link } from './link.ts';
import type { TlsOptions } from './tls.ts';
import type { Turn } from './turn.ts';

/** What a client's socket carries: the link, once the turn knows the connection. */
export type ClientData = Link | Origin | undefined;

export interface ClientOptions {
  readonly turn: Turn;
  /** Undefined for plaintext. */
  readonly tls: TlsOptions | undefined;
  /** Idle time before TCP keep-alive probes; 0 turns them off. */
  readonly tcpKeepAliveMs: number;
  /** Runs first of all, before the handshake. */
  readonly prepare?: (socket: Socket<ClientData>) => void;
  readonly originOf: (socket: Socket<ClientData>) => Origin;
}

export function clientHandlers(options: ClientOptions): SocketHandler<ClientData> {
  const { turn, tls } = options;
  return {
    open(socket) {
      options.prepare?.(socket);
      setTcpOptions(socket, options.tcpKeepAliveMs);
      const origin = options.originOf(socket);
      turn.counters.accepted[origin.transport]++;
      socket.data = turn.opened(socket, origin);
    },
    data(socket, bytes) {
      turn.received(socket.data as Link, bytes);
    },
    drain(socket) {
      turn.drained(socket.data as Link);
    },
    close(socket) {
      turn.lost(socket.data as Link);
    },
    // A TLS stream that breaks off; the end of the socket follows.
    error() {},
    ...(tls === undefined
      ? {}
      : {
          handshake(socket: Socket<ClientData>, success: boolean, error: Error | null) {
            const refusal = refusalOf(socket, success, error, tls);
            if (refusal === undefined) return;
            turn.counters.refused[refusal]++;
            socket.terminate();
          },
        }),
  };
}

/** Small writes leave at once, and a peer that vanished is noticed also where no Keep Alive is agreed. */
export function setTcpOptions(socket: Socket<unknown>, keepAliveMs: number): void {
  socket.setNoDelay(true);
  if (keepAliveMs > 0) socket.setKeepAlive(true, keepAliveMs);
}

function refusalOf(
  socket: Socket<ClientData>,
  success: boolean,
  error: Error | null,
  tls: TlsOptions,
): SocketRefusal | undefined {
  if (!success)
    return error?.message.includes('PEER_DID_NOT_RETURN_A_CERTIFICATE')
      ? 'client-certificate'
      : 'tls-handshake';
  if (tls.clientCertificates === 'off' || socket.authorized) return undefined;
  if (tls.clientCertificates === 'required') return 'client-certificate';
  const given = Object.keys(socket.getPeerCertificate() ?? {}).length > 0;
  return given ? 'client-certificate' : undefined;
}
