/** TLS listeners: handshakes, bytes both ways, and how connections end. */
import { afterEach, describe, expect, test } from 'bun:test';
import { connect as connectRaw } from 'node:net';
import { connectSecurely, connectTcp } from './client.ts';
import { stage } from './fake-broker.ts';
import { listenOver, stopAll } from './listening.ts';
import { authority, listen, plainTls } from './secure-echo.ts';

/** Bytes that Bun hands over at a time, at most. */
const ONE_READ = 524_288;

afterEach(stopAll);

describe('a TLS listener', () => {
  test.each(['TLSv1.2', 'TLSv1.3'] as const)('speaks %s', async (version) => {
    const { port, broker, turn } = listen();
    const client = connectSecurely(port, {
      minVersion: version,
      maxVersion: version,
      rejectUnauthorized: true,
      ca: authority.pem,
      servername: 'localhost',
    });
    expect(await client.secured).toBe(version);
    await client.send('hello');
    expect(await client.receive(5)).toBe('hello');
    expect(broker.calls[0]).toMatchObject({
      origin: { transport: 'mqtts', address: '127.0.0.1' },
    });
    expect(turn.counters.accepted.mqtts).toBe(1);
    client.stream.end();
    await broker.until(() => broker.count('lost') === 1);
  });

  test.each(['-tls1', '-tls1_1'])('refuses %s', async (version) => {
    const { port, turn } = listen();
    const client = Bun.spawn(
      [
        'openssl',
        's_client',
        '-connect',
        `127.0.0.1:${port}`,
        version,
        '-cipher',
        'ALL:@SECLEVEL=0',
      ],
      { stdin: 'ignore', stdout: 'ignore', stderr: 'pipe' },
    );
    expect(await new Response(client.stderr).text()).toContain('alert protocol version');
    await turn.empty();
    expect(turn.counters.refused['tls-handshake']).toBe(1);
  });

  test('speaks ALPN mqtt where a client offers it, and serves one that offers nothing', async () => {
    const { port } = listen();
    const negotiated = async (protocols: string[] | undefined) => {
      const client = connectSecurely(
        port,
        protocols === undefined ? {} : { ALPNProtocols: protocols },
      );
      await client.secured;
      await client.send('x');
      await client.receive(1);
      client.stream.destroy();
      return client.stream.alpnProtocol;
    };
    expect(await negotiated(['mqtt'])).toBe('mqtt');
    expect(await negotiated(['h2', 'mqtt'])).toBe('mqtt');
    expect(await negotiated(undefined)).toBe(false);
  });

  test('refuses a client that offers only other protocols', async () => {
    const { port, turn } = listen();
    const client = connectSecurely(port, { ALPNProtocols: ['h2', 'http/1.1'] });
    expect(await client.secured).toContain('NO_APPLICATION_PROTOCOL');
    await turn.empty();
    expect(turn.counters.refused['tls-handshake']).toBe(1);
  });

  test('counts what is no handshake, and one that is broken off', async () => {
    const { port, turn, broker } = listen();
    const plain = connectTcp(port);
    await plain.send('\x10\x0c\0\x04MQTT\x04\x02\0\x3c\0\0');
    await plain.ended;
    const hangsUp = connectTcp(port);
    await broker.until(() => broker.count('opened') === 2);
    hangsUp.stream.end();
    await turn.empty();
    expect(turn.counters.refused['tls-handshake']).toBe(2);
    expect(broker.count('received')).toBe(0);
    expect(broker.count('lost')).toBe(2);
  });

  test('a connection counts from the first byte of its handshake, and can be turned away in it', async () => {
    const { port, broker, turn } = listen();
    const silent = connectTcp(port);
    await broker.until(() => broker.count('opened') === 1);
    broker.outbox.close(broker.id());
    await silent.ended;
    await turn.empty();
    expect(broker.count('lost')).toBe(0);
  });

  test('takes a handshake one byte at a time', async () => {
    const { port } = listen();
    const relay = await slowRelay(port);
    const client = connectSecurely(relay.port);
    expect(await client.secured).toBe('TLSv1.3');
    await client.send('hello');
    expect(await client.receive(5)).toBe('hello');
    client.stream.destroy();
    relay.stop(true);
  });

  test('writes 24 MB to a client that takes its time, whole and in order', async () => {
    const { port, broker } = listen();
    const block = new Uint8Array(64_000);
    broker.on = (call) => {
      if (call.call !== 'received') return;
      for (let index = 0; index < 375; index++) {
        block.fill(index);
        if (index % 10 === 0) broker.outbox.share(call.connection, block.slice());
        else broker.outbox.send(call.connection, block);
      }
    };
    const client = connectSecurely(port);
    await client.secured;
    client.stream.pause();
    await client.send('go');
    await broker.until(() => broker.count('flushed') > 0);
    client.stream.resume();
    await client.receive(24_000_000);
    const { received } = client;
    expect(received.length).toBe(24_000_000);
    for (let index = 0; index < 375; index++)
      expect(received[index * 64_000 + 31_999]).toBe(index & 255);
    await broker.until(() => {
      const last = broker.calls.at(-1);
      return last?.call === 'flushed' && last.waitingBytes === 0;
    });
    client.stream.destroy();
  });

  test('stops reading from a connection that is paused, with one read on its way at most', async () => {
    const { port, broker } = listen();
    broker.on = (call) => {
      if (call.call === 'received' && broker.bytesReceived <= 5) {
        broker.outbox.pause(call.connection);
        broker.outbox.send(call.connection, new Uint8Array(1));
      }
    };
    const client = connectSecurely(port);
    await client.send('first');
    await client.receive(1);
    const all = client.send(new Uint8Array(8_000_000));
    const other = connectSecurely(port);
    await other.secured;
    other.stream.end();
    await broker.until(() => broker.count('lost') === 1);
    expect(broker.bytesReceived).toBeLessThanOrEqual(5 + ONE_READ);
    broker.outbox.resume(broker.id());
    await all;
    await broker.until(() => broker.bytesReceived === 8_000_005);
    client.stream.destroy();
  });

  test('sends what was to be sent, and close_notify, before it ends the connection', async () => {
    const { port, broker, turn } = listen();
    broker.on = (call) => {
      if (call.call !== 'received') return;
      broker.outbox.send(call.connection, new Uint8Array(500_000));
      broker.outbox.close(call.connection);
    };
    const client = connectSecurely(port);
    await client.send(new Uint8Array(300_000));
    expect(await client.ended).toBe('end');
    expect(client.received.length).toBe(500_000);
    await turn.empty();
  });

  test('closed connections are cut where the client goes on', async () => {
    const { broker, port, turn } = listenOver(stage({ closeTimeoutMs: 20 }), { tls: plainTls });
    broker.on = (call) => {
      if (call.call === 'received') broker.outbox.close(call.connection);
    };
    const client = connectSecurely(port, { allowHalfOpen: true } as object);
    await client.send('x');
    await client.ended;
    await turn.empty();
  });
});

test('a cipher list that fits nothing is refused in one line that names the setting', async () => {
  expect(() => listen({ ciphers: 'nonsense' })).toThrow(
    'TLS_CIPHERS: it names no cipher of TLS 1.2',
  );
  const { port } = listen({ ciphers: 'ECDHE-ECDSA-AES256-GCM-SHA384' });
  const client = connectSecurely(port, { maxVersion: 'TLSv1.2' });
  await client.secured;
  expect(client.stream.getCipher().name).toBe('ECDHE-ECDSA-AES256-GCM-SHA384');
  client.stream.destroy();
});

/** Passes what a client sends on to `port` byte by byte, and the answers as they come. */
async function slowRelay(port: number) {
  return Bun.listen<{ upstream: ReturnType<typeof connectRaw> }>({
    hostname: '127.0.0.1',
    port: 0,
    socket: {
      open(socket) {
        const upstream = connectRaw({ port, host: '127.0.0.1', noDelay: true });
        upstream.on('data', (bytes) => socket.write(bytes));
        upstream.on('error', () => socket.end());
        socket.data = { upstream };
      },
      data(socket, bytes) {
        for (const byte of bytes) socket.data.upstream.write(Uint8Array.of(byte));
      },
      close(socket) {
        socket.data.upstream.destroy();
      },
    },
  });
}
