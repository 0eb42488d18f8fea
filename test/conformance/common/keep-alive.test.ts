/** Section 3.1.2.10 of both standards: Keep Alive. */
import { expect, test } from 'bun:test';
import { ReasonCode } from '../../../core/mqtt/reason-code.ts';
import { publishPacket, type TestClient } from '../../client.ts';
import { Harness } from '../../harness.ts';
import { expectEnded, expectQuiet, VERSIONS } from '../expect.ts';

test.each(VERSIONS)(
  '[MQTT-3.1.2-22] [MQTT3-3.1.2-24] a client that is silent for one and a half times its Keep Alive is cut, in version %i',
  (version) => {
    for (const keepAliveSeconds of [1, 7, 65_535]) {
      const harness = new Harness();
      const client = harness.connected('c', { keepAliveSeconds }, { version });
      harness.advance(keepAliveSeconds * 1_500 - 1);
      expectQuiet(client);
      harness.advance(1);
      expectEnded(client, ReasonCode.KeepAliveTimeout);
    }
  },
);

const signs: [name: string, send: (client: TestClient) => void][] = [
  ['PINGREQ', (client) => client.ping()],
  ['PUBLISH', (client) => client.publish('a', 'x')],
  ['PUBACK', (client) => client.acknowledge('puback', 1)],
  ['SUBSCRIBE', (client) => client.subscribe('a')],
  ['UNSUBSCRIBE', (client) => client.unsubscribe('a')],
];

test.each(VERSIONS)(
  '[MQTT-3.1.2-22] [MQTT3-3.1.2-24] any Control Packet is a sign of life, in version %i',
  (version) => {
    for (const [name, send] of signs) {
      const harness = new Harness();
      const client = harness.connected('c', { keepAliveSeconds: 10 }, { version });
      for (let round = 0; round < 3; round++) {
        harness.advance(14_999);
        send(client);
      }
      client.packets();
      harness.advance(14_999);
      expect([name, client.closed]).toEqual([name, false]);
      harness.advance(1);
      expectEnded(client, ReasonCode.KeepAliveTimeout);
    }
  },
);

test.each(VERSIONS)(
  '[MQTT-3.1.2-22] [MQTT3-3.1.2-24] half a packet is none, and neither is what the client gets, in version %i',
  (version) => {
    const harness = new Harness();
    const client = harness.connected('c', { keepAliveSeconds: 10 }, { version });
    client.subscribe('a');
    const publisher = harness.connected('p');
    for (let second = 0; second < 14; second++) {
      harness.advanceSeconds(1);
      client.raw(second === 0 ? '30 7f' : '00');
      publisher.publish('a', 'x');
    }
    client.packets();
    harness.advance(1_000);
    expectEnded(client, ReasonCode.KeepAliveTimeout);
  },
);

test.each(VERSIONS)(
  '[MQTT-3.1.2-22] [MQTT3-3.1.2-24] a Keep Alive of 0 turns it off, in version %i',
  (version) => {
    const harness = new Harness();
    const client = harness.connected('c', { keepAliveSeconds: 0 }, { version });
    harness.advanceSeconds(1_000_000);
    expectQuiet(client);
  },
);

test.each([3, 4] as const)(
  '[MQTT3-3.1.2-24] a Keep Alive beyond the limit stands in version %i, which cannot be told another',
  (version) => {
    const harness = new Harness({ limits: { maximumKeepAliveSeconds: 10 } });
    const client = harness.connected('c', { keepAliveSeconds: 100 }, { version });
    harness.advance(149_999);
    expectQuiet(client);
    harness.advance(1);
    expectEnded(client, ReasonCode.KeepAliveTimeout);
  },
);

test('[MQTT-3.1.2-22] the time begins with CONNACK and not with the connection', () => {
  const harness = new Harness();
  const client = harness.client('c');
  harness.advance(9_000);
  client.connect({ keepAliveSeconds: 1 });
  harness.advance(1_499);
  client.send(publishPacket('a', 'x'));
  harness.advance(1_499);
  expectQuiet(client);
});
