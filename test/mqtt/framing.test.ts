import { describe, expect, setDefaultTimeout, spyOn, test } from 'bun:test';
import fc from 'fast-check';
import { Framer } from '../../core/mqtt/framing.ts';
import { ProtocolViolation, ReasonCode } from '../../core/mqtt/reason-code.ts';
import { frame } from '../client.ts';
import { patienceMs, runs, seed } from '../seed.ts';
import { hex } from './bytes.ts';

setDefaultTimeout(patienceMs);

/** What `next` finds in `framer` now. They are no copies. */
function found(framer: Framer): Uint8Array[] {
  const packets: Uint8Array[] = [];
  while (framer.next()) packets.push(framer.bytes.subarray(framer.start, framer.end));
  return packets;
}

function violation(run: () => void): ProtocolViolation {
  try {
    run();
  } catch (error) {
    if (error instanceof ProtocolViolation) return error;
    throw error;
  }
  throw new Error('nothing was thrown');
}

const packets = fc.array(
  fc
    .tuple(
      fc.integer({ min: 0, max: 255 }),
      fc.oneof(fc.integer({ min: 0, max: 300 }), fc.constant(20_000)),
    )
    .map(([first, size]) => frame(first, Buffer.alloc(size, first))),
  { minLength: 1, maxLength: 12 },
);

describe('cutting', () => {
  test('packets are the same however the stream is cut, and whenever they are asked for', () => {
    fc.assert(
      fc.property(
        packets,
        fc.array(fc.tuple(fc.integer({ min: 1, max: 400 }), fc.boolean()), {
          minLength: 1,
          maxLength: 40,
        }),
        (sent, cuts) => {
          const stream = Buffer.concat(sent);
          const framer = new Framer(1_000_000);
          const got: Uint8Array[] = [];
          let at = 0;
          for (let turn = 0; at < stream.length; turn++) {
            const [size, ask] = cuts[turn % cuts.length] as [number, boolean];
            framer.push(Buffer.from(stream.subarray(at, at + size))); // each chunk its own memory
            at += size;
            const before = got.reduce((sum, packet) => sum + packet.length, 0);
            expect(framer.heldBytes).toBe(Math.min(at, stream.length) - before);
            if (ask) got.push(...found(framer));
          }
          got.push(...found(framer));
          // Compared at the end: no packet may have changed while later ones came in.
          expect(got).toEqual(sent);
          expect(framer.heldBytes).toBe(0);
        },
      ),
      { seed, numRuns: runs(500) },
    );
  });

  test('a packet that came whole is not copied', () => {
    const chunk = hex`c0 00 30 03 0001 'a' c0`;
    const framer = new Framer(100);
    framer.push(chunk);
    for (const packet of found(framer)) expect(packet.buffer).toBe(chunk.buffer);
    expect(framer.heldBytes).toBe(1);
  });

  test('a chunk may be used again once what it held was asked for', () => {
    const chunk = hex`c0 00 30 03 00`;
    const framer = new Framer(100);
    framer.push(chunk);
    expect(found(framer)).toHaveLength(1);
    chunk.set(hex`01 'a' ffffff`);
    framer.push(chunk.subarray(0, 2));
    expect(found(framer)).toEqual([hex`30 03 0001 'a'`]);
  });

  test('an empty chunk changes nothing', () => {
    const framer = new Framer(100);
    framer.push(hex``);
    expect(framer.next()).toBe(false);
    framer.push(hex`c0`);
    framer.push(hex``);
    expect(framer.next()).toBe(false);
    framer.push(hex`00`);
    expect(found(framer)).toEqual([hex`c0 00`]);
  });
});

describe('bounds', () => {
  test('[MQTT-3.2.2-15] a packet that is too large is refused before its body arrives', () => {
    const framer = new Framer(1_000);
    framer.push(hex`30 e6`);
    expect(framer.next()).toBe(false);
    framer.push(hex`07`); // 998 and the fixed header of 3 are 1001
    const { reasonCode, statement } = violation(() => framer.next());
    expect({ reasonCode, statement }).toEqual({
      reasonCode: ReasonCode.PacketTooLarge,
      statement: 'MQTT-3.2.2-15',
    });
  });

  test('the fixed header counts: a packet of just the maximum passes', () => {
    const framer = new Framer(1_000);
    const largest = frame(0x30, Buffer.alloc(997));
    framer.push(largest);
    expect(found(framer)).toEqual([largest]);
  });

  test('the maximum may be raised between two packets', () => {
    const framer = new Framer(10);
    const packet = frame(0x30, Buffer.alloc(100));
    framer.push(hex`c0 00`);
    expect(found(framer)).toHaveLength(1);
    framer.maximumPacketSize = 102;
    framer.push(packet);
    expect(found(framer)).toEqual([packet]);
  });

  const lengths: readonly [string, Buffer, boolean][] = [
    ['0', hex`30 00`, true],
    ['0 in two bytes', hex`30 80 00`, false],
    ['127', frame(0x30, Buffer.alloc(127)), true],
    ['127 in two bytes', hex`30 ff 00`, false],
    ['128', frame(0x30, Buffer.alloc(128)), true],
    ['1 in three bytes', hex`30 81 80 00`, false],
    ['16 384', frame(0x30, Buffer.alloc(16_384)), true],
    ['2 097 152', frame(0x30, Buffer.alloc(2_097_152)), true],
    ['1 in four bytes', hex`30 81 80 80 00`, false],
    ['of five bytes', hex`30 80 80 80 80 01`, false],
    ['of five bytes, the last still to come', hex`30 ff ff ff ff`, false],
  ];
  test.each(lengths)('[MQTT-1.5.5-1] a Remaining Length of %s', (_, bytes, sound) => {
    const framer = new Framer(268_435_460);
    framer.push(bytes);
    if (sound) {
      expect(found(framer)).toEqual([bytes]);
    } else {
      const { reasonCode, statement } = violation(() => framer.next());
      expect(reasonCode).toBe(ReasonCode.MalformedPacket);
      expect(statement).toBe('MQTT-1.5.5-1');
    }
  });

  test('memory grows with what came, not with what was announced', () => {
    const asked = spyOn(Buffer, 'allocUnsafeSlow');
    const framer = new Framer(268_435_460);
    framer.push(hex`30 ff ff ff 7f`);
    expect(framer.next()).toBe(false);
    framer.push(Buffer.alloc(1_000));
    expect(framer.next()).toBe(false);
    const sizes = asked.mock.calls.map(([size]) => size);
    asked.mockRestore();
    expect(Math.max(...sizes)).toBeLessThan(3_000);
  });

  test.each([
    ['asked for after each byte', true],
    ['asked for only at the end', false],
  ])('a slow drip, %s, costs a few times its bytes and no more', (_, ask) => {
    const body = 100_000;
    const stream = Buffer.concat([
      frame(0x30, Buffer.alloc(body, 1)),
      ...Array.from({ length: 10_000 }, () => hex`c0 00`),
      frame(0x30, Buffer.alloc(body, 2)),
    ]);
    const asked = spyOn(Buffer, 'allocUnsafeSlow');
    const framer = new Framer(1_000_000);
    let count = 0;
    for (let at = 0; at < stream.length; at++) {
      framer.push(stream.subarray(at, at + 1));
      if (ask) while (framer.next()) count++;
    }
    while (framer.next()) count++;
    const sizes = asked.mock.calls.map(([size]) => size);
    asked.mockRestore();
    expect(count).toBe(10_002);
    // Small packets that come in two pieces each need a buffer of 64 bytes, hence the second term.
    expect(sizes.reduce((sum, size) => sum + size, 0)).toBeLessThan(5 * stream.length + 64 * count);
  });

  test('a chunk is let go once all in it was asked for: an idle connection holds none', () => {
    const framer = new Framer(1_000);
    framer.push(hex`c000 c000`);
    expect(found(framer).length).toBe(2);
    expect(framer.bytes.length).toBe(0);
  });

  test('a large packet that was read leaves no large buffer behind', () => {
    const framer = new Framer(1_000_000);
    const packet = frame(0x30, Buffer.alloc(100_000));
    framer.push(packet.subarray(0, 10));
    expect(framer.next()).toBe(false);
    framer.push(Buffer.concat([packet.subarray(10), hex`c0`]));
    expect(found(framer)).toEqual([packet]);
    expect(framer.heldBytes).toBe(1);
    framer.push(hex`00`);
    expect(framer.next()).toBe(true);
    expect(framer.bytes.buffer.byteLength).toBeLessThan(100);
  });
});
