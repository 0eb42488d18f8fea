/**
 * MQTT over WebSocket (5.0 section 6, 3.1.1 section 6): moves bytes between binary frames and the
 * turn. Packets may lie in frames as they please. [MQTT-6.0.0-1] [MQTT-6.0.0-2]
 *
 * A frame is delivered whole, so `maxPayloadLength` is what a client can make this process hold, and
 * it is one for all: the largest packet and a little. The core bounds what it does with it, before
 * CONNECT too.
 */
import type { Server, ServerWebSocket, WebSocketHandler } from 'bun';
import type { NetCounters, SocketRefusal } from './counters.ts';
import type { Link, Transport } from './link.ts';
import type { Turn } from './turn.ts';

export interface WebSocketOptions {
  readonly turn: Turn;
  /**
   * Origins (RFC 6454) of the web pages that may connect: `https://app.example.com`; `*` for any.
   * A page from this listener itself may always, and so may a client that is no browser and names
   * no origin. A token is wanted all the same: this keeps other people's pages from trying.
   */
  readonly allowedOrigins: readonly string[];
  readonly maximumPacketSize: number;
}

/** What goes with a WebSocket: where it came from, and its link once it is open. */
export interface WebSocketData {
  readonly address: string;
  transport: WebSocketTransport | undefined;
  link: Link | undefined;
}

/** Longest frame sent, in bytes: what is handed to Bun waits there, out of our bounds. */
const FRAME_BYTES = 65_536;
/** For what a client joins to its largest packet. */
const FRAME_ROOM_BYTES = 65_536;
/** The longest that Bun takes. Pings go out before, and only a peer that answers none is cut. */
const IDLE_SECONDS = 960;
/** RFC 6455 section 7.4.1. */
const CloseCode = { Normal: 1000, UnsupportedData: 1003 } as const;
/** The subprotocol, and what 3.1 clients called it. [MQTT-6.0.0-3] [MQTT-6.0.0-4] */
const SUBPROTOCOLS = ['mqtt', 'mqttv3.1'];

export function webSocketHandler({
  turn,
  maximumPacketSize,
}: WebSocketOptions): WebSocketHandler<WebSocketData> {
  return {
    maxPayloadLength: maximumPacketSize + FRAME_ROOM_BYTES,
    idleTimeout: IDLE_SECONDS,
    sendPings: true,
    perMessageDeflate: false,
    open(socket) {
      const { data } = socket;
      turn.counters.accepted.wss++;
      data.transport = new WebSocketTransport(socket);
      data.link = turn.opened(data.transport, { transport: 'wss', address: data.address });
    },
    message(socket, message) {
      if (typeof message !== 'string') return turn.received(socket.data.link as Link, message);
      // Anything but binary ends the connection. [MQTT-6.0.0-1]
      turn.counters.websocketText++;
      socket.close(CloseCode.UnsupportedData, 'MQTT wants binary frames');
    },
    drain(socket) {
      if (socket.data.transport?.drained()) turn.drained(socket.data.link as Link);
    },
    error(error, socket) {
      turn.failed(socket.data.link, error);
      if (socket.data.link === undefined) socket.terminate();
    },
    close(socket) {
      if (socket.data.link !== undefined) turn.lost(socket.data.link);
    },
  };
}

/** Makes a WebSocket of `request`, or answers why not. */
export function upgradeToWebSocket(
  request: Request,
  server: Server<WebSocketData>,
  address: string,
  { turn, allowedOrigins }: WebSocketOptions,
): Response | undefined {
  const { counters } = turn;
  if (request.headers.get('upgrade')?.toLowerCase() !== 'websocket') {
    const headers = { upgrade: 'websocket', connection: 'Upgrade' };
    return refuse(counters, 'websocket-request', 426, 'this is MQTT over WebSocket', headers);
  }
  if (!mayConnect(request, allowedOrigins))
    return refuse(counters, 'websocket-origin', 403, 'this origin is not allowed');
  const offered = (request.headers.get('sec-websocket-protocol') ?? '').split(/\s*,\s*/);
  const subprotocol = SUBPROTOCOLS.find((name) => offered.includes(name));
  if (subprotocol === undefined)
    return refuse(counters, 'websocket-protocol', 400, 'subprotocol mqtt is required');
  const upgraded = server.upgrade(request, {
    headers: { 'sec-websocket-protocol': subprotocol },
    data: { address, transport: undefined, link: undefined },
  });
  return upgraded
    ? undefined
    : refuse(counters, 'websocket-request', 400, 'not a WebSocket handshake');
}

function mayConnect(request: Request, allowed: readonly string[]): boolean {
  const origin = request.headers.get('origin');
  if (origin === null || allowed.includes('*') || allowed.includes(origin)) return true;
  return URL.parse(origin)?.host === request.headers.get('host');
}

function refuse(
  counters: NetCounters,
  reason: SocketRefusal,
  status: number,
  error: string,
  headers: Record<string, string> = {},
): Response {
  counters.refused[reason]++;
  return Response.json({ error }, { status, headers });
}

class WebSocketTransport implements Transport {
  readonly #socket: ServerWebSocket<WebSocketData>;
  /** The last frame is kept by Bun until the socket takes it, and no other is added to it. */
  #congested = false;

  constructor(socket: ServerWebSocket<WebSocketData>) {
    this.#socket = socket;
  }

  write(bytes: Uint8Array, offset: number, length: number): number {
    let taken = 0;
    while (taken < length && !this.#congested) {
      const from = offset + taken;
      const to = offset + Math.min(length, taken + FRAME_BYTES);
      const status = this.#socket.sendBinary(bytes.subarray(from, to));
      if (status === 0) return -1;
      this.#congested = status === -1;
      taken = to - offset;
    }
    return taken;
  }

  /** Whether frames can be sent again. */
  drained(): boolean {
    this.#congested = this.#socket.getBufferedAmount() > 0;
    return !this.#congested;
  }

  shutdown(): void {
    this.#socket.close(CloseCode.Normal);
  }

  terminate(): void {
    this.#socket.terminate();
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  /** Bun's pings tell when a peer is gone. */
  setKeepAlive(): void {}
}
