/** What the standard forbids in the fixed header, in CONNECT and in CONNACK. */
import { frame } from '../client.ts';
import { hex } from './bytes.ts';
import { ALL, check, forbidden, LEGACY, malformed, unsupported } from './refusals.ts';

/** CONNECT from its flags on, in 3.1.1 and 5.0. */
function connect(version: 4 | 5, flags: string, payload: Buffer): Buffer {
  const properties = version === 5 ? '00' : '';
  const head = hex`0004 'MQTT' 0${String(version)} ${flags} 003c ${properties}`;
  return frame(0x10, Buffer.concat([head, payload]));
}

check('the fixed header', [
  malformed('packet type 0', ALL, hex`00 00`),
  malformed('packet type 0 with flags', [4, 5], hex`0f 00`, 'MQTT-2.1.3-1', 'MQTT3-2.2.2-2'),
  malformed('a Remaining Length that is too small', ALL, hex`c0 00 00`),
  malformed('a Remaining Length that is too large', ALL, hex`c0 01`),
  malformed('a Remaining Length without an end', ALL, hex`c0 80`),
  malformed('a Remaining Length of five bytes', ALL, hex`c0 80 80 80 80 00`),
  malformed('no Remaining Length', ALL, hex`c0`),
  malformed('nothing at all', ALL, hex``),
  malformed(
    'CONNECT with DUP',
    [4, 5],
    hex`18 0c 0004 'MQTT' 04 02 0000 0000`,
    'MQTT-2.1.3-1',
    'MQTT3-2.2.2-2',
  ),
  ...(
    [
      ['CONNACK', hex`21 02 00 00`],
      ['PUBACK', hex`42 02 0001`],
      ['PUBREC', hex`51 02 0001`],
      ['PUBCOMP', hex`78 02 0001`],
      ['SUBACK', hex`92 03 0001 00`],
      ['UNSUBACK', hex`b2 02 0001`],
      ['PINGREQ', hex`c1 00`],
      ['PINGRESP', hex`d8 00`],
    ] as const
  ).map(([name, bytes]) =>
    malformed(`${name} with flags`, [4, 5], bytes, 'MQTT-2.1.3-1', 'MQTT3-2.2.2-2'),
  ),
  malformed('PUBREL with flags 0', [4, 5], hex`60 02 0001`, 'MQTT-3.6.1-1', 'MQTT3-3.6.1-1'),
  malformed('PUBREL with flags 3', [4, 5], hex`63 02 0001`, 'MQTT-3.6.1-1', 'MQTT3-3.6.1-1'),
  malformed(
    'SUBSCRIBE with flags 0',
    [4, 5],
    hex`80 06 0001 0001 'a' 00`,
    'MQTT-3.8.1-1',
    'MQTT3-3.8.1-1',
  ),
  malformed(
    'SUBSCRIBE with DUP',
    [4, 5],
    hex`8a 06 0001 0001 'a' 00`,
    'MQTT-3.8.1-1',
    'MQTT3-3.8.1-1',
  ),
  malformed(
    'UNSUBSCRIBE with flags 0',
    [4, 5],
    hex`a0 05 0001 0001 'a'`,
    'MQTT-3.10.1-1',
    'MQTT3-3.10.1-1',
  ),
  malformed('DISCONNECT with flags 2', [4, 5], hex`e2 00`, 'MQTT-3.14.1-1', 'MQTT3-3.14.1-1'),
  malformed('AUTH with flags 1', [5], hex`f1 00`, 'MQTT-3.15.1-1'),
]);

// In 5.0 alone: for a CONNECT the version that is asked for does not matter, the packet has its own.
check('the version of a CONNECT', [
  unsupported(
    'another protocol name',
    [5],
    hex`10 0d 0004 'MQTX' 05 02 003c 00 0000`,
    'MQTT-3.1.2-1',
  ),
  unsupported(
    'a name in small letters',
    [5],
    hex`10 0d 0004 'mqtt' 05 02 003c 00 0000`,
    'MQTT-3.1.2-1',
  ),
  unsupported('an empty name', [5], hex`10 08 0000 05 02 003c 0000`, 'MQTT-3.1.2-1'),
  unsupported('MQTT at level 3', [5], hex`10 0d 0004 'MQTT' 03 02 003c 0001 'c'`, 'MQTT-3.1.2-1'),
  unsupported(
    'MQIsdp at level 4',
    [5],
    hex`10 0f 0006 'MQIsdp' 04 02 003c 0001 'c'`,
    'MQTT-3.1.2-1',
  ),
  unsupported(
    'MQIsdp at level 5',
    [5],
    hex`10 10 0006 'MQIsdp' 05 02 003c 00 0001 'c'`,
    'MQTT-3.1.2-1',
  ),
  unsupported('level 0', [5], hex`10 0d 0004 'MQTT' 00 02 003c 0001 'c'`, 'MQTT-3.1.2-2'),
  unsupported('level 6, whatever follows', [5], hex`10 09 0004 'MQTT' 06 ff ff`, 'MQTT-3.1.2-2'),
  unsupported(
    'level 4 with the bridge bit',
    [5],
    hex`10 0d 0004 'MQTT' 84 02 003c 0001 'c'`,
    'MQTT-3.1.2-2',
  ),
  unsupported(
    'level 3 with the bridge bit',
    [5],
    hex`10 0f 0006 'MQIsdp' 83 02 003c 0001 'c'`,
    'MQTT-3.1.2-2',
  ),
  malformed('a name that is cut off', [5], hex`10 04 0004 'MQ'`),
  malformed(
    'a name that is no UTF-8',
    [5],
    hex`10 0d 0004 'MQT' ff 05 02 003c 00 0000`,
    'MQTT-1.5.4-1',
  ),
  malformed('no level', [5], hex`10 06 0004 'MQTT'`),
  malformed('nothing', [5], hex`10 00`),
]);

check('CONNECT', [
  ...([4, 5] as const).flatMap((version) => {
    const versions = [version];
    const id = hex`0001 'c'`;
    const will = version === 5 ? hex`0001 'c' 00` : id;
    const join = (...parts: readonly Buffer[]) => Buffer.concat(parts);
    return [
      malformed(
        'the reserved flag',
        versions,
        connect(version, '03', id),
        'MQTT-3.1.2-3',
        'MQTT3-3.1.2-3',
      ),
      malformed(
        'Will QoS 3',
        versions,
        connect(version, '1e', join(will, hex`0001 'w' 0000`)),
        'MQTT-3.1.2-12',
        'MQTT3-3.1.2-14',
      ),
      malformed(
        'Will QoS 3 without a Will',
        versions,
        connect(version, '1a', id),
        'MQTT-3.1.2-12',
        'MQTT3-3.1.2-14',
      ),
      malformed(
        'Will QoS 1 without a Will',
        versions,
        connect(version, '0a', id),
        'MQTT-3.1.2-11',
        'MQTT3-3.1.2-13',
      ),
      malformed(
        'Will Retain without a Will',
        versions,
        connect(version, '22', id),
        'MQTT-3.1.2-13',
        'MQTT3-3.1.2-15',
      ),
      malformed('no Connect Flags', versions, frame(0x10, hex`0004 'MQTT' 0${String(version)}`)),
      malformed(
        'half a Keep Alive',
        versions,
        frame(0x10, hex`0004 'MQTT' 0${String(version)} 02 00`),
      ),
      malformed(
        'no Client Identifier',
        versions,
        connect(version, '02', hex``),
        'MQTT-3.1.3-3',
        'MQTT3-3.1.3-3',
      ),
      malformed(
        'half a Client Identifier',
        versions,
        connect(version, '02', hex`0002 'c'`),
        'MQTT-3.1.3-3',
        'MQTT3-3.1.3-3',
      ),
      malformed(
        'a Will and no Will Topic',
        versions,
        connect(version, '06', will),
        'MQTT-3.1.2-9',
        'MQTT3-3.1.2-9',
      ),
      malformed(
        'a Will and no Will Payload',
        versions,
        connect(version, '06', join(will, hex`0001 'w'`)),
        'MQTT-3.1.2-9',
        'MQTT3-3.1.2-9',
      ),
      malformed(
        'half a Will Payload',
        versions,
        connect(version, '06', join(will, hex`0001 'w' 0002 'x'`)),
        'MQTT-3.1.2-9',
        'MQTT3-3.1.2-9',
      ),
      malformed(
        'no User Name though the flag is set',
        versions,
        connect(version, '82', id),
        'MQTT-3.1.2-17',
        'MQTT3-3.1.2-19',
      ),
      malformed(
        'no Password though the flag is set',
        versions,
        connect(version, 'c2', join(id, hex`0001 'u'`)),
        'MQTT-3.1.2-19',
        'MQTT3-3.1.2-21',
      ),
      malformed(
        'a User Name without its flag [MQTT-3.1.2-16] [MQTT3-3.1.2-18]',
        versions,
        connect(version, '02', join(id, hex`0001 'u'`)),
        'MQTT-3.1.4-1',
        'MQTT3-3.1.4-1',
      ),
      malformed(
        'a byte behind its end',
        versions,
        connect(version, '02', join(id, hex`00`)),
        'MQTT-3.1.4-1',
        'MQTT3-3.1.4-1',
      ),
      malformed(
        'a Password without its flag [MQTT-3.1.2-18] [MQTT3-3.1.2-20]',
        versions,
        connect(version, '82', join(id, hex`0001 'u' 0001 'p'`)),
        'MQTT-3.1.4-1',
        'MQTT3-3.1.4-1',
      ),
      malformed(
        'a Will without its flag',
        versions,
        connect(version, '02', join(will, hex`0001 'w' 0000`)),
        'MQTT-3.1.4-1',
        'MQTT3-3.1.4-1',
      ),
      malformed(
        'a Client Identifier with U+0000',
        versions,
        connect(version, '02', hex`0001 00`),
        'MQTT-1.5.4-2',
        'MQTT3-1.5.3-2',
      ),
      malformed(
        'a Client Identifier with a surrogate',
        versions,
        connect(version, '02', hex`0003 eda080`),
        'MQTT-1.5.4-1',
        'MQTT3-1.5.3-1',
      ),
      malformed(
        'a Will Topic that is no UTF-8',
        versions,
        connect(version, '06', join(will, hex`0001 ff 0000`)),
        'MQTT-1.5.4-1',
        'MQTT3-1.5.3-1',
      ),
      malformed(
        'a User Name that is no UTF-8',
        versions,
        connect(version, '82', join(id, hex`0002 c0af`)),
        'MQTT-1.5.4-1',
        'MQTT3-1.5.3-1',
      ),
    ];
  }),
  malformed(
    'a Password without a User Name',
    [4],
    connect(4, '42', hex`0001 'c' 0001 'x'`),
    '',
    'MQTT3-3.1.2-22',
  ),
  malformed(
    'a Password without a User Name',
    [3],
    hex`10 12 0006 'MQIsdp' 03 42 003c 0001 'c' 0001 'x'`,
    '',
    'MQTT3-3.1.2-22',
  ),
  malformed(
    'the reserved flag',
    [3],
    hex`10 0f 0006 'MQIsdp' 03 03 003c 0001 'c'`,
    '',
    'MQTT3-3.1.2-3',
  ),
  malformed(
    'half a Password',
    [3],
    hex`10 13 0006 'MQIsdp' 03 c2 003c 0001 'c' 0001 'u' 00`,
    '',
    'MQTT3-3.1.2-21',
  ),
  malformed('no properties', [5], hex`10 0a 0004 'MQTT' 05 02 003c`),
  malformed('no Will Properties', [5], hex`10 0e 0004 'MQTT' 05 06 003c 00 0001 'c'`),
]);

check('CONNACK', [
  malformed('reserved flags', ALL, hex`20 03 02 00 00`, 'MQTT-3.2.2-1'),
  malformed('nothing', ALL, hex`20 00`),
  malformed('no code', ALL, hex`20 01 00`),
  malformed('a byte behind its end', LEGACY, hex`20 03 00 00 00`),
  malformed('a byte behind its end', [5], hex`20 04 00 00 00 00`),
  malformed('no properties', [5], hex`20 02 00 00`),
  forbidden('a Return Code beyond the table', LEGACY, hex`20 02 00 06`),
  forbidden('a Reason Code of another packet', [5], hex`20 03 00 8e 00`, 'MQTT-3.2.2-8'),
]);
