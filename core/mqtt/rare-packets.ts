/**
 * The packets of which a connection sees a few, read: CONNECT, SUBSCRIBE and the like. This is the only
 * file that knows mqtt-packet, which reads them after `strict.ts` has found nothing against them, and its
 * words end here. `control-packets.ts` writes the same packets.
 *
 * What 3.x says differently in them ends here too: a Clean Session becomes an expiry, a Return Code a
 * Reason Code.
 */
import mqttPacket from 'mqtt-packet';
import { requiredFlags } from './fixed-header.ts';
import type {
  Auth,
  Connack,
  Connect,
  Disconnect,
  Packet,
  ProtocolVersion,
  Publish,
  QoS,
  RetainHandling,
  Subscribe,
  SubscriptionAcknowledgement,
  Unsubscribe,
  Will,
} from './packet.ts';
import type { Properties } from './properties.ts';
import { messagePropertiesOf } from './publish.ts';
import { malformed, Reader } from './reader.ts';
import { ReasonCode, reasonOfReturnCode } from './reason-code.ts';
import {
  checkAuth,
  checkConnack,
  checkConnect,
  checkDisconnect,
  checkSubscribe,
  checkSubscriptionAcknowledgement,
  checkUnsubscribe,
} from './strict.ts';

/** A Session Expiry Interval that never comes: what Clean Session 0 means in 5.0. */
const NEVER = 0xffffffff;
const reader = new Reader();

/**
 * Reads the packet in `bytes` from `start` to `end`, whose Variable Header begins at `position`: any but
 * PUBLISH and what answers it, PINGREQ and PINGRESP. Nothing in what comes back points into `bytes`.
 *
 * Throws a ProtocolViolation and nothing else.
 */
export function decodeRare(
  bytes: Uint8Array,
  start: number,
  end: number,
  position: number,
  version: ProtocolVersion,
): Exclude<Packet, Publish> {
  const frame = copyOf(bytes, start, end);
  reader.reset(frame, position - start, frame.length, version);
  switch ((bytes[start] as number) >> 4) {
    case 1:
      return decodeConnect(frame);
    case 2:
      return decodeConnack(frame, version);
    case 8:
      return decodeSubscribe(frame, version);
    case 9:
      return decodeSubscriptionAcknowledgement('suback', frame, version);
    case 10:
      return decodeUnsubscribe(frame, version);
    case 11:
      return decodeSubscriptionAcknowledgement('unsuback', frame, version);
    case 14:
      return decodeDisconnect(frame, version);
    case 15:
      return decodeAuth(frame, version);
    default:
      throw malformed(version, '', '', 'packet type 0 is reserved');
  }
}

/** A copy that mqtt-packet may point into, with the flags that it insists on. */
function copyOf(bytes: Uint8Array, start: number, end: number): Buffer {
  const frame = Buffer.allocUnsafeSlow(end - start);
  frame.set(bytes.subarray(start, end));
  const type = (frame[0] as number) >> 4;
  frame[0] = (type << 4) | requiredFlags(type);
  return frame;
}

/** A parser of mqtt-packet for each protocol version, made anew after one has failed: making one costs more than reading with it. */
const parsers = new Map<ProtocolVersion, mqttPacket.Parser>();
let parsed: mqttPacket.Packet | undefined;
let failure = '';

function parserFor(version: ProtocolVersion): mqttPacket.Parser {
  let parser = parsers.get(version);
  if (parser === undefined) {
    parser = mqttPacket.parser({ protocolVersion: version });
    parser.on('packet', (packet) => {
      parsed = packet;
    });
    parser.on('error', (error) => {
      failure = String(error);
    });
    parsers.set(version, parser);
  }
  return parser;
}

/** What mqtt-packet reads in one packet that is known to be sound. Nothing of one stays for the next. */
function parse<C extends mqttPacket.PacketCmd>(
  command: C,
  frame: Buffer,
  version: ProtocolVersion,
): Extract<mqttPacket.Packet, { cmd: C }> {
  parsed = undefined;
  failure = '';
  let left = 1;
  try {
    left = parserFor(version).parse(frame);
  } finally {
    if (left !== 0 || failure !== '') parsers.delete(version);
  }
  const found = parsed as mqttPacket.Packet | undefined;
  parsed = undefined;
  if (failure === '' && found?.cmd === command) {
    return found as Extract<mqttPacket.Packet, { cmd: C }>;
  }
  throw malformed(version, '', '', failure || `mqtt-packet finds no ${command}`);
}

/**
 * Takes `secret` out of the frame that it lies in: mqtt-packet prints what it reads where DEBUG asks
 * for it, and no token may reach a log.
 */
function takeSecret(secret: Uint8Array | undefined): Uint8Array | undefined {
  if (secret === undefined) return undefined;
  const taken = Buffer.from(secret);
  secret.fill(0);
  return taken;
}

function decodeConnect(frame: Buffer): Connect {
  const checked = checkConnect(reader);
  frame[checked.flagsAt] = checked.flags;
  const { version, properties } = checked;
  const password = takeSecret(checked.password);
  const authenticationData = takeSecret(properties.authenticationData);
  const parsed = parse('connect', frame, version);
  const cleanStart = parsed.clean === true;
  const legacyExpiry = cleanStart ? 0 : NEVER;
  return {
    type: 'connect',
    protocolVersion: version,
    cleanStart,
    keepAliveSeconds: parsed.keepalive ?? 0,
    clientIdentifier: parsed.clientId,
    userName: parsed.username,
    password,
    will: parsed.will === undefined ? undefined : willOf(parsed.will, checked.willProperties),
    sessionExpiryInterval: version === 5 ? (properties.sessionExpiryInterval ?? 0) : legacyExpiry,
    receiveMaximum: properties.receiveMaximum ?? 65_535,
    maximumPacketSize: properties.maximumPacketSize,
    topicAliasMaximum: properties.topicAliasMaximum ?? 0,
    requestResponseInformation: properties.requestResponseInformation ?? false,
    requestProblemInformation: properties.requestProblemInformation ?? true,
    authenticationMethod: properties.authenticationMethod,
    authenticationData,
    userProperties: properties.userProperties,
  };
}

function willOf(will: NonNullable<mqttPacket.IConnectPacket['will']>, found: Properties): Will {
  return {
    topic: will.topic,
    payload: will.payload as Buffer,
    qos: will.qos as QoS,
    retain: will.retain === true,
    delaySeconds: found.willDelaySeconds ?? 0,
    messageExpiryInterval: found.messageExpiryInterval,
    properties: messagePropertiesOf(found),
  };
}

function decodeConnack(frame: Buffer, version: ProtocolVersion): Connack {
  const found = checkConnack(reader);
  const { sessionPresent, reasonCode, returnCode } = parse('connack', frame, version);
  return {
    type: 'connack',
    sessionPresent: sessionPresent && version !== 3, // in 3.1 the byte is not used
    reasonCode: (version === 5
      ? reasonCode
      : reasonOfReturnCode(returnCode as number)) as ReasonCode,
    sessionExpiryInterval: found.sessionExpiryInterval,
    receiveMaximum: found.receiveMaximum,
    maximumQoS: found.maximumQoS,
    retainAvailable: found.retainAvailable,
    maximumPacketSize: found.maximumPacketSize,
    assignedClientIdentifier: found.assignedClientIdentifier,
    topicAliasMaximum: found.topicAliasMaximum,
    reasonString: found.reasonString,
    userProperties: found.userProperties,
    wildcardSubscriptionAvailable: found.wildcardSubscriptionAvailable,
    subscriptionIdentifiersAvailable: found.subscriptionIdentifiersAvailable,
    sharedSubscriptionAvailable: found.sharedSubscriptionAvailable,
    serverKeepAliveSeconds: found.serverKeepAliveSeconds,
    responseInformation: found.responseInformation,
    serverReference: found.serverReference,
    authenticationMethod: found.authenticationMethod,
    authenticationData: found.authenticationData,
  };
}

function decodeSubscribe(frame: Buffer, version: ProtocolVersion): Subscribe {
  const found = checkSubscribe(reader);
  const { messageId, subscriptions } = parse('subscribe', frame, version);
  return {
    type: 'subscribe',
    packetIdentifier: messageId as number,
    subscriptionIdentifier: found.subscriptionIdentifiers?.[0],
    subscriptions: subscriptions.map(({ topic, qos, nl, rap, rh }) => ({
      topicFilter: topic,
      maximumQoS: qos,
      noLocal: nl === true,
      retainAsPublished: rap === true,
      retainHandling: (rh ?? 0) as RetainHandling,
    })),
    userProperties: found.userProperties,
  };
}

function decodeSubscriptionAcknowledgement(
  type: 'suback' | 'unsuback',
  frame: Buffer,
  version: ProtocolVersion,
): SubscriptionAcknowledgement {
  const found = checkSubscriptionAcknowledgement(reader, type);
  const { messageId, granted } = parse(type, frame, version);
  return {
    type,
    packetIdentifier: messageId as number,
    reasonCodes: (granted ?? []) as ReasonCode[],
    reasonString: found.reasonString,
    userProperties: found.userProperties,
  };
}

function decodeUnsubscribe(frame: Buffer, version: ProtocolVersion): Unsubscribe {
  const found = checkUnsubscribe(reader);
  const { messageId, unsubscriptions } = parse('unsubscribe', frame, version);
  return {
    type: 'unsubscribe',
    packetIdentifier: messageId as number,
    topicFilters: unsubscriptions,
    userProperties: found.userProperties,
  };
}

/** What most clients say: nothing but that they leave. [MQTT-3.14.2-1] */
const plainDisconnect: Disconnect = {
  type: 'disconnect',
  reasonCode: ReasonCode.Success,
  sessionExpiryInterval: undefined,
  reasonString: undefined,
  userProperties: undefined,
  serverReference: undefined,
};

function decodeDisconnect(frame: Buffer, version: ProtocolVersion): Disconnect {
  if (reader.done) return plainDisconnect;
  const found = checkDisconnect(reader);
  const { reasonCode } = parse('disconnect', frame, version);
  return {
    type: 'disconnect',
    reasonCode: (reasonCode ?? ReasonCode.Success) as ReasonCode,
    sessionExpiryInterval: found.sessionExpiryInterval,
    reasonString: found.reasonString,
    userProperties: found.userProperties,
    serverReference: found.serverReference,
  };
}

function decodeAuth(frame: Buffer, version: ProtocolVersion): Auth {
  const empty = reader.done; // Success, which mqtt-packet takes for a mistake
  const found = checkAuth(reader);
  const authenticationData = takeSecret(found.authenticationData);
  const { reasonCode } = empty ? { reasonCode: 0 } : parse('auth', frame, version);
  return {
    type: 'auth',
    reasonCode: reasonCode as ReasonCode,
    authenticationMethod: found.authenticationMethod,
    authenticationData,
    reasonString: found.reasonString,
    userProperties: found.userProperties,
  };
}
