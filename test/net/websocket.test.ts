import { afterEach, describe, expect, test } from 'bun:test';
import { AddressList } from '../../core/net/address.ts';
import { listen } from '../http/https-echo.ts';
import { connectSecurely } from './client.ts';
import { stopAll } from './listening.ts';

afterEach(stopAll);

interface Opened {
  readonly socket: WebSocket;
  /** All binary frames that have come, joined. */
  readonly received: () => Buffer;
  receive(length: number): Promise<Buffer>;
  readonly closed: Promise<{ code: number; reason: string }>;
}

function open(
  port: number,
  headers: Record<string, string> = {},
  protocols: string | string[] = 'mqtt',
): Opened & { readonly ready: Promise<void> } {
  const socket = new WebSocket(`wss://127.0.0.1:${port}/mqtt`, {
    protocols,
    headers,
    tls: { rejectUnauthorized: false },
  });
  socket.binaryType = 'arraybuffer';
  const chunks: Buffer[] = [];
  const waits: (() => void)[] = [];
  const received = () => Buffer.concat(chunks);
  socket.onmessage = ({ data }) => {
    chunks.push(Buffer.from(data as ArrayBuffer));
    for (const check of waits) check();
  };
  const closed = new Promise<{ code: number; reason: string }>((resolve) => {
    socket.onclose = ({ code, reason }) => resolve({ code, reason });
  });
  const ready = new Promise<void>((resolve, reject) => {
    socket.onopen = () => resolve();
    socket.onerror = () => reject(new Error('not opened'));
  });
  ready.catch(() => {});
  const receive = (length: number) =>
    new Promise<Buffer>((resolve) => {
      const check = () => {
        if (chunks.reduce((sum, chunk) => sum + chunk.length, 0) >= length) resolve(received());
      };
      waits.push(check);
      check();
    });
  return { socket, received, receive, closed, ready };
}

/** What a handshake with these headers is answered. */
async function handshake(port: number, headers: Record<string, string>): Promise<string> {
  const client = connectSecurely(port);
  const all = {
    host: `127.0.0.1:${port}`,
    connection: 'Upgrade',
    upgrade: 'websocket',
    'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==',
    'sec-websocket-version': '13',
    'sec-websocket-protocol': 'mqtt',
    ...headers,
  };
  const lines = Object.entries(all).flatMap(([name, value]) =>
    value === '' ? [] : [`${name}: ${value}`],
  );
  await client.send(`GET /mqtt HTTP/1.1\r\n${lines.join('\r\n')}\r\n\r\n`);
  const answer = await client.receive(12);
  client.stream.destroy();
  return answer.slice(9, 12);
}

describe('MQTT over WebSocket', () => {
  test('[MQTT-6.0.0-2] hands over what comes in binary frames, however packets lie in them', async () => {
    const { port, broker, turn } = listen();
    const client = open(port);
    await client.ready;
    expect(client.socket.protocol).toBe('mqtt');
    for (const part of ['a pac', 'ket', ' and another']) client.socket.send(Buffer.from(part));
    expect((await client.receive(20)).toString()).toBe('a packet and another');
    expect(broker.textFrom(broker.id())).toBe('a packet and another');
    expect(broker.calls[0]).toMatchObject({ origin: { transport: 'wss', address: '127.0.0.1' } });
    expect(turn.counters.accepted.wss).toBe(1);
    client.socket.close();
    await broker.until(() => broker.count('lost') === 1);
  });

  test('[MQTT-6.0.0-1] text ends the connection', async () => {
    const { port, broker, turn } = listen();
    const client = open(port);
    await client.ready;
    client.socket.send('text');
    expect((await client.closed).code).toBe(1003);
    await broker.until(() => broker.count('lost') === 1);
    expect(broker.count('received')).toBe(0);
    expect(turn.counters.websocketText).toBe(1);
  });

  test('[MQTT-6.0.0-4] the subprotocol is mqtt, or what 3.1 called it, and one is required', async () => {
    const { port, turn, broker } = listen();
    const legacy = open(port, {}, ['mqttv3.1']);
    await legacy.ready;
    expect(legacy.socket.protocol).toBe('mqttv3.1');
    const both = open(port, {}, ['mqttv3.1', 'mqtt']);
    await both.ready;
    expect(both.socket.protocol).toBe('mqtt');
    for (const { socket } of [legacy, both]) socket.close();
    expect(await handshake(port, { 'sec-websocket-protocol': '' })).toBe('400');
    expect(await handshake(port, { 'sec-websocket-protocol': 'chat, MQTT' })).toBe('400');
    expect(turn.counters.refused['websocket-protocol']).toBe(2);
    expect(broker.count('opened')).toBe(2);
  });

  test('what is no WebSocket handshake is refused', async () => {
    const { port, turn } = listen();
    expect(await handshake(port, { upgrade: '' })).toBe('426');
    expect(await handshake(port, { upgrade: 'h2c' })).toBe('426');
    expect(await handshake(port, { 'sec-websocket-key': '' })).toBe('400');
    expect(turn.counters.refused['websocket-request']).toBe(3);
  });

  test('pages of other origins are refused, unless they are on the list', async () => {
    const { port, turn, broker } = listen({}, { allowedOrigins: ['https://app.example.com'] });
    const answers = async (origins: string[]) => {
      const all: string[] = [];
      for (const origin of origins) all.push(await handshake(port, { origin }));
      return all;
    };
    expect(
      await answers([
        '', // no browser
        'https://app.example.com',
        `https://127.0.0.1:${port}`, // a page of our own
      ]),
    ).toEqual(['101', '101', '101']);
    expect(
      await answers([
        'https://evil.example.com',
        'http://app.example.com',
        'https://app.example.com:444',
        'https://app.example.com.evil.example',
        'null',
        'nonsense',
      ]),
    ).toEqual(Array<string>(6).fill('403'));
    expect(turn.counters.refused['websocket-origin']).toBe(6);
    expect(broker.count('opened')).toBe(3);
  });

  test('any origin is let in where the list says so', async () => {
    const { port } = listen({}, { allowedOrigins: ['*'] });
    expect(await handshake(port, { origin: 'https://anywhere.example' })).toBe('101');
  });

  test('writes 16 MB to a client that takes its time, whole and in order', async () => {
    const { port, broker } = listen();
    const block = new Uint8Array(320_000);
    broker.on = (call) => {
      if (call.call !== 'received') return;
      for (let index = 0; index < 50; index++) {
        block.fill(index);
        broker.outbox.share(call.connection, block.slice());
        broker.outbox.send(call.connection, Uint8Array.of(index));
      }
    };
    const client = connectSecurely(port);
    await client.secured;
    await client.send(
      'GET /mqtt HTTP/1.1\r\nhost: x\r\nconnection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\nsec-websocket-version: 13\r\nsec-websocket-protocol: mqtt\r\n\r\n',
    );
    await client.receive(12);
    const head = client.received.indexOf('\r\n\r\n') + 4;
    client.stream.pause();
    await client.send(maskedFrame(Buffer.from('go')));
    await broker.until(() => broker.count('flushed') > 0);
    const waiting = broker.calls.findLast((call) => call.call === 'flushed');
    expect(waiting?.call === 'flushed' && waiting.waitingBytes).toBeGreaterThan(1_000_000);
    client.stream.resume();
    await broker.until(() => {
      const last = broker.calls.at(-1);
      return last?.call === 'flushed' && last.waitingBytes === 0;
    });
    await client.send(closeFrame);
    expect(await client.ended).toBe('end');
    const payload = unframe(client.received.subarray(head));
    expect(payload.length).toBe(50 * 320_001);
    for (let index = 0; index < 50; index++) {
      expect(payload[index * 320_001 + 160_000]).toBe(index);
      expect(payload[index * 320_001 + 320_000]).toBe(index);
    }
  });

  test('stops reading from a connection that is paused', async () => {
    const { port, broker } = listen();
    broker.on = (call) => {
      if (call.call === 'received' && broker.bytesReceived <= 5) {
        broker.outbox.pause(call.connection);
        broker.outbox.send(call.connection, new Uint8Array(1));
      }
    };
    const client = open(port);
    await client.ready;
    client.socket.send(Buffer.from('first'));
    await client.receive(1);
    for (let index = 0; index < 12; index++) client.socket.send(new Uint8Array(1_000_000));
    const other = open(port);
    await other.ready;
    other.socket.close();
    await broker.until(() => broker.count('lost') === 1);
    expect(broker.bytesReceived).toBeLessThan(12_000_005);
    broker.outbox.resume(broker.id());
    await broker.until(() => broker.bytesReceived === 12_000_005);
    client.socket.close();
  });

  test('a connection that the broker closes gets what was sent to it, and a close frame', async () => {
    const { port, broker, turn } = listen();
    broker.on = (call) => {
      if (call.call !== 'received') return;
      broker.outbox.send(call.connection, new Uint8Array(200_000));
      broker.outbox.close(call.connection);
    };
    const client = open(port);
    await client.ready;
    client.socket.send(Buffer.from('x'));
    expect((await client.closed).code).toBe(1000);
    expect(client.received().length).toBe(200_000);
    await turn.empty();
    expect(broker.count('lost')).toBe(0);
  });

  test('a frame longer than the largest packet and a little ends the connection', async () => {
    const { port, broker } = listen({}, { maximumPacketSize: 100_000 });
    const client = open(port);
    await client.ready;
    client.socket.send(new Uint8Array(100_000 + 65_536));
    await client.receive(165_536);
    client.socket.send(new Uint8Array(100_000 + 65_537));
    expect((await client.closed).code).not.toBe(1000);
    await broker.until(() => broker.count('lost') === 1);
    expect(broker.bytesReceived).toBe(165_536);
  });

  test('messages are not compressed, whatever the client offers', async () => {
    const { port } = listen();
    const client = connectSecurely(port);
    await client.send(
      'GET /mqtt HTTP/1.1\r\nhost: x\r\nconnection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\nsec-websocket-version: 13\r\nsec-websocket-protocol: mqtt\r\nsec-websocket-extensions: permessage-deflate\r\n\r\n',
    );
    await client.receive(12);
    expect(client.received.toString()).toStartWith('HTTP/1.1 101');
    expect(client.received.toString().toLowerCase()).not.toContain('permessage-deflate');
    client.stream.destroy();
  });

  test('what a proxy forwards is believed of a trusted proxy alone', async () => {
    const forwarded = { 'x-forwarded-for': '198.51.100.9, 192.0.2.1' };
    const { port: direct, broker: untrusting } = listen();
    await handshake(direct, forwarded);
    await untrusting.until(() => untrusting.count('opened') === 1);
    expect(untrusting.calls[0]).toMatchObject({ origin: { address: '127.0.0.1' } });
    const { port: behind, broker } = listen({ trustedProxies: new AddressList(['127.0.0.1']) });
    await handshake(behind, forwarded);
    await broker.until(() => broker.count('opened') === 1);
    expect(broker.calls[0]).toMatchObject({ origin: { address: '192.0.2.1' } });
  });
});

/** A short frame as clients send it (RFC 6455 section 5.2), with a mask of zeros. */
function maskedFrame(payload: Uint8Array): Buffer {
  return Buffer.concat([Uint8Array.of(0x82, 0x80 | payload.length, 0, 0, 0, 0), payload]);
}

const closeFrame = Uint8Array.of(0x88, 0x80, 0, 0, 0, 0);

/** The payloads of a server's binary frames, joined; stops at the close frame. */
function unframe(bytes: Buffer): Buffer {
  const payloads: Buffer[] = [];
  for (let at = 0; at < bytes.length && (bytes[at] ?? 0) === 0x82; ) {
    const short = bytes[at + 1] ?? 0;
    const [length, head] =
      short < 126
        ? [short, 2]
        : short === 126
          ? [bytes.readUInt16BE(at + 2), 4]
          : [Number(bytes.readBigUInt64BE(at + 2)), 10];
    payloads.push(bytes.subarray(at + head, at + head + length));
    at += head + length;
  }
  return Buffer.concat(payloads);
}
