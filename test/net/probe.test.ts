/** TCP keep-alive on real sockets, as the kernel has it: beneath TLS it lies on a socket that Bun hides. */
import { afterEach, test } from 'bun:test';
import { readFileSync } from 'node:fs';
import { setImmediate } from 'node:timers/promises';
import { listenTcp, type TcpListener } from '../../core/net/tcp.ts';
import type { TlsOptions } from '../../core/net/tls.ts';
import { connectSecurely, connectTcp } from './client.ts';
import { stage } from './fake-broker.ts';
import { server } from './secure-echo.ts';
import { materialOf } from './test-certificates.ts';

const opened: { listener: TcpListener; stop: () => void }[] = [];
afterEach(() => {
  for (const { listener, stop } of opened.splice(0)) {
    listener.stop();
    stop();
  }
});

const KEEP_ALIVE_TIMER = '02';
const NO_TIMER = '00';

/** Resolves once the timer of the one connection accepted on `port` is `timer`; that of an answer under way ends by itself. */
async function untilTimer(port: number, timer: string): Promise<void> {
  const local = `:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  const established = '01';
  for (;;) {
    const rows = readFileSync('/proc/net/tcp', 'utf8').split('\n').map(columnsOf);
    const row = rows.find(([, from, , state]) => from?.endsWith(local) && state === established);
    if (row?.[5]?.startsWith(`${timer}:`)) return;
    await setImmediate();
  }
}

function columnsOf(line: string): string[] {
  return line.trim().split(/\s+/);
}

function listen(tls: TlsOptions | undefined) {
  const all = stage({ tcpKeepAliveMs: 60_000 });
  const { turn } = all;
  const tcp = { hostname: '127.0.0.1', port: 0, setting: 'MQTTS_PORT' };
  const listener = listenTcp({ turn, ...tcp, tls, proxy: undefined });
  opened.push({ listener, stop: () => turn.stop() });
  return { ...all, port: listener.port };
}

const secured: TlsOptions = { material: materialOf([server]), clientCertificates: 'off' };

test.if(process.platform === 'linux').each([
  ['a plaintext socket', undefined, connectTcp],
  ['the socket beneath TLS', secured, connectSecurely],
] as const)('%s is probed by TCP from when the broker asks for it', async (_, tls, connect) => {
  const { port, broker } = listen(tls);
  const client = connect(port);
  await client.send('x');
  await broker.until(() => broker.count('received') === 1);
  await untilTimer(port, NO_TIMER);
  broker.outbox.probe(broker.id());
  await untilTimer(port, KEEP_ALIVE_TIMER);
  client.stream.destroy();
});
