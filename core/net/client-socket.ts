/**
 * The socket of one MQTT client, TLS or plain: its events become events of the turn.
 */
import type { Socket, SocketHandler } from 'bun';
import type { Origin } from '../broker/outbox.ts';
import type { SocketRefusal } from './counters.ts';
import { Link } from './link.ts';
import type { TlsOptions } from './tls.ts';
import type { Turn } from './turn.ts';

/** What a client's socket carries: the link, once the turn knows the connection. */
export type ClientData = Link | Origin | undefined;

/**
 * `originOf` is asked once, as the socket opens; `tls` is undefined for plaintext.
 */
export function clientHandlers(
  turn: Turn,
  tls: TlsOptions | undefined,
  originOf: (socket: Socket<ClientData>) => Origin,
): SocketHandler<ClientData> {
  return {
    open(socket) {
      const origin = originOf(socket);
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
      if (socket.data instanceof Link) turn.lost(socket.data);
    },
    error(socket, error) {
      if (isTlsFailure(error)) return;
      if (socket.data instanceof Link) return turn.failed(socket.data, error);
      turn.failed(undefined, error);
      socket.terminate();
    },
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

/** A TLS stream that breaks off, which Bun ends by itself; any other error is one of ours, thrown in a handler. */
function isTlsFailure(error: Error & { readonly code?: unknown }): boolean {
  return typeof error.code === 'string';
}
