/** TLS listeners of tests: each over a broker that sends back what comes. */
import type { TcpListener } from '../../core/net/tcp.ts';
import type { TlsOptions } from '../../core/net/tls.ts';
import { stage } from './fake-broker.ts';
import { echo, type Listening, listenOver } from './listening.ts';
import { Authority, materialOf } from './test-certificates.ts';

export const authority = new Authority('servers');
export const server = authority.issue('server', ['DNS:localhost', 'IP:127.0.0.1']);
export const plainTls: TlsOptions = { material: materialOf([server]), clientCertificates: 'off' };

export function listen(options: Partial<TlsOptions> = {}): Listening<TcpListener> {
  const all = stage();
  echo(all.broker);
  return listenOver(all, { tls: { ...plainTls, ...options } });
}
