/**
 * Section 4.2 of both standards, and section 6: the same broker over a TCP socket and over
 * WebSocket. Every other test of this folder hands the bytes over without a socket.
 */
import { afterAll, expect, test } from 'bun:test';
import { connect as connectTcp, type Socket } from 'node:net';
import { createBroker } from '../../../core/broker/broker.ts';
import { defaultLimits } from '../../../core/broker/limits.ts';
import { listenTcp } from '../../../core/net/tcp.ts';
import { Turn } from '../../../core/net/turn.ts';
import { upgradeToWebSocket, webSocketHandler } from '../../../core/net/websocket.ts';
import { bytes, frame, string } from '../../client.ts';
import { granted } from '../../harness.ts';

const hostname = '127.0.0.1';
const turn = new Turn({
  broker: (outbox) =>
    createBroker({
      outbox,
      limits: { ...defaultLimits, sysIntervalSeconds: 0 },
      policy: { commands: [], roles: {}, separator: '_' },
      assignClientIdentifier: () => 'assigned',
      version: '0.0.0',
      startedAt: 0,
    }),
  verify: async () => ({ kind: 'accept', identity: granted }),
  handle: () => {},
  forward: () => {},
  report: () => {},
});
const tcp = listenTcp({
  turn,
  hostname,
  port: 0,
  setting: 'MQTT_PORT',
  tls: undefined,
  proxy: undefined,
});
const options = { turn, allowedOrigins: [], maximumPacketSize: defaultLimits.maximumPacketSize };
const web = Bun.serve({
  hostname,
  port: 0,
  fetch: (request, server) => upgradeToWebSocket(request, server, hostname, options),
  websocket: webSocketHandler(options),
});
const url = `ws://${hostname}:${web.port}/mqtt`;
afterAll(() => {
  tcp.stop();
  void web.stop(true);
});

const connect = frame(
  0x10,
  string('MQTT'),
  '04 c2 0000',
  string('c'),
  string('JWT'),
  string('token'),
);
const connack = '20020000';
const pingreq = bytes('c000');
const pingresp = 'd000';

/** What comes in, as hexadecimal text, awaited by length. */
class Received {
  text = '';
  ended = false;
  #check: () => void = () => {};

  add(chunk: Uint8Array): void {
    this.text += Buffer.from(chunk).toString('hex');
    this.#check();
  }

  end(): void {
    this.ended = true;
    this.#check();
  }

  /** Resolves once `length` digits came, or the end. */
  async until(length: number): Promise<string> {
    while (this.text.length < length && !this.ended) {
      await new Promise<void>((resolve) => {
        this.#check = resolve;
      });
    }
    return this.text;
  }
}

function openTcp(): { socket: Socket; received: Received } {
  const received = new Received();
  const socket = connectTcp(tcp.port, hostname);
  socket.setNoDelay(true);
  socket.on('data', (chunk) => received.add(chunk as Uint8Array));
  socket.on('close', () => received.end());
  return { socket, received };
}

async function openWebSocket(
  protocols: string[],
): Promise<{ socket: WebSocket; received: Received; closed: Promise<CloseEvent> }> {
  const socket = new WebSocket(url, protocols);
  socket.binaryType = 'arraybuffer';
  const received = new Received();
  socket.onmessage = ({ data }) => {
    expect(data).toBeInstanceOf(ArrayBuffer); // a binary frame
    received.add(new Uint8Array(data as ArrayBuffer));
  };
  const closed = new Promise<CloseEvent>((resolve) => {
    socket.onclose = (event) => {
      received.end();
      resolve(event);
    };
  });
  await new Promise((resolve, reject) => {
    socket.onopen = resolve;
    socket.onerror = reject;
  });
  return { socket, received, closed };
}

test('[MQTT-4.2.0-1] [MQTT3-7.1.1-1] TCP carries packets both ways, joined and cut as they please', async () => {
  const { socket, received } = openTcp();
  socket.write(Buffer.concat([connect, pingreq, pingreq]));
  expect(await received.until(16)).toBe(connack + pingresp + pingresp);
  for (const byte of Buffer.concat([pingreq, bytes('e000')])) socket.write(Buffer.of(byte));
  expect(await received.until(1_000)).toBe(connack + pingresp.repeat(3));
});

test('[MQTT-4.13.1-1] [MQTT3-4.8.0-1] a violation ends the TCP connection', async () => {
  const { socket, received } = openTcp();
  socket.write(bytes('00 00'));
  expect(await received.until(1)).toBe('');
  expect(received.ended).toBe(true);
});

test('[MQTT-6.0.0-4] [MQTT-6.0.0-3] [MQTT3-6.0.0-4] [MQTT3-6.0.0-3] over WebSocket the subprotocol mqtt is selected, among others that are offered', async () => {
  const { socket } = await openWebSocket(['soap', 'mqtt', 'x']);
  expect(socket.protocol).toBe('mqtt');
  socket.close();
});

test('[MQTT-6.0.0-3] [MQTT3-6.0.0-3] a client that does not offer it is not let in', async () => {
  for (const protocols of [[], ['soap']]) {
    const opened = await openWebSocket(protocols).then(
      () => true,
      () => false,
    );
    expect(opened).toBe(false);
  }
});

test('[MQTT-6.0.0-2] [MQTT-6.0.0-1] [MQTT3-6.0.0-2] [MQTT3-6.0.0-1] packets lie in binary frames as they please: several in one, and one over several', async () => {
  const { socket, received, closed } = await openWebSocket(['mqtt']);
  for (const byte of connect) socket.send(Buffer.of(byte));
  expect(await received.until(8)).toBe(connack);
  socket.send(Buffer.concat([pingreq, pingreq, bytes('c0')]));
  socket.send(new Uint8Array(0));
  socket.send(bytes('00'));
  expect(await received.until(20)).toBe(connack + pingresp.repeat(3));
  socket.send(bytes('e000'));
  await closed;
  expect(received.text).toBe(connack + pingresp.repeat(3));
});

test('[MQTT-6.0.0-1] [MQTT3-6.0.0-1] a text frame ends the connection, and is not acted on', async () => {
  const { socket, received, closed } = await openWebSocket(['mqtt']);
  socket.send(connect);
  await received.until(8);
  socket.send('\u00c0\u0000');
  const { code } = await closed;
  expect(code).toBe(1003);
  expect(received.text).toBe(connack);
});
