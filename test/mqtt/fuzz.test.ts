import { expect, setDefaultTimeout, test } from 'bun:test';
import fc from 'fast-check';
import { decode, encode, peekProtocolVersion } from '../../core/mqtt/codec.ts';
import { Framer } from '../../core/mqtt/framing.ts';
import type { Packet, ProtocolVersion } from '../../core/mqtt/packet.ts';
import { ProtocolViolation } from '../../core/mqtt/reason-code.ts';
import { patienceMs, runs, seed } from '../seed.ts';
import { damaged, damages, packets, versions } from './packets.ts';

setDefaultTimeout(patienceMs);

/** Undefined where it is refused; throws what no peer may be able to cause. */
function read(bytes: Uint8Array, version: ProtocolVersion): Packet | undefined {
  try {
    return decode(bytes, 0, bytes.length, version);
  } catch (error) {
    if (!(error instanceof ProtocolViolation)) throw error;
    expect(error.statement).toMatch(/^MQTT3?-\d+(\.\d+)+-\d+$/);
    expect(error.message).not.toBe('');
    return undefined;
  }
}

const packetOfVersion = versions.chain((version) =>
  packets(version).map((packet) => ({ version, packet })),
);

test('whatever is written is read back as it was', () => {
  fc.assert(
    fc.property(packetOfVersion, ({ version, packet }) => {
      const bytes = encode(packet, version);
      expect(decode(bytes, 0, bytes.length, version)).toEqual(packet);
    }),
    { seed, numRuns: runs(1_500) },
  );
});

test('a damaged packet is refused as a violation, or read as what is written and read again', () => {
  fc.assert(
    fc.property(packetOfVersion, damages, ({ version, packet }, list) => {
      const bytes = damaged(encode(packet, version), list);
      const once = read(bytes, version);
      if (once === undefined) return;
      const again = encode(once, version);
      expect(decode(again, 0, again.length, version)).toEqual(once);
    }),
    { seed, numRuns: runs(4_000) },
  );
});

test('random bytes are refused as a violation, or read', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 60 }), versions, (bytes, version) => {
      read(bytes, version);
      peekProtocolVersion(bytes, 0, bytes.length);
      const framer = new Framer(1_000);
      framer.push(bytes);
      try {
        while (framer.next()) {
          read(framer.bytes.subarray(framer.start, framer.end), version);
        }
      } catch (error) {
        expect(error).toBeInstanceOf(ProtocolViolation);
      }
    }),
    { seed, numRuns: runs(4_000) },
  );
});

test('what stands before and behind a packet is never looked at', () => {
  fc.assert(
    fc.property(packetOfVersion, damages, fc.uint8Array({ maxLength: 8 }), (made, list, noise) => {
      const { version, packet } = made;
      const alone = damaged(encode(packet, version), list);
      const around = Buffer.concat([noise, alone, noise]);
      let expected: unknown;
      let got: unknown;
      try {
        expected = decode(alone, 0, alone.length, version);
      } catch (error) {
        expected = String(error);
      }
      try {
        got = decode(around, noise.length, noise.length + alone.length, version);
      } catch (error) {
        got = String(error);
      }
      expect(got).toEqual(expected);
    }),
    { seed, numRuns: runs(1_500) },
  );
});
