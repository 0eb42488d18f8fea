/**
 * PUBLISH and its acknowledgements are read by hand; mqtt-packet is the other reading of the same
 * bytes. Where both read, they agree; what it refuses is refused; what is refused besides has a
 * statement of the standard.
 */
import { expect, setDefaultTimeout, test } from 'bun:test';
import fc from 'fast-check';
import mqttPacket from 'mqtt-packet';
import { decode, encode } from '../../core/mqtt/codec.ts';
import type { Packet, ProtocolVersion, UserProperty } from '../../core/mqtt/packet.ts';
import { ProtocolViolation } from '../../core/mqtt/reason-code.ts';
import { patienceMs, runs, seed } from '../seed.ts';
import { acknowledgements, damaged, damages, publishes, versions } from './packets.ts';

setDefaultTimeout(patienceMs);

function theirs(bytes: Buffer, version: ProtocolVersion): mqttPacket.Packet | undefined {
  const parser = mqttPacket.parser({ protocolVersion: version });
  let packet: mqttPacket.Packet | undefined;
  let failed = false;
  parser.on('packet', (parsed) => {
    packet = parsed;
  });
  parser.on('error', () => {
    failed = true;
  });
  parser.parse(bytes);
  return failed ? undefined : packet;
}

function ours(bytes: Buffer, version: ProtocolVersion): Packet | ProtocolViolation {
  try {
    return decode(bytes, 0, bytes.length, version);
  } catch (error) {
    if (error instanceof ProtocolViolation) return error;
    throw error;
  }
}

/** User properties as mqtt-packet keeps them: by name, and an empty value gives way to the next. */
function grouped(list: readonly UserProperty[] | undefined): unknown {
  if (list === undefined) return undefined;
  const groups = new Map<string, string | string[]>();
  for (const [name, value] of list) {
    const held = groups.get(name);
    if (held === undefined || held === '') groups.set(name, value);
    else groups.set(name, Array.isArray(held) ? [...held, value] : [held, value]);
  }
  return Object.fromEntries([...groups].map(([name, value]) => [`"${name}"`, value]));
}

function theirGroups(properties: mqttPacket.UserProperties | undefined): unknown {
  if (properties === undefined) return undefined;
  return Object.fromEntries(
    Object.getOwnPropertyNames(properties).map((name) => [`"${name}"`, properties[name]]),
  );
}

/** What our reading comes to in the words of mqtt-packet. */
function inTheirWords(packet: Packet): object {
  switch (packet.type) {
    case 'publish': {
      const { properties, subscriptionIdentifiers: identifiers } = packet;
      return {
        cmd: 'publish',
        dup: packet.dup,
        qos: packet.qos,
        retain: packet.retain,
        topic: packet.topic,
        payload: packet.payload,
        messageId: packet.qos === 0 ? undefined : packet.packetIdentifier,
        payloadFormatIndicator:
          properties?.payloadFormatIndicator === undefined
            ? undefined
            : properties.payloadFormatIndicator === 1,
        messageExpiryInterval: packet.messageExpiryInterval,
        topicAlias: packet.topicAlias,
        responseTopic: properties?.responseTopic,
        correlationData: properties?.correlationData,
        userProperties: grouped(properties?.userProperties),
        subscriptionIdentifier: identifiers?.length === 1 ? identifiers[0] : identifiers,
        contentType: properties?.contentType,
      };
    }
    case 'puback':
    case 'pubrec':
    case 'pubrel':
    case 'pubcomp':
      return {
        cmd: packet.type,
        messageId: packet.packetIdentifier,
        reasonCode: packet.reasonCode,
        reasonString: packet.reasonString,
        userProperties: grouped(packet.userProperties),
      };
    default:
      throw new Error(`${packet.type} is not read by hand`);
  }
}

function flattened(packet: mqttPacket.Packet, version: ProtocolVersion): object {
  switch (packet.cmd) {
    case 'publish': {
      const { cmd, dup, qos, retain, topic, payload, messageId, properties } = packet;
      return {
        cmd,
        dup: dup && qos > 0,
        qos,
        retain,
        topic,
        payload,
        messageId,
        ...properties,
        userProperties: theirGroups(properties?.userProperties),
      };
    }
    case 'puback':
    case 'pubrec':
    case 'pubrel':
    case 'pubcomp': {
      const { cmd, messageId, reasonCode, properties } = packet;
      return {
        cmd,
        messageId,
        reasonCode: version === 5 ? reasonCode : 0,
        ...properties,
        userProperties: theirGroups(properties?.userProperties),
      };
    }
    default:
      throw new Error(`${packet.cmd} is not read by hand`);
  }
}

const byHand = new Set([3, 4, 5, 6, 7]);

test('PUBLISH, PUBACK, PUBREC, PUBREL and PUBCOMP read as mqtt-packet reads them, or more strictly', () => {
  let generated = 0;
  let agreed = 0;
  let both = 0;
  const stricter = new Map<string, number>();
  fc.assert(
    fc.property(
      versions.chain((version) =>
        fc
          .oneof(publishes(version), acknowledgements(version))
          .map((packet) => ({ version, bytes: encode(packet, version) })),
      ),
      damages,
      ({ version, bytes: sound }, list) => {
        generated++;
        const bytes = damaged(sound, list);
        const type = (bytes[0] as number) >> 4;
        if (!byHand.has(type)) return;
        // In 3.1 the flags of these packets are not used; mqtt-packet refuses them all the same.
        const asked = Buffer.from(bytes);
        if (version === 3 && type !== 3) asked[0] = type === 6 ? 0x62 : type << 4;
        const expected = theirs(asked, version);
        const got = ours(bytes, version);
        if (got instanceof ProtocolViolation) {
          if (expected === undefined) both++;
          else stricter.set(got.statement, (stricter.get(got.statement) ?? 0) + 1);
          expect(got.statement).toMatch(/^MQTT3?-\d/);
        } else {
          expect(expected).toBeDefined();
          if (expected === undefined) return;
          expect(inTheirWords(got)).toEqual(flattened(expected, version));
          agreed++;
        }
      },
    ),
    { seed, numRuns: runs(4_000) },
  );
  const alone = [...stricter].sort(([, left], [, right]) => right - left);
  console.info(
    `${generated} frames: ${agreed} read alike, ${both} refused by both, refused here alone:`,
    alone.map(([statement, count]) => `${count} [${statement}]`).join(', '),
  );
  // Neither side of the comparison may be empty.
  expect(agreed).toBeGreaterThan(800);
  expect(both).toBeGreaterThan(80);
  expect(stricter.size).toBeGreaterThan(5);
});

test('what is written by hand is what mqtt-packet would write, properties of one name apart', () => {
  fc.assert(
    fc.property(publishes(4), (packet) => {
      const { dup, qos, retain, topic, payload, packetIdentifier } = packet;
      const written = mqttPacket.generate({
        cmd: 'publish',
        dup,
        qos,
        retain,
        topic,
        payload: Buffer.from(payload),
        ...(qos > 0 ? { messageId: packetIdentifier } : {}),
      });
      expect(encode(packet, 4)).toEqual(written);
    }),
    { seed, numRuns: runs(500) },
  );
});
