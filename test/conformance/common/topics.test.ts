/** Section 4.7 of both standards: Topic Names, Topic Filters, and how they match. */
import { expect, test } from 'bun:test';
import type { ProtocolVersion } from '../../../core/mqtt/packet.ts';
import { ReasonCode } from '../../../core/mqtt/reason-code.ts';
import { publishPacket, subscribePacket, type TestClient } from '../../client.ts';
import { everything, Harness } from '../../harness.ts';
import { expectEnded, VERSIONS } from '../expect.ts';

/** Whether a message on `topic` reaches a subscription on `filter`; `$` topics are granted as well. */
function reaches(filter: string, topic: string, version: ProtocolVersion): boolean {
  const names = ['#', '$x/#', '$y', '$/#', '+/x'];
  const identity = { grants: { ...everything, publish: names, subscribe: names } };
  const harness = new Harness();
  const client = harness.connected('c', {}, { version, identity });
  expect(client.subscribe(filter)).toEqual([2]);
  client.publish(topic, 'x', { qos: 1 });
  return client.packets().some((packet) => packet.type === 'publish' && packet.topic === topic);
}

const matching: [filter: string, topic: string][] = [
  ['a', 'a'],
  ['a/b', 'a/b'],
  ['/', '/'],
  ['//', '//'],
  ['/a', '/a'],
  ['a/', 'a/'],
  [' ', ' '],
  ['a b', 'a b'],
  ['#', 'a'],
  ['#', 'a/b/c'],
  ['#', '/'],
  ['a/#', 'a'],
  ['a/#', 'a/'],
  ['a/#', 'a/b'],
  ['a/#', 'a/b/c'],
  ['/#', '/'],
  ['/#', '/a'],
  ['+', 'a'],
  ['+/+', '/a'],
  ['+/+', 'a/b'],
  ['/+', '/a'],
  ['/+', '/'],
  ['+/', 'a/'],
  ['a/+', 'a/'],
  ['a/+', 'a/b'],
  ['a/+/c', 'a/b/c'],
  ['a/+/c', 'a//c'],
  ['+/b/#', 'a/b'],
  ['+/b/#', 'a/b/c/d'],
  ['+/+/+', '//'],
  ['$x/#', '$x'],
  ['$x/#', '$x/a'],
  ['$x/+', '$x/a'],
  ['a/#', 'a/$x'],
  ['+/+', 'a/$x'],
  ['é', 'é'],
];

test.each(VERSIONS)(
  '[MQTT-4.7.1-1] [MQTT-4.7.1-2] [MQTT3-4.7.1-2] [MQTT3-4.7.1-3] filters match the topics that section 4.7 says, in version %i',
  (version) => {
    for (const [filter, topic] of matching) {
      expect([filter, topic, reaches(filter, topic, version)]).toEqual([filter, topic, true]);
    }
  },
);

const apart: [filter: string, topic: string][] = [
  ['a', 'A'],
  ['a', 'a/'],
  ['a', '/a'],
  ['a/b', 'a'],
  ['a', 'a/b'],
  ['/', 'a'],
  ['+', 'a/b'],
  ['+', '/a'],
  ['+', '/'],
  ['a/+', 'a'],
  ['a/+', 'a/b/c'],
  ['a/+/c', 'a/c'],
  ['/+', 'a'],
  ['a/#', 'ab'],
  ['a/b/#', 'a'],
  ['+/b/#', 'b'],
];

test.each(VERSIONS)(
  '[MQTT-3.3.2-3] [MQTT3-3.3.2-3] filters do not match what they do not, in version %i',
  (version) => {
    for (const [filter, topic] of apart) {
      expect([filter, topic, reaches(filter, topic, version)]).toEqual([filter, topic, false]);
    }
  },
);

test.each(VERSIONS)(
  '[MQTT-4.7.2-1] [MQTT3-4.7.2-1] a wildcard in the first level matches no topic that begins with a dollar sign, in version %i',
  (version) => {
    for (const filter of ['#', '+', '+/#', '+/x', '+/+']) {
      for (const topic of ['$x', '$x/x', '$y', '$/x']) {
        expect([filter, topic, reaches(filter, topic, version)]).toEqual([filter, topic, false]);
      }
    }
  },
);

test.each(VERSIONS)(
  '[MQTT-4.7.2-1] [MQTT3-4.7.2-1] nor does it bring up a retained message there, in version %i',
  (version) => {
    const harness = new Harness();
    const names = ['#', '$x/#'];
    const identity = { grants: { ...everything, publish: names, subscribe: names } };
    const client = harness.connected('c', {}, { version, identity });
    client.publish('$x/a', 'x', { retain: true, qos: 1 });
    client.subscribe(['#', '+/a', '+/#']);
    expect(client.packets()).toEqual([]);
    client.subscribe('$x/#');
    expect(client.texts()).toEqual(['x']);
  },
);

test.each(VERSIONS)(
  '[MQTT-4.7.3-4] [MQTT3-4.7.3-4] topics that only look the same are two, in version %i',
  (version) => {
    const pairs: [string, string][] = [
      ['\u00e9', 'e\u0301'],
      ['\ufb01', 'fi'],
      ['\u212b', '\u00c5'],
      ['a', '\uFEFFa'],
      ['a', 'a\u200b'],
      ['\u0410', 'A'],
      ['a', 'a '],
    ];
    for (const [one, other] of pairs) {
      expect(reaches(one, one, version)).toBe(true);
      expect(reaches(one, other, version)).toBe(false);
      expect(reaches(other, one, version)).toBe(false);
    }
  },
);

const malformed = [
  'a#',
  'a/#/b',
  '#/a',
  '##',
  'a/b#',
  '#a',
  'a+',
  '+a',
  'a/b+/c',
  'a/+b',
  '++',
  '',
];

test('[MQTT-4.7.1-1] [MQTT-4.7.1-2] [MQTT-4.7.3-1] [MQTT-3.8.4-7] a filter that is none is answered with 0x8F in SUBACK and UNSUBACK, and the others are carried out', () => {
  for (const filter of malformed) {
    const client = new Harness().connected('c');
    const answer = client.subscribe(['good', filter, 'other']);
    expect([filter, answer]).toEqual([filter, [2, ReasonCode.TopicFilterInvalid, 2]]);
    client.publish('other', 'x');
    expect(client.texts()).toEqual(['x']);
    expect(client.unsubscribe('good', filter)).toEqual([0, ReasonCode.TopicFilterInvalid]);
  }
});

test.each([3, 4] as const)(
  '[MQTT3-4.7.1-2] [MQTT3-4.7.1-3] [MQTT3-4.7.3-1] [MQTT3-4.8.0-1] a filter that is none ends the connection in version %i',
  (version) => {
    for (const filter of malformed) {
      const client = new Harness().connected('c', {}, { version });
      client.send(subscribePacket(['good', filter]));
      expectEnded(client, ReasonCode.TopicFilterInvalid);
    }
  },
);

test.each(VERSIONS)(
  '[MQTT-3.3.2-2] [MQTT-4.7.0-1] [MQTT-4.7.1-1] [MQTT3-3.3.2-2] [MQTT3-4.7.1-1] a Topic Name with a wildcard ends the connection, in version %i',
  (version) => {
    for (const topic of ['#', '+', 'a/#', 'a/+', '+/b', 'a#', 'a+b']) {
      const harness = new Harness();
      const watcher = harness.connected('w', {}, { version });
      watcher.subscribe('#');
      for (const qos of [0, 1, 2] as const) {
        const client = harness.connected('c', {}, { version });
        client.send(publishPacket(topic, 'x', { qos }));
        expectEnded(client, ReasonCode.TopicNameInvalid);
      }
      expect(watcher.packets()).toEqual([]);
    }
  },
);

test.each(VERSIONS)(
  '[MQTT-4.7.3-1] [MQTT3-4.7.3-1] an empty Topic Name ends the connection, in version %i',
  (version) => {
    const client = new Harness().connected('c', {}, { version });
    client.send(publishPacket('', 'x'));
    expectEnded(client, ReasonCode.ProtocolError);
  },
);

test.each(VERSIONS)(
  'topics as long and as deep as the limits allow come through, in version %i',
  (version) => {
    const harness = new Harness({
      limits: { maximumTopicBytes: 65_535, maximumTopicLevels: 65_536 },
    });
    const identity = { version };
    const client: TestClient = harness.connected('c', {}, identity);
    for (const topic of ['x'.repeat(65_535), '/'.repeat(65_535)]) {
      client.subscribe(topic);
      client.publish(topic, 'x');
      expect(client.next('publish').topic).toBe(topic);
    }
  },
);

test('a topic beyond the limits: 0x90 to its publisher, 0x8F to its subscriber', () => {
  const harness = new Harness({ limits: { maximumTopicBytes: 20, maximumTopicLevels: 4 } });
  const client = harness.connected('c');
  for (const topic of ['x'.repeat(21), 'a/b/c/d/e']) {
    expect(client.publish(topic, 'x', { qos: 1 })?.reasonCode).toBe(ReasonCode.TopicNameInvalid);
    expect(client.publish(topic, 'x', { qos: 2 })?.reasonCode).toBe(ReasonCode.TopicNameInvalid);
    expect(client.subscribe(topic)).toEqual([ReasonCode.TopicFilterInvalid]);
  }
  expect(client.subscribe(['x'.repeat(20), 'a/b/c/d'])).toEqual([2, 2]);
});
