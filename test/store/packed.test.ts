import { expect, test } from 'bun:test';
import fc from 'fast-check';
import type { MessageProperties } from '../../core/mqtt/packet.ts';
import { packHead, unpackMessage } from '../../core/store/message-form.ts';
import { Packer, Unpacker } from '../../core/store/packed.ts';
import { seed } from '../seed.ts';
import { content } from './changes.ts';

const text = fc.string({ unit: 'binary', maxLength: 200 });

test('what is packed is unpacked as it was, whatever stands beside it', () => {
  const value = fc.oneof(
    fc.record({ kind: fc.constant('byte' as const), value: fc.nat(255) }),
    fc.record({ kind: fc.constant('size' as const), value: fc.nat(0x7fff_ffff) }),
    fc.record({ kind: fc.constant('number' as const), value: fc.maxSafeNat() }),
    fc.record({ kind: fc.constant('text' as const), value: text }),
    fc.record({ kind: fc.constant('data' as const), value: fc.uint8Array({ maxLength: 300 }) }),
  );
  fc.assert(
    fc.property(fc.array(value), (values) => {
      const packer = new Packer(new ArrayBuffer(1)); // so that it grows
      for (const each of values) {
        if (each.kind === 'text') packer.text(each.value);
        else if (each.kind === 'data') packer.data(each.value);
        else packer[each.kind](each.value);
      }
      const unpacker = new Unpacker(packer.written);
      for (const { kind, value } of values) {
        const found = unpacker[kind]();
        if (kind === 'data') expect(new Uint8Array(found as Uint8Array)).toEqual(value);
        else expect(found).toBe(value);
      }
      expect(unpacker.done).toBe(true);
    }),
    { seed },
  );
});

test('the longest texts and data of the standard fit, and Infinity does', () => {
  const packer = new Packer();
  packer.text('ü'.repeat(32_767));
  packer.data(new Uint8Array(3_000_000).fill(7));
  packer.number(Number.POSITIVE_INFINITY);
  const unpacker = new Unpacker(packer.written);
  expect(unpacker.text()).toBe('ü'.repeat(32_767));
  expect(unpacker.data().length).toBe(3_000_000);
  expect(unpacker.number()).toBe(Number.POSITIVE_INFINITY);
});

test('[MQTT-3.3.2-18] properties keep their bytes and User Properties their order', () => {
  const properties = fc.record(
    {
      payloadFormatIndicator: fc.constantFrom(0 as const, 1 as const),
      contentType: text,
      responseTopic: text,
      correlationData: fc.uint8Array(),
      userProperties: fc.array(fc.tuple(text, text)),
    },
    { requiredKeys: [] },
  );
  fc.assert(
    fc.property(fc.option(properties, { nil: undefined }), text, text, (found, user, client) => {
      const message = {
        ...content,
        properties: found as MessageProperties | undefined,
        publisher: { ...content.publisher, user, clientIdentifier: client },
      };
      const head = packHead(message);
      expect(unpackMessage(message.topic, head, message.payload)).toEqual(message);
    }),
    { seed },
  );
});
