/** Section 4.3 of both standards: an acknowledgement says that the message was taken over, which takes a disk. */
import { expect, test } from 'bun:test';
import type { ProtocolVersion } from '../../../core/mqtt/packet.ts';
import { publishPacket, type TestClient } from '../../client.ts';
import { Harness } from '../../harness.ts';
import { expectQuiet, VERSIONS } from '../expect.ts';

/** A broker with storage, somebody with a stored subscription to `a` who is away, and a publisher. */
function stored(version: ProtocolVersion): { harness: Harness; publisher: TestClient } {
  const harness = new Harness({ durable: true });
  const fields = { cleanStart: false, ...(version === 5 && { sessionExpiryInterval: 100 }) };
  const away = harness.connected('away', fields, { version });
  away.subscribe('a');
  away.lose();
  return { harness, publisher: harness.connected('p', {}, { version }) };
}

test.each(VERSIONS)(
  '[MQTT-4.3.2-4] [MQTT-4.3.3-8] [MQTT3-4.3.2-2] [MQTT3-4.3.3-2] PUBACK and PUBREC wait until the message is on disk, in version %i',
  (version) => {
    for (const [qos, answer] of [
      [1, 'puback'],
      [2, 'pubrec'],
    ] as const) {
      const { harness, publisher } = stored(version);
      harness.holdStorage = true;
      publisher.send(publishPacket('a', 'x', { qos, packetIdentifier: 7 }));
      expectQuiet(publisher);
      harness.store();
      expect(publisher.next(answer).packetIdentifier).toBe(7);
    }
  },
);

test.each(VERSIONS)(
  '[MQTT-4.6.0-2] [MQTT-4.6.0-3] [MQTT3-4.6.0-2] [MQTT3-4.6.0-3] an acknowledgement that needs no disk waits for those before it, in version %i',
  (version) => {
    const { harness, publisher } = stored(version);
    harness.holdStorage = true;
    for (const [packetIdentifier, topic] of [
      [5, 'a'],
      [3, 'nobody'],
      [9, 'a'],
      [1, 'nobody'],
    ] as const) {
      publisher.send(publishPacket(topic, 'x', { qos: 1, packetIdentifier }));
    }
    expectQuiet(publisher);
    harness.store();
    const answers = publisher.packets() as { packetIdentifier: number }[];
    expect(answers.map(({ packetIdentifier }) => packetIdentifier)).toEqual([5, 3, 9, 1]);
  },
);

test.each(VERSIONS)(
  '[MQTT-4.9.0-3] [MQTT-3.12.4-1] [MQTT3-3.12.4-1] a disk that is slow holds up no PINGRESP, and no QoS 0, in version %i',
  (version) => {
    const { harness, publisher } = stored(version);
    const watcher = harness.connected('w', {}, { version });
    watcher.subscribe('a');
    harness.holdStorage = true;
    publisher.send(publishPacket('a', 'x', { qos: 1, packetIdentifier: 7 }));
    publisher.publish('a', 'y');
    publisher.ping();
    expect(watcher.texts()).toContain('y');
    harness.store();
    expect(publisher.next('puback').packetIdentifier).toBe(7);
  },
);

test.each(VERSIONS)(
  '[MQTT-4.3.3-10] [MQTT3-4.3.3-2] a QoS 2 message that comes again before it is on disk goes on once, in version %i',
  (version) => {
    const { harness, publisher } = stored(version);
    const watcher = harness.connected('w', {}, { version });
    watcher.subscribe('a');
    harness.holdStorage = true;
    for (const dup of [false, true]) {
      publisher.send(publishPacket('a', 'x', { qos: 2, packetIdentifier: 7, dup }));
    }
    expectQuiet(publisher);
    harness.store();
    const answers = publisher.packets();
    expect(answers.every(({ type }) => type === 'pubrec')).toBe(true);
    publisher.acknowledge('pubrel', 7);
    expect(publisher.next('pubcomp').packetIdentifier).toBe(7);
    expect(watcher.texts()).toEqual(['x']);
  },
);
