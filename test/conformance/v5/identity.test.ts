/** Who said it: the User Properties that are ours, beside the rules of MQTT 5.0 section 3.3.2.3.7. */
import { expect, test } from 'bun:test';
import type { UserProperty } from '../../../core/mqtt/packet.ts';
import { will } from '../../client.ts';
import { everything, Harness } from '../../harness.ts';

const handler = { user: 'worker', role: 'handler', grants: undefined } as const;
const phone = { user: 'ann', role: 'device', grants: everything } as const;
const given: UserProperty[] = [
  ['b', '1'],
  ['a', '2'],
  ['b', '1'],
];
const stamps: UserProperty[] = [
  ['bellhop-user', 'ann'],
  ['bellhop-client', 'phone'],
];

test('[MQTT-3.3.2-17] [MQTT-3.3.2-18] a handler gets the User Properties as they were sent, and behind them who said it', () => {
  const harness = new Harness();
  const worker = harness.connected('worker', { topicAliasMaximum: 5 }, { identity: handler });
  worker.subscribe('command');
  const client = harness.connected('phone', {}, { identity: phone });
  for (const qos of [0, 1, 2] as const) {
    client.publish('command', 'x', { qos, properties: { userProperties: given } });
    client.publish('command', 'x', { qos });
    expect(worker.receive().properties?.userProperties).toEqual([...given, ...stamps]);
    expect(worker.receive().properties?.userProperties).toEqual(stamps);
  }
});

test('[MQTT-3.3.2-17] devices, and handlers of 3.1.1, get the User Properties as they were sent, or none', () => {
  const harness = new Harness();
  const other = harness.connected('other');
  const old = harness.connected('old', {}, { version: 4, identity: handler });
  for (const each of [other, old]) each.subscribe('command');
  const client = harness.connected('phone', {}, { identity: phone });
  client.publish('command', 'x', { properties: { userProperties: given } });
  client.publish('command', 'x');
  const [first, second] = other.messages();
  expect(first?.properties?.userProperties).toEqual(given);
  expect(second?.properties).toBeUndefined();
  expect(old.messages()).toHaveLength(2);
});

test('names that are ours are taken out of what anybody sends, and nothing else is', () => {
  const harness = new Harness();
  const worker = harness.connected('worker', {}, { identity: handler });
  const other = harness.connected('other');
  for (const each of [worker, other]) each.subscribe('command');
  const forged: UserProperty[] = [
    ['bellhop-user', 'root'],
    ['b', '1'],
    ['bellhop-anything', 'x'],
    ['a', '2'],
    ['bellhop-client', 'root'],
    ['b', '1'],
  ];
  const client = harness.connected('phone', {}, { identity: phone });
  client.publish('command', 'x', { properties: { userProperties: forged } });
  expect(other.next('publish').properties?.userProperties).toEqual(given);
  expect(worker.next('publish').properties?.userProperties).toEqual([...given, ...stamps]);
  const fromStaff = harness.connected('staff', {}, { identity: { ...handler, user: 'boss' } });
  fromStaff.publish('command', 'x', { properties: { userProperties: forged } });
  expect(other.next('publish').properties?.userProperties).toEqual(given);
});

test('a Will says who it is from as well, and cannot pretend', () => {
  const harness = new Harness();
  const worker = harness.connected('worker', {}, { identity: handler });
  worker.subscribe('gone');
  const properties = { userProperties: [['bellhop-user', 'root'] as const] };
  const fields = { will: will('gone', 'x', { properties }) };
  harness.connected('phone', fields, { identity: phone }).lose();
  expect(worker.next('publish').properties?.userProperties).toEqual(stamps);
});

test('a message that waited, or was retained, says who it is from', () => {
  const harness = new Harness();
  const fields = { cleanStart: false, sessionExpiryInterval: 100 };
  const worker = harness.connected('worker', fields, { identity: handler });
  worker.subscribe('command');
  worker.lose();
  const client = harness.connected('phone', {}, { identity: phone });
  client.publish('command', 'x', { qos: 1, retain: true });
  client.disconnect();
  const again = harness.connected('worker', fields, { identity: handler });
  const who = () =>
    again
      .next('publish')
      .properties?.userProperties?.filter(([name]) => name !== 'bellhop-message');
  expect(who()).toEqual(stamps);
  again.subscribe('command');
  expect(who()).toEqual(stamps);
});

test('a handler is told the number of what is stored, the same when it comes again; a device is not', () => {
  const harness = new Harness({ durable: true });
  const fields = { cleanStart: false, sessionExpiryInterval: 100 };
  const worker = harness.connected('worker', fields, { identity: handler });
  worker.subscribe('command');
  const device = harness.connected('device', fields);
  device.subscribe('command');
  harness.connected('phone', {}, { identity: phone }).publish('command', 'x', { qos: 1 });
  const numbered = [...stamps, ['bellhop-message', expect.stringMatching(/^[1-9]\d*$/)]];
  const first = worker.next('publish').properties?.userProperties;
  expect(first).toEqual(numbered as typeof first);
  expect(device.next('publish').properties?.userProperties).toBeUndefined();
  worker.lose();
  const again = harness.connected('worker', fields, { identity: handler });
  expect(again.next('publish').properties?.userProperties).toEqual(
    first as NonNullable<typeof first>,
  );
});
