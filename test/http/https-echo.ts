/** HTTPS listeners of tests: MQTT over WebSocket is over a broker that sends back what comes. */
import { createApp } from '../../core/http/app.ts';
import { type HttpsListener, type HttpsOptions, listenHttps } from '../../core/http/server.ts';
import type { WebSocketOptions } from '../../core/net/websocket.ts';
import { stage } from '../net/fake-broker.ts';
import { echo, type Listening, untilStopped } from '../net/listening.ts';
import { Authority, materialOf } from '../net/test-certificates.ts';

export const authority = new Authority('servers');
export const server = authority.issue('server');

const app = createApp({
  notReady: () => [],
  metrics: () => Promise.resolve(''),
  metricsAccess: 'off',
  isAdmin: () => Promise.resolve(undefined),
  report: () => {},
});

/** On a free port; `webSocket` says what is not usual about MQTT over WebSocket, or that it is off. */
export function listen(
  options: Partial<HttpsOptions> = {},
  webSocket: Partial<WebSocketOptions> | 'off' = {},
): Listening<HttpsListener> {
  const all = stage();
  echo(all.broker);
  const usual = { turn: all.turn, allowedOrigins: [], maximumPacketSize: 4_000_000 };
  const listener = listenHttps({
    hostname: '127.0.0.1',
    port: 0,
    setting: 'HTTPS_PORT',
    material: materialOf([server]),
    app,
    webSocket: webSocket === 'off' ? undefined : { ...usual, ...webSocket },
    trustedProxies: undefined,
    ...options,
  });
  return untilStopped(all, listener);
}
