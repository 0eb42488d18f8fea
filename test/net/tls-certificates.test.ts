/** Which certificates TLS shows and asks for: renewed ones, those of clients, and their chain. */
import { afterEach, describe, expect, test } from 'bun:test';
import { readFileSync } from 'node:fs';
import { connectSecurely } from './client.ts';
import { stopAll } from './listening.ts';
import { authority, listen, server } from './secure-echo.ts';
import { Authority, materialOf } from './test-certificates.ts';

const renewed = authority.issue('renewed', ['DNS:localhost', 'IP:127.0.0.1']);
const clients = new Authority('clients');
const phone = clients.issue('phone');
const strangers = new Authority('strangers');
const stranger = strangers.issue('stranger');

afterEach(stopAll);

const identityOf = ({ cert, key }: { cert: string; key: string }) => ({
  cert: readFileSync(cert),
  key: readFileSync(key),
});

/** The Common Name of the certificate that a new connection is shown. */
async function shownAt(port: number): Promise<string> {
  const client = connectSecurely(port);
  await client.secured;
  const { CN } = client.stream.getPeerCertificate().subject;
  client.stream.destroy();
  return String(CN);
}

describe('a renewed certificate', () => {
  test('is shown to new connections, and those that stand live on', async () => {
    const { port, listener, broker } = listen();
    expect(await shownAt(port)).toBe('server');
    const before = connectSecurely(port);
    await before.secured;
    listener.useMaterial(materialOf([renewed]));
    expect(await shownAt(port)).toBe('renewed');
    await before.send('still here');
    expect(await before.receive(10)).toBe('still here');
    const after = connectSecurely(port, { ALPNProtocols: ['mqtt'] });
    expect(await after.secured).toBe('TLSv1.3');
    expect(after.stream.alpnProtocol).toBe('mqtt');
    await after.send('and so am I');
    expect(await after.receive(11)).toBe('and so am I');
    expect(broker.count('lost')).toBe(2); // the two that looked
    for (const { stream } of [before, after]) stream.destroy();
  });

  test('costs no connection that is being made', async () => {
    const { port, listener } = listen();
    const outcomes: string[] = [];
    const connectAll = async () => {
      for (let index = 0; index < 25; index++) {
        const client = connectSecurely(port);
        outcomes.push(await client.secured);
        client.stream.destroy();
      }
    };
    const storm = Promise.all(Array.from({ length: 8 }, connectAll));
    let swaps = 0;
    let over = false;
    void storm.then(() => {
      over = true;
    });
    while (!over) {
      listener.useMaterial(materialOf([swaps++ % 2 === 0 ? renewed : server]));
      await new Promise<void>((resolve) => setImmediate(resolve));
    }
    await storm;
    expect(new Set(outcomes)).toEqual(new Set(['TLSv1.3']));
    expect(outcomes.length).toBe(200);
    expect(swaps).toBeGreaterThan(10);
  });

  test('that cannot be used changes nothing', async () => {
    const { port, listener } = listen();
    const [good] = materialOf([server]).certificates;
    expect(() =>
      listener.useMaterial({
        certificates: [{ ...good, key: readFileSync(renewed.key, 'utf8') }],
        clientAuthorities: undefined,
      }),
    ).toThrow();
    expect(await shownAt(port)).toBe('server');
  });
});

describe('client certificates', () => {
  const versions = ['TLSv1.2', 'TLSv1.3'] as const;
  /** Whether a client with this certificate, or none, gets an answer. */
  async function served(
    port: number,
    version: (typeof versions)[number],
    files: { cert: string; key: string } | undefined,
  ): Promise<boolean> {
    const client = connectSecurely(port, {
      maxVersion: version,
      ...(files === undefined ? {} : identityOf(files)),
    });
    await client.send('hello');
    const answered = await client.receive(5).then(
      () => true,
      () => false,
    );
    client.stream.destroy();
    return answered;
  }
  const material = materialOf([server], clients.pem);

  test.each(versions)('that are required are required, over %s', async (version) => {
    const { port, turn, broker } = listen({ material, clientCertificates: 'required' });
    expect(await served(port, version, phone)).toBe(true);
    expect(await served(port, version, undefined)).toBe(false);
    expect(await served(port, version, stranger)).toBe(false);
    await turn.empty();
    expect(turn.counters.refused['client-certificate']).toBe(2);
    expect(broker.count('received')).toBe(1);
  });

  test.each(versions)(
    'that are optional may be absent, and not wrong, over %s',
    async (version) => {
      const { port, turn, broker } = listen({ material, clientCertificates: 'optional' });
      expect(await served(port, version, phone)).toBe(true);
      expect(await served(port, version, undefined)).toBe(true);
      expect(await served(port, version, stranger)).toBe(false);
      await turn.empty();
      expect(turn.counters.refused['client-certificate']).toBe(1);
      expect(broker.count('received')).toBe(2);
    },
  );

  test('are checked against the authorities that came with the last reload', async () => {
    const { port, listener } = listen({ material, clientCertificates: 'required' });
    expect(await served(port, 'TLSv1.3', stranger)).toBe(false);
    listener.useMaterial(materialOf([server], strangers.pem));
    expect(await served(port, 'TLSv1.3', stranger)).toBe(true);
    expect(await served(port, 'TLSv1.3', phone)).toBe(false);
  });
});

test('a certificate is sent with its chain', async () => {
  const chain = readFileSync(server.cert, 'utf8') + authority.pem;
  const material = materialOf([server]);
  const { port } = listen({
    material: { ...material, certificates: [{ ...material.certificates[0], cert: chain }] },
  });
  const client = Bun.spawn(['openssl', 's_client', '-connect', `127.0.0.1:${port}`, '-showcerts'], {
    stdin: 'ignore',
    stdout: 'pipe',
    stderr: 'ignore',
  });
  const shown = await new Response(client.stdout).text();
  expect(shown.match(/-----BEGIN CERTIFICATE-----/g)?.length).toBe(2);
});
