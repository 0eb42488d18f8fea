import { afterEach, describe, expect, test } from 'bun:test';
import { readFileSync } from 'node:fs';
import { AddressList } from '../../core/net/address.ts';
import type { TlsOptions } from '../../core/net/tls.ts';
import { connectSecurely, connectTcp } from './client.ts';
import { stage } from './fake-broker.ts';
import { echo, listenOver, stopAll } from './listening.ts';
import { authority, plainTls, server } from './secure-echo.ts';
import { Authority, materialOf } from './test-certificates.ts';

const renewed = authority.issue('renewed');
const clients = new Authority('clients');
const phone = clients.issue('phone');

const HEADER = 'PROXY TCP4 192.0.2.1 198.51.100.1 56324 8883\r\n';
const V2_HEADER = Uint8Array.fromHex(
  [
    '0d0a0d0a000d0a515549540a', // signature
    '21210024', // PROXY, TCP over IPv6, 36 bytes
    '20010db8000000000000000000000001',
    '20010db8000000000000000000000002',
    'dc0422b3',
  ].join(''),
);

afterEach(stopAll);

/** A listener behind proxies, whose broker sends back what comes. */
function listen(
  tls: TlsOptions | undefined,
  { trusted = ['127.0.0.0/8'], timeoutMs = 60_000 } = {},
) {
  const all = stage();
  echo(all.broker);
  return listenOver(all, { tls, proxy: { trusted: new AddressList(trusted), timeoutMs } });
}

type Pace = 'together' | 'apart' | 'byte by byte';

/** A proxy in front of `port`: says `header` before what its client says. */
function proxy(port: number, header: Uint8Array, pace: Pace) {
  return Bun.listen<{ upstream: ReturnType<typeof connectTcp>['stream']; first: boolean }>({
    hostname: '127.0.0.1',
    port: 0,
    socket: {
      open(socket) {
        const { stream: upstream } = connectTcp(port);
        upstream.on('data', (bytes) => socket.write(bytes));
        upstream.on('close', () => socket.end());
        socket.data = { upstream, first: true };
        if (pace === 'apart') upstream.write(header);
      },
      data(socket, bytes) {
        const { upstream, first } = socket.data;
        socket.data.first = false;
        const all = first && pace !== 'apart' ? Buffer.concat([header, bytes]) : bytes;
        if (pace !== 'byte by byte') upstream.write(all);
        else for (const byte of all) upstream.write(Uint8Array.of(byte));
      },
      close(socket) {
        socket.data.upstream.destroy();
      },
    },
  });
}

const paces: Pace[] = ['together', 'apart', 'byte by byte'];

describe('behind a proxy, in plaintext', () => {
  test.each(paces)('header and bytes that come %s are told apart', async (pace) => {
    const { port, broker, turn } = listen(undefined);
    const front = proxy(port, Buffer.from(HEADER), pace);
    const client = connectTcp(front.port);
    await client.send('hello');
    expect(await client.receive(5)).toBe('hello');
    expect(broker.calls[0]).toMatchObject({
      origin: { transport: 'mqtt', address: '192.0.2.1' },
    });
    expect(broker.textFrom(broker.id())).toBe('hello');
    expect(turn.counters.accepted.mqtt).toBe(1);
    client.stream.end();
    await broker.until(() => broker.count('lost') === 1);
    front.stop(true);
  });

  test('a proxy that speaks for itself has its own address', async () => {
    const { port, broker } = listen(undefined);
    const client = connectTcp(port);
    await client.send('PROXY UNKNOWN\r\n');
    await broker.until(() => broker.count('opened') === 1);
    expect(broker.calls[0]).toMatchObject({ origin: { address: '127.0.0.1' } });
    client.stream.destroy();
  });
});

describe('behind a proxy, with TLS', () => {
  const headers = [
    { version: 1, header: Buffer.from(HEADER), address: '192.0.2.1' },
    { version: 2, header: Buffer.from(V2_HEADER), address: '2001:db8::1' },
  ];
  const cases = headers.flatMap((header) => paces.map((pace) => ({ ...header, pace })));

  const title = 'a header of version $version that comes with TLS $pace is read in front of it';
  test.each(cases)(title, async ({ header, address, pace }) => {
    const { port, broker, turn } = listen(plainTls);
    const front = proxy(port, header, pace);
    for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
      const client = connectSecurely(front.port, {
        maxVersion: version,
        ALPNProtocols: ['mqtt'],
      });
      expect(await client.secured).toBe(version);
      expect(client.stream.alpnProtocol).toBe('mqtt');
      await client.send('hello');
      expect(await client.receive(5)).toBe('hello');
      client.stream.end();
      await client.ended;
    }
    expect(broker.calls[0]).toMatchObject({ origin: { transport: 'mqtts', address } });
    expect(turn.counters.accepted.mqtts).toBe(2);
    await turn.empty();
    expect(broker.count('lost')).toBe(2);
    front.stop(true);
  });

  test('client certificates are asked for as they are without a proxy', async () => {
    const material = materialOf([server], clients.pem);
    const { port, turn } = listen({ material, clientCertificates: 'required' });
    const front = proxy(port, Buffer.from(HEADER), 'together');
    const known = connectSecurely(front.port, {
      cert: readFileSync(phone.cert),
      key: readFileSync(phone.key),
    });
    await known.send('hello');
    expect(await known.receive(5)).toBe('hello');
    known.stream.destroy();
    const unknown = connectSecurely(front.port);
    await unknown.ended;
    await turn.empty();
    expect(turn.counters.refused['client-certificate']).toBe(1);
    front.stop(true);
  });

  test('a renewed certificate is shown to new connections', async () => {
    const { port, listener } = listen(plainTls);
    const front = proxy(port, Buffer.from(HEADER), 'together');
    listener.useMaterial(materialOf([renewed]));
    const client = connectSecurely(front.port);
    await client.secured;
    expect(client.stream.getPeerCertificate().subject.CN).toBe('renewed');
    client.stream.destroy();
    front.stop(true);
  });

  test('a failed handshake is counted', async () => {
    const { port, turn } = listen(plainTls);
    const client = connectTcp(port);
    await client.send(`${HEADER}GET / HTTP/1.1\r\n\r\n`);
    await client.ended;
    await turn.empty();
    expect(turn.counters.refused['tls-handshake']).toBe(1);
  });

  test('16 MB come through whole', async () => {
    const { port, broker } = listen(plainTls);
    const front = proxy(port, Buffer.from(HEADER), 'together');
    const client = connectSecurely(front.port);
    await client.send(new Uint8Array(16_000_000));
    await broker.until(() => broker.bytesReceived === 16_000_000);
    client.stream.destroy();
    front.stop(true);
  });
});

describe('closed and counted', () => {
  test.each([
    ['a CONNECT without a header', '\x10\x0c\0\x04MQTT\x04\x02\0\x3c\0\0'],
    ['a line feed in an address', 'PROXY TCP4 192.0.2.1\n 198.51.100.1 1 2\r\n'],
    ['a header that does not end', `PROXY UNKNOWN ${'x'.repeat(200)}`],
  ])('is %s', async (_name, text) => {
    const { port, broker, turn } = listen(undefined);
    const client = connectTcp(port);
    await client.send(text);
    await client.ended;
    expect(turn.counters.refused['proxy-header']).toBe(1);
    expect(broker.calls).toEqual([]);
  });

  test('is a header from anybody but a trusted proxy', async () => {
    for (const trusted of [[], ['192.0.2.0/24']]) {
      const { port, broker, turn } = listen(undefined, { trusted });
      const client = connectTcp(port);
      client.stream.write(`${HEADER}hello`);
      await client.ended;
      expect(turn.counters.refused['proxy-peer']).toBe(1);
      expect(broker.calls).toEqual([]);
    }
  });

  test('is a proxy that does not send its header in time', async () => {
    const { port, turn } = listen(plainTls, { timeoutMs: 20 });
    const client = connectTcp(port);
    await client.send('PROXY TCP4 ');
    await client.ended;
    expect(turn.counters.refused['proxy-timeout']).toBe(1);
  });
});
