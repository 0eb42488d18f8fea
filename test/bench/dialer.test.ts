/** How a load test fails to connect, and what it takes for the cause. */
import { expect, test } from 'bun:test';
import { Client } from '../../core/bench/client.ts';
import { Dialer } from '../../core/bench/dialer.ts';

const owner = { ready() {}, message() {}, acknowledged() {} };
/** What a server for TLS answers to what is none: a fatal alert, handshake_failure. RFC 8446 section 6 */
const tlsAlert = Uint8Array.of(0x15, 0x03, 0x03, 0x00, 0x02, 0x02, 0x28);

/** A listener that does `act` to whoever sends something. */
function listener(act: (socket: Bun.Socket) => void): Bun.TCPSocketListener {
  return Bun.listen({
    ...{ hostname: '127.0.0.1', port: 0 },
    socket: { data: act },
  });
}

/** The message that connecting ends with. */
async function failure(port: number, version: 4 | 5, isSecure = false): Promise<string> {
  const tls = isSecure ? { rejectUnauthorized: false } : undefined;
  const dialer = new Dialer({
    targets: [{ hostname: '127.0.0.1', port, tls }],
    ...{ parallel: 1, perSecond: undefined, timeoutSeconds: 20 },
  });
  const client = new Client(
    {
      ...{ kind: 'publisher', index: 0, user: 'u', role: 'device' },
      ...{ filters: [], publishing: undefined },
    },
    {
      ...{ version, clientIdentifier: 'c', userName: undefined, password: undefined },
      ...{ keepAliveSeconds: 0, stored: false, qos: 0 },
    },
    owner,
  );
  try {
    await dialer.connect([client]);
    return 'connected';
  } catch (error) {
    return (error as Error).message;
  } finally {
    dialer.close();
  }
}

test('where nothing listens, it asks for a broker', async () => {
  const free = listener(() => {});
  const { port } = free;
  free.stop(true);
  expect(await failure(port, 5)).toMatch(
    new RegExp(`^127.0.0.1 port ${port}: .+; does a broker listen there\\?$`),
  );
});

test('what closes in answer to CONNECT may be for TLS, or have no MQTT 5', async () => {
  using closing = listener((socket) => socket.end());
  const closed = 'the broker closed the connection in answer to CONNECT; is its port one ';
  expect(await failure(closing.port, 4)).toBe(`${closed}for TLS (mqtts://)?`);
  expect(await failure(closing.port, 5)).toBe(
    `${closed}for TLS (mqtts://), or has it no MQTT 5 (--mqtt-version)?`,
  );
  expect(await failure(closing.port, 4, true)).toBe(`${closed}without TLS (mqtt://)?`);
});

test('an alert of TLS in answer to CONNECT is taken for what it may be', async () => {
  using alerting = listener((socket) => void socket.write(tlsAlert));
  expect(await failure(alerting.port, 4)).toMatch(
    /^what came is no MQTT \(.+\) in answer to CONNECT; is its port one for TLS \(mqtts:\/\/\)\?$/,
  );
});

test('who is ended while connecting does not wait for the rest', async () => {
  using silent = listener(() => {});
  const dialer = new Dialer({
    targets: [{ hostname: '127.0.0.1', port: silent.port, tls: undefined }],
    ...{ parallel: 1, perSecond: 1, timeoutSeconds: 3_600 },
  });
  const plan = {
    ...{ kind: 'publisher' as const, index: 0, user: 'u', role: 'device' as const },
    ...{ filters: [], publishing: undefined },
  };
  const identity = {
    ...{ version: 4 as const, clientIdentifier: 'c', userName: undefined, password: undefined },
    ...{ keepAliveSeconds: 0, stored: false, qos: 0 as const },
  };
  const connecting = dialer.connect([new Client(plan, identity, owner)]);
  dialer.close();
  expect(connecting).rejects.toThrow('ended while connecting');
  await connecting.catch(() => {});
});
