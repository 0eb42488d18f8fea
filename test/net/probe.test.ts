/** TCP keep-alive on real sockets, as the kernel has it: beneath TLS it lies on a socket that Bun hides. */
import { afterEach, test } from 'bun:test';
import { readFileSync } from 'node:fs';
import { setImmediate } from 'node:timers/promises';
import { connectSecurely, connectTcp } from './client.ts';
import { stage } from './fake-broker.ts';
import { listenOver, stopAll } from './listening.ts';
import { plainTls } from './secure-echo.ts';

afterEach(stopAll);

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

test.if(process.platform === 'linux').each([
  ['a plaintext socket', undefined, connectTcp],
  ['the socket beneath TLS', plainTls, connectSecurely],
] as const)('%s is probed by TCP from when the broker asks for it', async (_, tls, connect) => {
  const { port, broker } = listenOver(stage({ tcpKeepAliveMs: 60_000 }), { tls });
  const client = connect(port);
  await client.send('x');
  await broker.until(() => broker.count('received') === 1);
  await untilTimer(port, NO_TIMER);
  broker.outbox.probe(broker.id());
  await untilTimer(port, KEEP_ALIVE_TIMER);
  client.stream.destroy();
});
