/**
 * What the shell counts beside the core's counters, for `/metrics`: what happens to sockets before
 * and after they are connections, and how busy the loop is.
 */

import { Histogram } from '../broker/histogram.ts';

/** Why a socket never became a connection. */
export const socketRefusals = [
  'tls-handshake', // failed, or broken off
  'client-certificate', // given, and not one that we trust
  'proxy-peer', // not on the list of trusted proxies
  'proxy-header', // malformed
  'proxy-timeout', // not sent in time
  'websocket-protocol', // without subprotocol mqtt
  'websocket-origin',
  'websocket-request', // no upgrade at all
] as const;
export type SocketRefusal = (typeof socketRefusals)[number];

export interface NetCounters {
  /** Sockets accepted, by listener. */
  readonly accepted: Record<'mqtts' | 'mqtt' | 'wss', number>;
  readonly refused: Record<SocketRefusal, number>;
  /** WebSocket connections closed because they sent text. */
  websocketText: number;
  /** Closed connections whose socket was cut because the peer did not end its side in time. */
  cut: number;
  /** Exceptions out of the broker: bugs. */
  faults: number;
  certificateReloads: number;
  certificateReloadFailures: number;
  /** From the first thing that a turn of the loop brought until it had settled. */
  readonly turnSeconds: Histogram;
}

export function newNetCounters(): NetCounters {
  return {
    accepted: { mqtts: 0, mqtt: 0, wss: 0 },
    refused: Object.fromEntries(socketRefusals.map((reason) => [reason, 0])) as Record<
      SocketRefusal,
      number
    >,
    websocketText: 0,
    cut: 0,
    faults: 0,
    certificateReloads: 0,
    certificateReloadFailures: 0,
    turnSeconds: new Histogram([0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1]),
  };
}
