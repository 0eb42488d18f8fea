/**
 * The HTTPS listener: MQTT over WebSocket at `/mqtt`, and the app for everything else.
 *
 * `Bun.serve` 1.4.5 ignores `reload({ tls })`, so new certificates come with a second server on the
 * same port (SO_REUSEPORT), and the first stops accepting: its connections, WebSockets among them,
 * live on. A port that is shared so can be had by a second process of the same user unnoticed;
 * therefore it is first tried without sharing.
 */
import type { Server, TLSOptions } from 'bun';
import { type AddressList, canonicalAddress } from '../net/address.ts';
import type { TlsMaterial } from '../net/certificate.ts';
import { ListenError } from '../net/listen-error.ts';
import {
  upgradeToWebSocket,
  type WebSocketData,
  type WebSocketOptions,
  webSocketHandler,
} from '../net/websocket.ts';
import type { App } from './app.ts';

export interface HttpsOptions {
  readonly hostname: string;
  /** 0 takes any free one. */
  readonly port: number;
  /** The setting that names the port, for the error where it cannot be had. */
  readonly setting: string;
  readonly material: TlsMaterial;
  /** OpenSSL cipher list for TLS 1.2; Bun's own choice where absent. */
  readonly ciphers?: string | undefined;
  readonly app: App;
  /** Undefined where MQTT over WebSocket is off. */
  readonly webSocket: WebSocketOptions | undefined;
  /** Whose `X-Forwarded-For` is believed. */
  readonly trustedProxies: AddressList | undefined;
}

export interface HttpsListener {
  readonly hostname: string;
  readonly port: number;
  /** For connections from now on; those that stand keep theirs. Throws where it cannot be used, and changes nothing then. */
  useMaterial(material: TlsMaterial): void;
  /** Accepts no more; WebSockets live on. */
  stop(): void;
}

export const WEBSOCKET_PATH = '/mqtt';
const LONGEST_BODY_BYTES = 1_048_576;
const TLS_1_2 = 0x0303;

/** Throws a `ListenError` where the port cannot be had, or TLS not be spoken as asked. */
export function listenHttps(options: HttpsOptions): HttpsListener {
  const { hostname, setting } = options;
  let server: Server<WebSocketData>;
  try {
    if (options.port !== 0) tryPort(hostname, options.port);
    server = serve(options, options.port, options.material);
  } catch (error) {
    throw ListenError.from(error, setting, hostname, options.port);
  }
  const port = server.port ?? options.port;
  return {
    hostname,
    port,
    useMaterial(material) {
      const former = server;
      server = serve(options, port, material);
      void former.stop(false);
    },
    stop() {
      void server.stop(false);
    },
  };
}

function serve(options: HttpsOptions, port: number, material: TlsMaterial): Server<WebSocketData> {
  const { app, hostname, webSocket, trustedProxies } = options;
  return Bun.serve<WebSocketData>({
    hostname,
    port,
    reusePort: true,
    tls: tlsOf(material, options.ciphers),
    development: false,
    maxRequestBodySize: LONGEST_BODY_BYTES,
    fetch(request, server) {
      const peer = canonicalAddress(server.requestIP(request)?.address ?? '') ?? 'unknown';
      if (webSocket !== undefined && new URL(request.url).pathname === WEBSOCKET_PATH) {
        const address = clientAddress(peer, request.headers.get('x-forwarded-for'), trustedProxies);
        return upgradeToWebSocket(request, server, address, webSocket);
      }
      return app.fetch(request, { address: peer });
    },
    error(error) {
      webSocket?.turn.failed(undefined, error);
      return Response.json({ error: 'internal error' }, { status: 500 });
    },
    websocket: webSocket === undefined ? { message() {} } : webSocketHandler(webSocket),
  });
}

/** Fails where anybody listens on the port, also one that shares it. */
function tryPort(hostname: string, port: number): void {
  Bun.listen({ hostname, port, socket: { data() {} } }).stop(true);
}

/** The first certificate without a name, so that it answers to all that no other has; then each under its names. */
function tlsOf({ certificates }: TlsMaterial, ciphers: string | undefined): TLSOptions[] {
  const rules = { minVersion: TLS_1_2, ...(ciphers === undefined ? {} : { ciphers }) };
  const [{ cert, key }] = certificates;
  const entries: TLSOptions[] = [{ cert, key, ...rules }];
  const taken = new Set<string>();
  for (const { cert, key, names } of certificates) {
    for (const serverName of names) {
      if (taken.has(serverName)) continue;
      taken.add(serverName);
      entries.push({ cert, key, serverName, ...rules });
    }
  }
  return entries;
}

/**
 * Who a request comes from: the peer, unless it is a trusted proxy; then the last in
 * `X-Forwarded-For` that is none. What stands before that, anybody can have written.
 */
export function clientAddress(
  peer: string,
  forwardedFor: string | null,
  trusted: AddressList | undefined,
): string {
  if (trusted === undefined || forwardedFor === null) return peer;
  let client = peer;
  const hops = forwardedFor.split(',').reverse();
  for (const hop of hops) {
    if (!trusted.has(client)) break;
    const address = canonicalAddress(hop.trim());
    if (address === undefined) break;
    client = address;
  }
  return client;
}
