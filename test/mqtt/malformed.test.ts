/** What the standard forbids: the bytes, and the Reason Code and statement that they are refused with. */
import { describe, expect, test } from 'bun:test';
import type { ProtocolVersion } from '../../core/mqtt/packet.ts';
import { ReasonCode } from '../../core/mqtt/reason-code.ts';
import { frame, hex } from './bytes.ts';
import { refusal } from './refusal.ts';

interface Row {
  readonly name: string;
  readonly versions: readonly ProtocolVersion[];
  readonly bytes: Buffer;
  readonly reasonCode: ReasonCode;
  readonly five: string;
  readonly three: string;
}

const ALL: readonly ProtocolVersion[] = [3, 4, 5];
const LEGACY: readonly ProtocolVersion[] = [3, 4];
/** A Malformed Packet or Protocol Error of 5.0 without a statement of its own. */
const ERROR = 'MQTT-4.13.1-1';
/** A protocol violation of 3.x without one. */
const VIOLATION = 'MQTT3-4.8.0-1';

function rowsOf(reasonCode: ReasonCode) {
  return (
    name: string,
    versions: readonly ProtocolVersion[],
    bytes: Buffer,
    five: string = ERROR,
    three: string = VIOLATION,
  ): Row => ({ name, versions, bytes, reasonCode, five, three });
}
const malformed = rowsOf(ReasonCode.MalformedPacket);
const forbidden = rowsOf(ReasonCode.ProtocolError);
const unsupported = rowsOf(ReasonCode.UnsupportedProtocolVersion);

/** CONNECT from its flags on, in 3.1.1 and 5.0. */
function connect(version: 4 | 5, flags: string, payload: Buffer): Buffer {
  const properties = version === 5 ? '00' : '';
  const head = hex`0004 'MQTT' 0${String(version)} ${flags} 003c ${properties}`;
  return frame(0x10, Buffer.concat([head, payload]));
}

function check(title: string, rows: readonly Row[]): void {
  const cases = rows.flatMap(({ versions, five, three, ...row }) =>
    versions.map((version) => ({ ...row, version, statement: version === 5 ? five : three })),
  );
  describe(title, () => {
    test.each(cases)('[$statement] $name, version $version', (row) => {
      const { bytes, version, reasonCode, statement } = row;
      expect(refusal(bytes, version)).toMatchObject({ reasonCode, statement });
    });
  });
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
      malformed('no Client Identifier', versions, connect(version, '02', hex``)),
      malformed('half a Client Identifier', versions, connect(version, '02', hex`0002 'c'`)),
      malformed('a Will and no Will Topic', versions, connect(version, '06', will)),
      malformed(
        'a Will and no Will Payload',
        versions,
        connect(version, '06', join(will, hex`0001 'w'`)),
      ),
      malformed(
        'half a Will Payload',
        versions,
        connect(version, '06', join(will, hex`0001 'w' 0002 'x'`)),
      ),
      malformed('no User Name though the flag is set', versions, connect(version, '82', id)),
      malformed(
        'no Password though the flag is set',
        versions,
        connect(version, 'c2', join(id, hex`0001 'u'`)),
      ),
      malformed(
        'a User Name without its flag',
        versions,
        connect(version, '02', join(id, hex`0001 'u'`)),
      ),
      malformed('a byte behind its end', versions, connect(version, '02', join(id, hex`00`))),
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
  malformed('half a Password', [3], hex`10 13 0006 'MQIsdp' 03 c2 003c 0001 'c' 0001 'u' 00`),
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

check('PUBLISH', [
  malformed('QoS 3', [3, 4], hex`36 07 0003 'a/b' 0001`, '', 'MQTT3-3.3.1-4'),
  malformed('QoS 3', [5], hex`36 08 0003 'a/b' 0001 00`, 'MQTT-3.3.1-4'),
  malformed('DUP with QoS 0', [4], hex`38 05 0003 'a/b'`, '', 'MQTT3-3.3.1-2'),
  malformed('DUP with QoS 0', [5], hex`38 06 0003 'a/b' 00`, 'MQTT-3.3.1-2'),
  malformed('nothing', ALL, hex`30 00`, 'MQTT-3.3.2-1', 'MQTT3-3.3.2-1'),
  malformed('half a length', ALL, hex`30 01 00`, 'MQTT-3.3.2-1', 'MQTT3-3.3.2-1'),
  malformed('half a Topic Name', ALL, hex`30 04 0003 'a/'`, 'MQTT-3.3.2-1', 'MQTT3-3.3.2-1'),
  malformed(
    'a Topic Name beyond its end',
    ALL,
    hex`30 04 ffff 'a/'`,
    'MQTT-3.3.2-1',
    'MQTT3-3.3.2-1',
  ),
  malformed('no Packet Identifier', ALL, hex`32 05 0003 'a/b'`),
  malformed('half a Packet Identifier', ALL, hex`34 06 0003 'a/b' 00`),
  malformed('no properties', [5], hex`30 05 0003 'a/b'`),
  malformed('no properties behind the Packet Identifier', [5], hex`32 07 0003 'a/b' 0001`),
  forbidden(
    'Packet Identifier 0, QoS 1',
    ALL,
    hex`32 08 0003 'a/b' 0000 00`,
    'MQTT-2.2.1-3',
    'MQTT3-2.3.1-1',
  ),
  forbidden(
    'Packet Identifier 0, QoS 2',
    ALL,
    hex`34 08 0003 'a/b' 0000 00`,
    'MQTT-2.2.1-3',
    'MQTT3-2.3.1-1',
  ),
  forbidden('no Topic Name', LEGACY, hex`30 04 0000 'hi'`, '', 'MQTT3-4.7.3-1'),
  forbidden('no Topic Name and no Topic Alias', [5], hex`30 05 0000 00 'hi'`, 'MQTT-4.7.3-1'),
  forbidden('no Topic Name and other properties', [5], hex`30 05 0000 02 01 01`, 'MQTT-4.7.3-1'),
  malformed(
    'a Topic Name with U+0000',
    ALL,
    hex`30 06 0003 'a' 00 'b' 00`,
    'MQTT-1.5.4-2',
    'MQTT3-1.5.3-2',
  ),
  malformed(
    'a Topic Name with U+0000 beyond ASCII',
    ALL,
    hex`30 06 0003 c3a9 00 00`,
    'MQTT-1.5.4-2',
    'MQTT3-1.5.3-2',
  ),
  malformed(
    'a Topic Name with a surrogate',
    ALL,
    hex`30 06 0003 eda080 00`,
    'MQTT-1.5.4-1',
    'MQTT3-1.5.3-1',
  ),
  malformed(
    'a Topic Name with a pair of surrogates',
    ALL,
    hex`30 09 0006 eda0bdedb2a9 00`,
    'MQTT-1.5.4-1',
    'MQTT3-1.5.3-1',
  ),
  malformed('an overlong /', ALL, hex`30 05 0002 c0af 00`, 'MQTT-1.5.4-1', 'MQTT3-1.5.3-1'),
  malformed('an overlong U+0000', ALL, hex`30 05 0002 c080 00`, 'MQTT-1.5.4-1', 'MQTT3-1.5.3-1'),
  malformed(
    'a Topic Name cut off within a character',
    ALL,
    hex`30 04 0001 c3 00`,
    'MQTT-1.5.4-1',
    'MQTT3-1.5.3-1',
  ),
  malformed(
    'a character beyond U+10FFFF',
    ALL,
    hex`30 07 0004 f4908080 00`,
    'MQTT-1.5.4-1',
    'MQTT3-1.5.3-1',
  ),
  malformed(
    'a lone continuation byte',
    ALL,
    hex`30 04 0001 80 00`,
    'MQTT-1.5.4-1',
    'MQTT3-1.5.3-1',
  ),
]);

check('PUBACK, PUBREC, PUBREL and PUBCOMP', [
  ...(
    [
      ['PUBACK', '40', '92', 'MQTT-3.4.2-1'],
      ['PUBREC', '50', '8e', 'MQTT-3.5.2-1'],
      ['PUBREL', '62', '10', 'MQTT-3.6.2-1'],
      ['PUBCOMP', '70', '80', 'MQTT-3.7.2-1'],
    ] as const
  ).flatMap(([name, first, code, statement]) => [
    malformed(`${name} with nothing`, ALL, hex`${first} 00`),
    malformed(`${name} with half a Packet Identifier`, ALL, hex`${first} 01 00`),
    malformed(`${name} with a Reason Code`, LEGACY, hex`${first} 03 0001 00`),
    malformed(`${name} with properties`, LEGACY, hex`${first} 04 0001 00 00`),
    malformed(`${name} with a byte behind its end`, [5], hex`${first} 05 0001 00 00 00`),
    forbidden(
      `${name} with Packet Identifier 0`,
      ALL,
      hex`${first} 02 0000`,
      'MQTT-2.2.1-5',
      'MQTT3-2.3.1-6',
    ),
    forbidden(
      `${name} with a Reason Code of another packet`,
      [5],
      hex`${first} 03 0001 ${code}`,
      statement,
    ),
    forbidden(`${name} with that and properties`, [5], hex`${first} 04 0001 ${code} 00`, statement),
    forbidden(`${name} with a Reason Code that is none`, [5], hex`${first} 03 0001 ff`, statement),
  ]),
]);

check('SUBSCRIBE', [
  malformed('nothing', ALL, hex`82 00`),
  malformed('half a Packet Identifier', ALL, hex`82 01 00`),
  malformed('no properties', [5], hex`82 02 0001`),
  forbidden('Packet Identifier 0', LEGACY, hex`82 06 0000 0001 'a' 00`, '', 'MQTT3-2.3.1-1'),
  forbidden('Packet Identifier 0', [5], hex`82 07 0000 00 0001 'a' 00`, 'MQTT-2.2.1-3'),
  forbidden('no Topic Filter', LEGACY, hex`82 02 0001`, '', 'MQTT3-3.8.3-3'),
  forbidden('no Topic Filter', [5], hex`82 03 0001 00`, 'MQTT-3.8.3-2'),
  malformed('no options', LEGACY, hex`82 05 0001 0001 'a'`),
  malformed('no options', [5], hex`82 06 0001 00 0001 'a'`),
  malformed('a second Topic Filter cut off', LEGACY, hex`82 09 0001 0001 'a' 00 0002 'b'`),
  malformed(
    'options cut off behind a second Topic Filter',
    LEGACY,
    hex`82 09 0001 0001 'a' 00 0001 'b'`,
  ),
  malformed('QoS 3', LEGACY, hex`82 06 0001 0001 'a' 03`, '', 'MQTT3-3.8.3-4'),
  forbidden('QoS 3', [5], hex`82 07 0001 00 0001 'a' 03`),
  malformed('bit 2 of the QoS byte', LEGACY, hex`82 06 0001 0001 'a' 04`, '', 'MQTT3-3.8.3-4'),
  malformed('bit 7 of the QoS byte', LEGACY, hex`82 06 0001 0001 'a' 81`, '', 'MQTT3-3.8.3-4'),
  malformed('reserved bit 6', [5], hex`82 07 0001 00 0001 'a' 40`, 'MQTT-3.8.3-5'),
  malformed('reserved bit 7', [5], hex`82 07 0001 00 0001 'a' 80`, 'MQTT-3.8.3-5'),
  forbidden('Retain Handling 3', [5], hex`82 07 0001 00 0001 'a' 30`),
  forbidden(
    'No Local on a Shared Subscription',
    [5],
    hex`82 10 0001 00 000a '$share/g/a' 04`,
    'MQTT-3.8.3-4',
  ),
  malformed('a Topic Filter with U+0000', LEGACY, hex`82 06 0001 0001 00 00`, '', 'MQTT3-1.5.3-2'),
  malformed('a Topic Filter that is no UTF-8', [5], hex`82 07 0001 00 0001 ff 00`, 'MQTT-1.5.4-1'),
]);

check('SUBACK and UNSUBACK', [
  forbidden('a SUBACK without a code', LEGACY, hex`90 02 0001`),
  forbidden('a SUBACK without a code', [5], hex`90 03 0001 00`),
  forbidden('a SUBACK with Return Code 3', LEGACY, hex`90 03 0001 03`, '', 'MQTT3-3.9.3-2'),
  forbidden('a SUBACK with a Reason Code of 5.0', LEGACY, hex`90 03 0001 87`, '', 'MQTT3-3.9.3-2'),
  forbidden(
    'a SUBACK with a Reason Code of another packet',
    [5],
    hex`90 04 0001 00 11`,
    'MQTT-3.9.3-2',
  ),
  forbidden('a SUBACK with Packet Identifier 0', LEGACY, hex`90 03 0000 00`, '', 'MQTT3-2.3.1-1'),
  malformed('an UNSUBACK with a byte behind its end', LEGACY, hex`b0 03 0001 00`),
  forbidden('an UNSUBACK without a code', [5], hex`b0 03 0001 00`),
  forbidden(
    'an UNSUBACK with a Reason Code of another packet',
    [5],
    hex`b0 04 0001 00 01`,
    'MQTT-3.11.3-2',
  ),
]);

check('UNSUBSCRIBE', [
  malformed('nothing', ALL, hex`a2 00`),
  forbidden('Packet Identifier 0', LEGACY, hex`a2 05 0000 0001 'a'`, '', 'MQTT3-2.3.1-1'),
  forbidden('Packet Identifier 0', [5], hex`a2 06 0000 00 0001 'a'`, 'MQTT-2.2.1-3'),
  forbidden('no Topic Filter', LEGACY, hex`a2 02 0001`, 'MQTT-3.10.3-2', 'MQTT3-3.10.3-2'),
  forbidden('no Topic Filter', [5], hex`a2 03 0001 00`, 'MQTT-3.10.3-2'),
  malformed('half a Topic Filter', LEGACY, hex`a2 05 0001 0002 'a'`),
  malformed('half a length', [5], hex`a2 07 0001 00 0001 'a' 00`),
  malformed('a Topic Filter that is no UTF-8', [5], hex`a2 06 0001 00 0001 ff`, 'MQTT-1.5.4-1'),
]);

check('PINGREQ, PINGRESP, DISCONNECT and AUTH', [
  malformed('PINGREQ with something in it', ALL, hex`c0 01 00`),
  malformed('PINGRESP with something in it', ALL, hex`d0 01 00`),
  malformed('DISCONNECT with something in it', LEGACY, hex`e0 01 00`),
  malformed('DISCONNECT with a byte behind its end', [5], hex`e0 03 00 00 00`),
  forbidden('DISCONNECT with a Reason Code of CONNACK', [5], hex`e0 01 86`, 'MQTT-3.14.2-1'),
  forbidden('DISCONNECT with a Reason Code that is none', [5], hex`e0 02 01 00`, 'MQTT-3.14.2-1'),
  forbidden('AUTH before 5.0', LEGACY, hex`f0 00`),
  malformed('AUTH with a Reason Code alone', [5], hex`f0 01 18`),
  forbidden('AUTH without a method', [5], hex`f0 02 00 00`),
  forbidden(
    'AUTH with a Reason Code of another packet',
    [5],
    hex`f0 08 87 06 15 0003 'JWT'`,
    'MQTT-3.15.2-1',
  ),
  malformed('AUTH with a byte behind its end', [5], hex`f0 09 18 06 15 0003 'JWT' 00`),
]);
