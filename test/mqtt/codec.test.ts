import { describe, expect, test } from 'bun:test';
import {
  decode,
  encode,
  encodeAcknowledgement,
  patchPacketIdentifier,
  peekProtocolVersion,
  publishHeadLength,
} from '../../core/mqtt/codec.ts';
import { Framer } from '../../core/mqtt/framing.ts';
import type { Packet, ProtocolVersion } from '../../core/mqtt/packet.ts';
import { ReasonCode } from '../../core/mqtt/reason-code.ts';
import { hex } from './bytes.ts';
import { vectors } from './vectors.ts';

const cases = vectors.flatMap(({ versions, ...rest }) =>
  versions.map((version) => ({ version, ...rest })),
);

/** The packets that `chunks` hold, cut by a Framer. */
function packetsIn(chunks: readonly Uint8Array[], version: ProtocolVersion): Packet[] {
  const framer = new Framer(1_000_000);
  const packets: Packet[] = [];
  for (const chunk of chunks) {
    framer.push(chunk);
    while (framer.next()) {
      packets.push(decode(framer.bytes, framer.start, framer.end, version));
    }
  }
  expect(framer.heldBytes).toBe(0);
  return packets;
}

describe('golden bytes', () => {
  test.each(cases)('$name, version $version, is read', ({ bytes, packet, version }) => {
    expect(decode(bytes, 0, bytes.length, version)).toEqual(packet);
  });

  test.each(cases)('$name, version $version, is written', ({ bytes, packet, version }) => {
    expect(Buffer.from(encode(packet, version)).toString('hex')).toBe(bytes.toString('hex'));
  });

  test.each(cases)('$name, version $version, is read in the midst of others', (vector) => {
    const around = Buffer.concat([hex`ff ff ff`, vector.bytes, hex`ff ff ff`]);
    expect(decode(around, 3, 3 + vector.bytes.length, vector.version)).toEqual(vector.packet);
  });

  test.each(cases)('$name, version $version, is the same wherever it is cut', (vector) => {
    const { bytes, packet, version } = vector;
    const step = Math.max(1, Math.floor(bytes.length / 200));
    for (let cut = 1; cut < bytes.length; cut += step) {
      const chunks = [bytes.subarray(0, cut), bytes.subarray(cut)];
      expect(packetsIn(chunks, version)).toEqual([packet]);
    }
  });

  test.each(cases)('$name, version $version, is refused wherever it ends too early', (vector) => {
    const { bytes, version } = vector;
    for (let end = 0; end < bytes.length; end += Math.max(1, Math.floor(bytes.length / 200))) {
      expect(() => decode(bytes, 0, end, version)).toThrow(/Remaining Length/);
    }
  });

  test.each([3, 4, 5] as const)(
    'all of version %d come out of one chunk, and byte by byte',
    (version) => {
      const mine = cases.filter((vector) => vector.version === version);
      const stream = Buffer.concat(mine.map(({ bytes }) => bytes));
      const packets = mine.map(({ packet }) => packet);
      expect(packetsIn([stream], version)).toEqual(packets);
      const drops = Array.from(stream, (_, at) => stream.subarray(at, at + 1));
      expect(packetsIn(drops, version)).toEqual(packets);
    },
  );

  test('the payload of a PUBLISH is no copy', () => {
    const bytes = hex`30 07 0003 'a/b' 'hi'`;
    const packet = decode(bytes, 0, bytes.length, 4);
    expect(packet.type === 'publish' && packet.payload.buffer).toBe(bytes.buffer);
  });

  test('the password and the Will of a CONNECT outlive the chunk that they came in', () => {
    const bytes = hex`10 1d 0004 'MQTT' 04 ee 003c 0001 'c' 0001 'w' 0003 'bye' 0003 'JWT' 0001 'x'`;
    const packet = decode(bytes, 0, bytes.length, 4);
    bytes.fill(0);
    expect(packet).toMatchObject({
      password: Buffer.from('x'),
      will: { payload: Buffer.from('bye') },
    });
  });
});

describe('secrets', () => {
  const connect = hex`10 28 0004 'MQTT' 05 c2 003c 10 15 0003 'JWT' 16 0007 'secret1' 0000 0000 0007 'secret2'`;
  const auth = hex`f0 12 19 10 15 0003 'JWT' 16 0007 'secret1'`;

  test('mqtt-packet, which prints what it reads under DEBUG, never sees a token', () => {
    const decoded = `
      const { decode } = await import('./core/mqtt/codec.ts');
      for (const bytes of ['${connect.toString('hex')}', '${auth.toString('hex')}']) {
        const packet = decode(Buffer.from(bytes, 'hex'), 0, bytes.length / 2, 5);
        console.log(packet.type, String(packet.password), String(packet.authenticationData));
      }`;
    const { stdout, stderr } = Bun.spawnSync([process.execPath, '-e', decoded], {
      cwd: `${import.meta.dir}/../..`,
      env: { ...process.env, DEBUG: '*', DEBUG_COLORS: 'no' },
    });
    expect(stdout.toString()).toBe('connect secret2 secret1\nauth undefined secret1\n');
    const printed = stderr.toString();
    expect(printed).toContain('mqtt-packet:parser _parseConnect');
    expect(printed).not.toContain('secret');
    expect(printed).not.toContain('73 65 63 72 65 74'); // the same in hexadecimal
  });
});

describe('what is read in more than one form', () => {
  const forms: readonly [string, Buffer, ProtocolVersion, object][] = [
    [
      'a PUBACK with a Reason Code and no Property Length',
      hex`40 03 0001 10`,
      5,
      { type: 'puback', packetIdentifier: 1, reasonCode: ReasonCode.NoMatchingSubscribers },
    ],
    [
      'a PUBREL of Success spelled out',
      hex`62 04 0001 00 00`,
      5,
      { type: 'pubrel', packetIdentifier: 1, reasonCode: ReasonCode.Success },
    ],
    [
      'a DISCONNECT of Normal disconnection spelled out',
      hex`e0 02 00 00`,
      5,
      { type: 'disconnect', reasonCode: ReasonCode.Success },
    ],
    [
      'a CONNECT whose properties say what would hold without them',
      hex`10 1d 0004 'MQTT' 05 02 003c 0f 11 00000000 17 01 19 00 21 ffff 22 0000 0001 'c'`,
      5,
      {
        sessionExpiryInterval: 0,
        requestProblemInformation: true,
        requestResponseInformation: false,
        receiveMaximum: 65_535,
        topicAliasMaximum: 0,
      },
    ],
    [
      'properties of a PUBLISH in any order',
      hex`30 18 0003 'a/b' 11 26 0001 'b' 0000 23 0001 26 0001 'a' 0000 01 01 'h'`,
      5,
      {
        topicAlias: 1,
        properties: {
          payloadFormatIndicator: 1,
          userProperties: [
            ['b', ''],
            ['a', ''],
          ],
        },
      },
    ],
  ];
  test.each(forms)('%s', (_, bytes, version, fields) => {
    expect(decode(bytes, 0, bytes.length, version)).toMatchObject(fields);
  });

  test('a PUBLISH without properties, or with none to pass on, has none', () => {
    for (const bytes of [hex`30 08 0003 'a/b' 00 'hi'`, hex`30 0b 0003 'a/b' 03 23 0001 'hi'`]) {
      expect(decode(bytes, 0, bytes.length, 5)).toHaveProperty('properties', undefined);
    }
  });
});

describe('MQTT 3.1 as it was', () => {
  test('DUP and QoS flags that 3.1 has no use for pass', () => {
    for (const bytes of [hex`8a 06 0001 0001 'a' 00`, hex`6a 02 0001`, hex`aa 05 0001 0001 'a'`]) {
      expect(decode(bytes, 0, bytes.length, 3)).toHaveProperty('packetIdentifier', 1);
      expect(() => decode(bytes, 0, bytes.length, 4)).toThrow(/fixed header flags/);
    }
    const publish = hex`38 03 0001 'a'`;
    expect(decode(publish, 0, publish.length, 3)).toMatchObject({ dup: false, topic: 'a' });
  });

  test('a User Name or Password that the flags promise may be missing at the end', () => {
    const neither = hex`10 0f 0006 'MQIsdp' 03 c2 003c 0001 'c'`;
    expect(decode(neither, 0, neither.length, 3)).toMatchObject({
      userName: undefined,
      password: undefined,
    });
    const nameOnly = hex`10 12 0006 'MQIsdp' 03 c2 003c 0001 'c' 0001 'u'`;
    expect(decode(nameOnly, 0, nameOnly.length, 3)).toMatchObject({
      userName: 'u',
      password: undefined,
    });
  });

  test('Will QoS and Will Retain are disregarded without a Will', () => {
    const bytes = hex`10 0f 0006 'MQIsdp' 03 3a 003c 0001 'c'`;
    expect(decode(bytes, 0, bytes.length, 3)).toHaveProperty('will', undefined);
  });
});

describe('what 3.x cannot say', () => {
  test('[MQTT3-3.2.2-6] a CONNACK whose reason has no Return Code comes out empty', () => {
    const refusal = { type: 'connack', sessionPresent: false } as const;
    for (const version of [3, 4] as const) {
      const malformed = { ...refusal, reasonCode: ReasonCode.MalformedPacket };
      expect(encode(malformed, version)).toHaveLength(0);
      const expired = { ...refusal, reasonCode: ReasonCode.NotAuthorized, reasonString: 'expired' };
      expect(encode(expired, version)).toEqual(hex`20 02 00 05`);
    }
  });

  test('3.1 knows no Session Present', () => {
    const packet = {
      type: 'connack',
      sessionPresent: true,
      reasonCode: ReasonCode.Success,
    } as const;
    expect(encode(packet, 3)).toEqual(hex`20 02 00 00`);
  });

  test('[MQTT3-3.9.3-2] every refusal in a SUBACK is 0x80, and its properties are left out', () => {
    const packet: Packet = {
      type: 'suback',
      packetIdentifier: 1,
      reasonCodes: [ReasonCode.GrantedQoS1, ReasonCode.NotAuthorized, ReasonCode.QuotaExceeded],
      reasonString: 'no',
      userProperties: [['a', 'b']],
    };
    expect(encode(packet, 4)).toEqual(hex`90 05 0001 01 80 80`);
  });

  test('an UNSUBACK has no codes', () => {
    const packet: Packet = {
      type: 'unsuback',
      packetIdentifier: 1,
      reasonCodes: [ReasonCode.NoSubscriptionExisted],
    };
    expect(encode(packet, 4)).toEqual(hex`b0 02 0001`);
  });

  test('an acknowledgement has no Reason Code', () => {
    const packet: Packet = {
      type: 'puback',
      packetIdentifier: 1,
      reasonCode: ReasonCode.NotAuthorized,
      reasonString: 'no',
    };
    expect(encode(packet, 4)).toEqual(hex`40 02 0001`);
  });

  test('a DISCONNECT with a reason to tell comes out empty', () => {
    const packet: Packet = { type: 'disconnect', reasonCode: ReasonCode.SessionTakenOver };
    expect(encode(packet, 4)).toHaveLength(0);
  });

  test('a PUBLISH loses its properties and its Topic Alias', () => {
    const bytes = hex`30 0f 0003 'a/b' 07 23 0001 03 0001 'c' 'hi'`;
    const packet = decode(bytes, 0, bytes.length, 5);
    expect(encode(packet, 4)).toEqual(hex`30 07 0003 'a/b' 'hi'`);
  });
});

describe('acknowledgements without properties', () => {
  test('take four bytes in 3.x and for Success, else six, in one buffer each', () => {
    const success = encodeAcknowledgement('pubrel', 0x1234, ReasonCode.Success, 5);
    expect(success).toEqual(hex`62 02 1234`);
    expect(encodeAcknowledgement('puback', 1, ReasonCode.NotAuthorized, 4)).toBe(success);
    expect(success).toEqual(hex`40 02 0001`);
    const refusal = encodeAcknowledgement('pubrec', 2, ReasonCode.QuotaExceeded, 5);
    expect(refusal).toEqual(hex`50 04 0002 97 00`);
  });

  test('encode hands out frames that stay', () => {
    const packet: Packet = { type: 'puback', packetIdentifier: 1, reasonCode: ReasonCode.Success };
    const frame = encode(packet, 5);
    encode({ ...packet, packetIdentifier: 2 }, 5);
    expect(frame).toEqual(hex`40 02 0001`);
  });
});

describe('a PUBLISH that is encoded once for many', () => {
  test.each([0, 1, 120, 16_400])('takes another Packet Identifier, payload of %d bytes', (size) => {
    for (const version of [4, 5] as const) {
      const packet = {
        type: 'publish',
        dup: false,
        qos: 1,
        retain: false,
        topic: 'é/b',
        packetIdentifier: 1,
        topicAlias: undefined,
        messageExpiryInterval: 60,
        subscriptionIdentifiers: undefined,
        properties: undefined,
        payload: Buffer.alloc(size, 7),
      } as const;
      const frame = encode(packet, version);
      patchPacketIdentifier(frame, 0xabcd);
      expect(frame).toEqual(encode({ ...packet, packetIdentifier: 0xabcd }, version));
      expect(frame.subarray(0, publishHeadLength(frame)).subarray(-2)).toEqual(hex`abcd`);
    }
  });
});

describe('the version of a CONNECT, even of one that is broken', () => {
  const peeks: readonly [string, Buffer, number | undefined][] = [
    ['3.1', hex`10 0f 0006 'MQIsdp' 03 02 003c 0001 'c'`, 3],
    ['5.0', hex`10 0d 0004 'MQTT' 05 02 0000 00 0000`, 5],
    ['5.0 with a long Remaining Length', hex`10 ff7f 0004 'MQTT' 05 02`, 5],
    ['6', hex`10 07 0004 'MQTT' 06`, 6],
    ['the bridge bit', hex`10 07 0004 'MQTT' 84`, 0x84],
    ['cut off before it', hex`10 06 0004 'MQTT'`, undefined],
    ['nothing', hex`10`, undefined],
    ['not even that', hex``, undefined],
    ['a name that never ends', hex`10 04 ffff 'MQ'`, undefined],
  ];
  test.each(peeks)('%s', (_, bytes, version) => {
    expect(peekProtocolVersion(bytes, 0, bytes.length)).toBe(version);
  });
});

describe('mistakes of ours are asserted and never sent', () => {
  const long = 'é'.repeat(32_768);
  const mistakes: readonly [string, Packet][] = [
    [
      'a Topic Name of 65 536 bytes',
      {
        type: 'publish',
        dup: false,
        qos: 0,
        retain: false,
        topic: long,
        packetIdentifier: 0,
        topicAlias: undefined,
        messageExpiryInterval: undefined,
        subscriptionIdentifiers: undefined,
        properties: undefined,
        payload: Buffer.alloc(0),
      },
    ],
    [
      'a Reason String of 65 536 bytes',
      { type: 'puback', packetIdentifier: 1, reasonCode: ReasonCode.Success, reasonString: long },
    ],
    [
      'a User Property of 65 536 bytes',
      {
        type: 'disconnect',
        reasonCode: ReasonCode.ServerBusy,
        userProperties: [['a', long]],
      },
    ],
    [
      'Authentication Data of 65 536 bytes',
      {
        type: 'auth',
        reasonCode: ReasonCode.ContinueAuthentication,
        authenticationMethod: 'JWT',
        authenticationData: Buffer.alloc(65_536),
      },
    ],
  ];
  test.each(mistakes)('%s', (_, packet) => {
    expect(() => encode(packet, 5)).toThrow(/65536 bytes does not fit a packet/);
  });

  const wrongCodes: readonly Packet[] = [
    { type: 'connack', sessionPresent: false, reasonCode: ReasonCode.SessionTakenOver },
    { type: 'pubrel', packetIdentifier: 1, reasonCode: ReasonCode.NotAuthorized },
    { type: 'suback', packetIdentifier: 1, reasonCodes: [ReasonCode.NoSubscriptionExisted] },
    { type: 'disconnect', reasonCode: ReasonCode.BadUserNameOrPassword },
  ];
  test.each(wrongCodes)('a Reason Code that no $type carries', (packet) => {
    expect(() => encode(packet, 5)).toThrow(/cannot carry/);
  });

  test('a payload that no packet holds', () => {
    const bytes = hex`30 03 0001 'a'`;
    const packet = decode(bytes, 0, bytes.length, 4) as Extract<Packet, { type: 'publish' }>;
    const payload = { length: 268_435_456 } as Uint8Array;
    expect(() => encode({ ...packet, payload }, 4)).toThrow(/do not fit a packet/);
  });
});
