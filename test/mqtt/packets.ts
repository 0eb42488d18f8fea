/** Any sound packet, for the property tests, and what becomes of its bytes on the way. */
import fc from 'fast-check';
import {
  type Acknowledgement,
  type Connect,
  type MessageProperties,
  type Packet,
  type ProtocolVersion,
  type Publish,
  plainConnect,
  type Subscribe,
  type UserProperty,
} from '../../core/mqtt/packet.ts';
import type { ReasonCode } from '../../core/mqtt/reason-code.ts';
import { frame } from '../client.ts';

export const versions = fc.constantFrom<ProtocolVersion>(3, 4, 5);

const text = fc
  .oneof(
    fc.string({ maxLength: 12 }),
    fc.string({ unit: 'binary', maxLength: 6 }),
    fc.string({ minLength: 120, maxLength: 140 }),
  )
  .map((any) => any.replaceAll('\0', ''));
const topicName = text.map((any) => any.replace(/[+#]/g, '')).filter((name) => name.length > 0);
const binary = fc.uint8Array({ maxLength: 20 }).map((bytes) => Buffer.from(bytes));
const twoBytes = fc.integer({ min: 0, max: 0xffff });
const identifier = fc.integer({ min: 1, max: 0xffff });
const fourBytes = fc.oneof(fc.constantFrom(0, 0xffffffff), fc.integer({ min: 0, max: 0xffffffff }));
const qos = fc.constantFrom(0 as const, 1 as const, 2 as const);
const flag = fc.boolean();
const userProperties: fc.Arbitrary<UserProperty[]> = fc.array(
  fc.tuple(fc.oneof(fc.constantFrom('a', 'b', '', '__proto__'), text), text),
  { minLength: 1, maxLength: 4 },
);

function maybe<T>(arbitrary: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> {
  return fc.option(arbitrary, { nil: undefined });
}

const messageProperties: fc.Arbitrary<MessageProperties | undefined> = maybe(
  fc.record({
    payloadFormatIndicator: maybe(fc.constantFrom(0 as const, 1 as const)),
    contentType: maybe(text),
    responseTopic: maybe(topicName),
    correlationData: maybe(binary),
    userProperties: maybe(userProperties),
  }),
).map((some) =>
  some !== undefined && Object.values(some).every((value) => value === undefined)
    ? undefined
    : some,
);

const connect: fc.Arbitrary<Connect> = fc
  .record({
    type: fc.constant('connect' as const),
    protocolVersion: versions,
    cleanStart: flag,
    keepAliveSeconds: twoBytes,
    clientIdentifier: text,
    userName: maybe(text),
    password: maybe(binary),
    will: maybe(
      fc.record({
        topic: text,
        payload: binary,
        qos,
        retain: flag,
        delaySeconds: fourBytes,
        messageExpiryInterval: maybe(fourBytes),
        properties: messageProperties,
      }),
    ),
    sessionExpiryInterval: fourBytes,
    receiveMaximum: identifier,
    maximumPacketSize: maybe(fc.integer({ min: 1, max: 0xffffffff })),
    topicAliasMaximum: twoBytes,
    requestResponseInformation: flag,
    requestProblemInformation: flag,
    authenticationMethod: maybe(text),
    authenticationData: maybe(binary),
    userProperties: maybe(userProperties),
  })
  .map((packet): Connect => {
    const { authenticationMethod, authenticationData, will } = packet;
    if (packet.protocolVersion === 5) {
      return authenticationMethod === undefined
        ? { ...packet, authenticationData: undefined }
        : { ...packet, authenticationData };
    }
    return {
      ...packet,
      ...plainConnect,
      password: packet.userName === undefined ? undefined : packet.password,
      will:
        will === undefined
          ? undefined
          : { ...will, delaySeconds: 0, messageExpiryInterval: undefined, properties: undefined },
      sessionExpiryInterval: packet.cleanStart ? 0 : 0xffffffff,
    };
  });

export function publishes(version: ProtocolVersion): fc.Arbitrary<Publish> {
  return fc
    .record({
      type: fc.constant('publish' as const),
      dup: flag,
      qos,
      retain: flag,
      topic: topicName,
      packetIdentifier: identifier,
      topicAlias: version === 5 ? maybe(twoBytes) : fc.constant(undefined),
      messageExpiryInterval: version === 5 ? maybe(fourBytes) : fc.constant(undefined),
      subscriptionIdentifiers:
        version === 5
          ? maybe(
              fc.array(fc.integer({ min: 1, max: 268_435_455 }), { minLength: 1, maxLength: 3 }),
            )
          : fc.constant(undefined),
      properties: version === 5 ? messageProperties : fc.constant(undefined),
      payload: fc.oneof(
        binary,
        fc.integer({ min: 100, max: 300 }).map((size) => Buffer.alloc(size, 'x')),
      ),
    })
    .map((packet) => (packet.qos === 0 ? { ...packet, dup: false, packetIdentifier: 0 } : packet));
}

function code(...codes: readonly ReasonCode[]): fc.Arbitrary<ReasonCode> {
  return fc.constantFrom(...codes);
}

/** In 3.x a packet says nothing but its type and identifier. */
function answer(version: ProtocolVersion, codes: fc.Arbitrary<ReasonCode>) {
  return {
    packetIdentifier: identifier,
    reasonCode: version === 5 ? codes : code(0x00),
    reasonString: version === 5 ? maybe(text) : fc.constant(undefined),
    userProperties: version === 5 ? maybe(userProperties) : fc.constant(undefined),
  };
}

export function acknowledgements(version: ProtocolVersion): fc.Arbitrary<Acknowledgement> {
  const received = code(0x00, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99);
  const released = code(0x00, 0x92);
  return fc.oneof(
    fc.record({ type: fc.constantFrom('puback', 'pubrec'), ...answer(version, received) }),
    fc.record({ type: fc.constantFrom('pubrel', 'pubcomp'), ...answer(version, released) }),
  );
}

function subscribes(version: ProtocolVersion): fc.Arbitrary<Subscribe> {
  const off = fc.constant(false);
  return fc.record({
    type: fc.constant('subscribe'),
    packetIdentifier: identifier,
    subscriptionIdentifier:
      version === 5 ? maybe(fc.integer({ min: 1, max: 268_435_455 })) : fc.constant(undefined),
    subscriptions: fc.array(
      fc.record({
        topicFilter: text,
        maximumQoS: qos,
        noLocal: version === 5 ? flag : off,
        retainAsPublished: version === 5 ? flag : off,
        retainHandling: version === 5 ? qos : fc.constant(0 as const),
      }),
      { minLength: 1, maxLength: 4 },
    ),
    userProperties: version === 5 ? maybe(userProperties) : fc.constant(undefined),
  });
}

/** Any packet that `version` can say; a CONNECT is of any version. */
export function packets(version: ProtocolVersion): fc.Arbitrary<Packet> {
  const five = version === 5;
  const none = fc.constant(undefined);
  const said = five ? maybe(text) : none;
  const saidToo = five ? maybe(userProperties) : none;
  const number = five ? maybe(fourBytes) : none;
  const short = five ? maybe(twoBytes) : none;
  const truth = five ? maybe(flag) : none;
  const legacyReturn = code(0x00, 0x84, 0x85, 0x86, 0x87, 0x88);
  const suback = five ? code(0x00, 0x01, 0x02, 0x80, 0x87, 0x8f, 0x97, 0xa2) : code(0, 1, 2, 0x80);
  const all: fc.Arbitrary<Packet>[] = [
    connect,
    publishes(version),
    acknowledgements(version),
    subscribes(version),
    fc.constant({ type: 'pingreq' }),
    fc.constant({ type: 'pingresp' }),
    fc.record({
      type: fc.constant('connack'),
      sessionPresent: version === 3 ? fc.constant(false) : flag,
      reasonCode: five ? code(0x00, 0x80, 0x84, 0x86, 0x87, 0x95, 0x9f) : legacyReturn,
      sessionExpiryInterval: number,
      receiveMaximum: five ? maybe(identifier) : none,
      maximumQoS: five ? maybe(fc.constantFrom(0 as const, 1 as const)) : none,
      retainAvailable: truth,
      maximumPacketSize: five ? maybe(fc.integer({ min: 1, max: 0xffffffff })) : none,
      assignedClientIdentifier: said,
      topicAliasMaximum: short,
      reasonString: said,
      userProperties: saidToo,
      wildcardSubscriptionAvailable: truth,
      subscriptionIdentifiersAvailable: truth,
      sharedSubscriptionAvailable: truth,
      serverKeepAliveSeconds: short,
      responseInformation: said,
      serverReference: said,
      authenticationMethod: said,
      authenticationData: none,
    }),
    fc.record({
      type: fc.constant('suback'),
      packetIdentifier: identifier,
      reasonCodes: fc.array(suback, { minLength: 1, maxLength: 4 }),
      reasonString: said,
      userProperties: saidToo,
    }),
    fc.record({
      type: fc.constant('unsuback'),
      packetIdentifier: identifier,
      reasonCodes: five
        ? fc.array(code(0x00, 0x11, 0x80, 0x87, 0x91), { minLength: 1, maxLength: 4 })
        : fc.constant([]),
      reasonString: said,
      userProperties: saidToo,
    }),
    fc.record({
      type: fc.constant('unsubscribe'),
      packetIdentifier: identifier,
      topicFilters: fc.array(text, { minLength: 1, maxLength: 4 }),
      userProperties: saidToo,
    }),
    fc.record({
      type: fc.constant('disconnect'),
      reasonCode: five ? code(0x00, 0x04, 0x82, 0x8b, 0x8e, 0x9d, 0xa2) : code(0x00),
      sessionExpiryInterval: number,
      reasonString: said,
      userProperties: saidToo,
      serverReference: said,
    }),
  ];
  if (five) {
    all.push(
      fc.record({
        type: fc.constant('auth'),
        reasonCode: code(0x00, 0x18, 0x19),
        authenticationMethod: text,
        authenticationData: maybe(binary),
        reasonString: said,
        userProperties: saidToo,
      }),
    );
  }
  return fc.oneof(...all);
}

export type Damage =
  | { readonly kind: 'set'; readonly at: number; readonly to: number }
  | { readonly kind: 'cut'; readonly at: number; readonly to: number }
  | { readonly kind: 'insert'; readonly at: number; readonly to: number }
  | { readonly kind: 'first'; readonly at: number; readonly to: number };

/** What may happen to a packet; places count as parts of 1 000 of its length. */
export const damages: fc.Arbitrary<readonly Damage[]> = fc.array(
  fc.record({
    kind: fc.constantFrom(
      'set' as const,
      'set' as const,
      'cut' as const,
      'insert' as const,
      'first' as const,
    ),
    at: fc.integer({ min: 0, max: 999 }),
    to: fc.oneof(
      fc.constantFrom(0, 1, 2, 0x26, 0x7f, 0x80, 0xff),
      fc.integer({ min: 0, max: 255 }),
    ),
  }),
  { maxLength: 3 },
);

/** A packet of its own again, whose Remaining Length is right: what a Framer could cut. */
export function damaged(bytes: Uint8Array, list: readonly Damage[]): Buffer {
  let first = bytes[0] ?? 0;
  let start = 1;
  while ((bytes[start++] ?? 0) > 127);
  let body = Buffer.from(bytes.subarray(start));
  for (const { kind, at, to } of list) {
    const place = Math.floor((at * body.length) / 1_000);
    if (kind === 'first') first = at % 2 === 0 ? (first & 0xf0) | (to & 0x0f) : to;
    else if (kind === 'set' && body.length > 0) body[place] = to;
    else if (kind === 'cut') body = body.subarray(0, place);
    else body = Buffer.concat([body.subarray(0, place), Buffer.from([to]), body.subarray(place)]);
  }
  return frame(first, body);
}
