import { afterEach, describe, expect, test } from 'bun:test';
import { clientAddress } from '../../core/http/server.ts';
import { AddressList } from '../../core/net/address.ts';
import { ListenError } from '../../core/net/listen-error.ts';
import { connectSecurely } from '../net/client.ts';
import { stopAll } from '../net/listening.ts';
import { materialOf } from '../net/test-certificates.ts';
import { authority, listen, server } from './https-echo.ts';

const renewed = authority.issue('renewed');
const api = authority.issue('api', ['DNS:api.example.com', 'DNS:*.shop.example.com']);

afterEach(stopAll);

const get = (port: number, path: string) =>
  fetch(`https://localhost:${port}${path}`, { tls: { ca: authority.pem }, keepalive: false });

/** The Common Name of the certificate that a client is shown that asks for `servername`. */
async function shownAt(port: number, servername?: string): Promise<string> {
  const client = connectSecurely(port, servername === undefined ? {} : { servername });
  await client.secured;
  const { CN } = client.stream.getPeerCertificate().subject;
  client.stream.destroy();
  return String(CN);
}

describe('the HTTPS listener', () => {
  test('answers with the app, over TLS that verifies', async () => {
    const { port } = listen();
    const response = await get(port, '/health');
    expect([response.status, await response.json()]).toEqual([200, { status: 'ok' }]);
    expect((await get(port, '/nowhere')).status).toBe(404);
  });

  test('has no /mqtt where MQTT over WebSocket is off', async () => {
    const { port } = listen({}, 'off');
    expect((await get(port, '/mqtt')).status).toBe(404);
    const upgrade = await fetch(`https://localhost:${port}/mqtt`, {
      tls: { ca: authority.pem },
      headers: {
        connection: 'Upgrade',
        upgrade: 'websocket',
        'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==',
        'sec-websocket-version': '13',
        'sec-websocket-protocol': 'mqtt',
      },
    });
    expect(upgrade.status).toBe(404);
  });

  test.each(['-tls1', '-tls1_1'])('refuses %s, whatever name is asked for', async (version) => {
    const { port } = listen({
      material: materialOf([server, api], undefined, [['localhost'], ['api.example.com']]),
    });
    for (const name of ['localhost', 'api.example.com', 'other.example']) {
      const command = ['openssl', 's_client', '-connect', `127.0.0.1:${port}`, '-servername', name];
      const client = Bun.spawn([...command, version, '-cipher', 'ALL:@SECLEVEL=0'], {
        stdin: 'ignore',
        stdout: 'ignore',
        stderr: 'pipe',
      });
      expect(await new Response(client.stderr).text()).toContain('alert protocol version');
    }
  });

  test('shows the certificate of the name that is asked for, and the first for any other', async () => {
    const { port } = listen({
      material: materialOf([server, api], undefined, [
        ['localhost'],
        ['api.example.com', '*.shop.example.com', 'localhost'],
      ]),
    });
    expect(await shownAt(port)).toBe('server');
    expect(await shownAt(port, 'localhost')).toBe('server'); // the first that has the name
    expect(await shownAt(port, 'api.example.com')).toBe('api');
    expect(await shownAt(port, 'API.example.com')).toBe('api');
    expect(await shownAt(port, 'one.shop.example.com')).toBe('api');
    expect(await shownAt(port, 'shop.example.com')).toBe('server');
    expect(await shownAt(port, 'other.example')).toBe('server');
  });

  test('shows a renewed certificate to new connections, and WebSockets live on', async () => {
    const { port, listener, broker } = listen();
    const socket = new WebSocket(`wss://127.0.0.1:${port}/mqtt`, {
      protocols: 'mqtt',
      tls: { rejectUnauthorized: false },
    });
    await new Promise((resolve) => {
      socket.onopen = resolve;
    });
    expect(await shownAt(port)).toBe('server');
    for (const [files, name] of [
      [renewed, 'renewed'],
      [server, 'server'],
      [renewed, 'renewed'],
    ] as const) {
      listener.useMaterial(materialOf([files]));
      expect(await shownAt(port)).toBe(name);
      expect((await get(port, '/health')).status).toBe(200);
      const echoed = new Promise((resolve) => {
        socket.onmessage = ({ data }) => resolve(Buffer.from(data as Uint8Array).toString());
      });
      socket.send(Buffer.from(`after ${name}`));
      expect(await echoed).toBe(`after ${name}`);
    }
    expect(broker.count('lost')).toBe(0);
    socket.close();
    await broker.until(() => broker.count('lost') === 1);
  });

  test('keeps the certificate where another cannot be used', async () => {
    const { port, listener } = listen();
    const [good] = materialOf([server]).certificates;
    const [other] = materialOf([renewed]).certificates;
    const bad = {
      certificates: [{ ...good, key: other.key }],
      clientAuthorities: undefined,
    } as const;
    expect(() => listener.useMaterial(bad)).toThrow();
    expect(await shownAt(port)).toBe('server');
  });

  test('does not share its port with another process unnoticed', () => {
    const { port } = listen();
    const again = () => listen({ port, setting: 'HTTPS_PORT' });
    expect(again).toThrow(ListenError);
    expect(again).toThrow(
      `HTTPS_PORT: port ${port} is in use by another process; stop it or choose another port`,
    );
  });

  test('refuses a cipher list that fits nothing in one line that names the setting', () => {
    const open = () => listen({ ciphers: 'nonsense' });
    expect(open).toThrow('TLS_CIPHERS: it names no cipher of TLS 1.2');
  });

  test('accepts no more once it is stopped, and WebSockets live on', async () => {
    const { port, listener, broker } = listen();
    const socket = new WebSocket(`wss://127.0.0.1:${port}/mqtt`, {
      protocols: 'mqtt',
      tls: { rejectUnauthorized: false },
    });
    await new Promise((resolve) => {
      socket.onopen = resolve;
    });
    listener.stop();
    expect(await connectSecurely(port).secured).toBe('ECONNREFUSED');
    socket.send(Buffer.from('still here'));
    await broker.until(() => broker.textFrom(broker.id()) === 'still here');
    socket.close();
  });
});

describe('who a request comes from', () => {
  const trusted = new AddressList(['10.0.0.0/8', '127.0.0.1']);

  test.each([
    ['nobody forwards', '192.0.2.1', null, '192.0.2.1'],
    ['a proxy forwards', '10.0.0.1', '198.51.100.9', '198.51.100.9'],
    ['two proxies forward', '10.0.0.1', '198.51.100.9, 10.0.0.2', '198.51.100.9'],
    ['the client wrote before the proxy', '10.0.0.1', '1.2.3.4, 198.51.100.9', '198.51.100.9'],
    ['somebody else pretends to forward', '192.0.2.1', '198.51.100.9', '192.0.2.1'],
    ['what is forwarded is nonsense', '10.0.0.1', 'nonsense\u0001', '10.0.0.1'],
    ['the list begins with nonsense', '10.0.0.1', 'x, 10.0.0.2', '10.0.0.2'],
    ['the list is empty', '10.0.0.1', '', '10.0.0.1'],
    ['IPv6 is forwarded', '127.0.0.1', '2001:DB8::0:1', '2001:db8::1'],
  ])('where %s', (_case, peer, forwarded, client) => {
    expect(clientAddress(peer, forwarded, trusted)).toBe(client);
  });

  test('where no proxy is trusted, it is the peer', () => {
    expect(clientAddress('10.0.0.1', '198.51.100.9', undefined)).toBe('10.0.0.1');
  });
});
