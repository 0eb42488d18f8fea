/** What the standard forbids in every packet but CONNECT and CONNACK. */
import { hex } from './bytes.ts';
import { ALL, check, forbidden, LEGACY, malformed } from './refusals.ts';

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
