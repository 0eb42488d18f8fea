/** TLS listeners for tests: each over a broker that sends back what comes. */
import { listenTcp, type TcpListener } from '../../core/net/tcp.ts';
import type { TlsOptions } from '../../core/net/tls.ts';
import { stage } from './fake-broker.ts';
import { Authority, materialOf } from './test-certificates.ts';

export const authority = new Authority('servers');
export const server = authority.issue('server', ['DNS:localhost', 'IP:127.0.0.1']);

/** What `stopAll` stops. */
export const opened: { listener: TcpListener; stop: () => void }[] = [];

/** For `afterEach` of the file that listens. */
export function stopAll(): void {
  for (const { listener, stop } of opened.splice(0)) {
    listener.stop();
    stop();
  }
}

/** A TLS listener whose broker sends back what comes. */
export function listen(options: Partial<TlsOptions> = {}) {
  const all = stage();
  const { broker, turn } = all;
  broker.on = (call, bytes) => {
    if (call.call === 'received' && bytes !== undefined) broker.outbox.send(call.connection, bytes);
  };
  const listener = listenTcp({
    turn,
    hostname: '127.0.0.1',
    port: 0,
    setting: 'MQTTS_PORT',
    tls: { material: materialOf([server]), clientCertificates: 'off', ...options },
    proxy: undefined,
  });
  opened.push({ listener, stop: () => turn.stop() });
  return { ...all, listener, port: listener.port };
}
