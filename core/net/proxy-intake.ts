/**
 * Sockets from a proxy, until their PROXY protocol header is read: then they are a client's like any
 * other, with the address that the header names, and TLS begins where it ends.
 *
 * A socket from anybody but a trusted proxy is closed before a byte of it is read.
 */
import type { Socket, SocketHandler } from 'bun';
import { type AddressList, canonicalAddress } from './address.ts';
import type { SocketRefusal } from './counters.ts';
import { Link } from './link.ts';
import { parseProxyHeader } from './proxy-protocol.ts';
import type { Turn } from './turn.ts';

export interface ProxyOptions {
  /** Who may speak for others; everybody else is refused. */
  readonly trusted: AddressList;
  /** How long a proxy has to send its header. */
  readonly timeoutMs: number;
}

/** A socket whose header is not complete. */
class Intake {
  readonly address: string;
  received: Uint8Array = new Uint8Array(0);
  readonly timer: ReturnType<typeof setTimeout>;

  constructor(address: string, timer: ReturnType<typeof setTimeout>) {
    this.address = address;
    this.timer = timer;
  }

  /** All that has come so far; a header is short enough to join it each time. */
  add(bytes: Uint8Array): Uint8Array {
    const joined = new Uint8Array(this.received.length + bytes.length);
    joined.set(this.received);
    joined.set(bytes, this.received.length);
    this.received = joined;
    return joined;
  }
}

/** Undefined once the socket is refused, or carries TLS that a second socket decrypts. */
export type ProxiedData = Intake | Link | undefined;

/**
 * `accept` is given the client's address and what came behind the header; the link that it returns,
 * if any, is that of this socket.
 */
export function proxyHandlers(
  turn: Turn,
  proxy: ProxyOptions,
  accept: (socket: Socket<ProxiedData>, address: string, received: Uint8Array) => void,
): SocketHandler<ProxiedData> {
  function refuse(socket: Socket<ProxiedData>, reason: SocketRefusal): void {
    turn.counters.refused[reason]++;
    socket.data = undefined;
    socket.terminate();
  }

  return {
    open(socket) {
      const address = canonicalAddress(socket.remoteAddress ?? '') ?? 'unknown';
      if (!proxy.trusted.has(address)) return refuse(socket, 'proxy-peer');
      const timer = setTimeout(refuse, proxy.timeoutMs, socket, 'proxy-timeout');
      socket.data = new Intake(address, timer);
    },
    data(socket, bytes) {
      const { data } = socket;
      if (data instanceof Link) return turn.received(data, bytes);
      if (data === undefined) return;
      const received = data.add(bytes);
      const header = parseProxyHeader(received);
      if (header.kind === 'incomplete') return;
      clearTimeout(data.timer);
      if (header.kind === 'malformed') return refuse(socket, 'proxy-header');
      socket.data = undefined;
      accept(socket, header.source ?? data.address, received.subarray(header.length));
    },
    drain(socket) {
      if (socket.data instanceof Link) turn.drained(socket.data);
    },
    close(socket) {
      if (socket.data instanceof Link) turn.lost(socket.data);
      else if (socket.data !== undefined) clearTimeout(socket.data.timer);
    },
    error(socket, error) {
      turn.failed(socket.data instanceof Link ? socket.data : undefined, error);
      socket.terminate();
    },
  };
}
