/**
 * The packets of which a connection sees a few, written out (MQTT 5.0 chapter 3): each property in
 * ascending order of its identifier, User Properties as they came. mqtt-packet could write them too,
 * but groups User Properties by name.
 */
import assert from 'node:assert';
import type {
  Auth,
  Connack,
  Connect,
  Disconnect,
  ProtocolVersion,
  Subscribe,
  SubscriptionAcknowledgement,
  Unsubscribe,
  Will,
} from './packet.ts';
import { Property } from './properties.ts';
import { writeMessageStrings } from './publish.ts';
import {
  connectReturnCode,
  isReasonCodeOf,
  ReasonCode,
  type ReasonCodePacket,
} from './reason-code.ts';
import { Writer } from './writer.ts';

/** What comes out where the peer's version has no such packet: nothing to send. */
const NOTHING = new Uint8Array(0);
const body = new Writer();
const section = new Writer();

/** In the version that the packet itself names. */
export function encodeConnect(packet: Connect): Uint8Array {
  const { protocolVersion, will, userName, password } = packet;
  body.reset().string(protocolVersion === 3 ? 'MQIsdp' : 'MQTT', 'Protocol Name');
  body.byte(protocolVersion).byte(connectFlags(packet)).twoByteInteger(packet.keepAliveSeconds);
  if (protocolVersion === 5) body.section(connectProperties(packet));
  body.string(packet.clientIdentifier, 'Client Identifier');
  if (will !== undefined) {
    if (protocolVersion === 5) body.section(willProperties(will));
    body.string(will.topic, 'Will Topic').binary(will.payload, 'Will Payload');
  }
  if (userName !== undefined) body.string(userName, 'User Name');
  if (password !== undefined) body.binary(password, 'Password');
  return body.packet(0x10);
}

function connectFlags({ userName, password, will, cleanStart }: Connect): number {
  let flags = cleanStart ? 0x02 : 0;
  if (will !== undefined) flags |= 0x04 | (will.qos << 3) | (will.retain ? 0x20 : 0);
  if (password !== undefined) flags |= 0x40;
  if (userName !== undefined) flags |= 0x80;
  return flags;
}

/** What is as it would be without the property is left out. */
function connectProperties(packet: Connect): Writer {
  const { sessionExpiryInterval, receiveMaximum, topicAliasMaximum } = packet;
  return section
    .reset()
    .fourByteProperty(Property.SessionExpiryInterval, sessionExpiryInterval || undefined)
    .stringProperty(
      Property.AuthenticationMethod,
      packet.authenticationMethod,
      'Authentication Method',
    )
    .binaryProperty(Property.AuthenticationData, packet.authenticationData, 'Authentication Data')
    .flagProperty(
      Property.RequestProblemInformation,
      packet.requestProblemInformation ? undefined : false,
    )
    .flagProperty(
      Property.RequestResponseInformation,
      packet.requestResponseInformation || undefined,
    )
    .twoByteProperty(
      Property.ReceiveMaximum,
      receiveMaximum === 65_535 ? undefined : receiveMaximum,
    )
    .twoByteProperty(Property.TopicAliasMaximum, topicAliasMaximum || undefined)
    .userProperties(packet.userProperties)
    .fourByteProperty(Property.MaximumPacketSize, packet.maximumPacketSize);
}

function willProperties({ delaySeconds, messageExpiryInterval, properties }: Will): Writer {
  section.reset();
  section.byteProperty(Property.PayloadFormatIndicator, properties?.payloadFormatIndicator);
  section.fourByteProperty(Property.MessageExpiryInterval, messageExpiryInterval);
  if (properties !== undefined) writeMessageStrings(section, properties);
  section.fourByteProperty(Property.WillDelayInterval, delaySeconds || undefined);
  return section.userProperties(properties?.userProperties);
}

/**
 * Empty where a 3.x client is refused for a reason that its Return Codes do not know: the connection
 * is closed without a CONNACK. [MQTT3-3.2.2-6]
 */
export function encodeConnack(packet: Connack, version: ProtocolVersion): Uint8Array {
  body.reset().byte(packet.sessionPresent && version !== 3 ? 1 : 0);
  if (version === 5) {
    assertReasonCode('connack', packet.reasonCode);
    return body.byte(packet.reasonCode).section(connackProperties(packet)).packet(0x20);
  }
  const returnCode = connectReturnCode(packet.reasonCode);
  return returnCode === undefined ? NOTHING : body.byte(returnCode).packet(0x20);
}

function connackProperties(packet: Connack): Writer {
  section.reset();
  section.fourByteProperty(Property.SessionExpiryInterval, packet.sessionExpiryInterval);
  section.stringProperty(
    Property.AssignedClientIdentifier,
    packet.assignedClientIdentifier,
    'Assigned Client Identifier',
  );
  section.twoByteProperty(Property.ServerKeepAlive, packet.serverKeepAliveSeconds);
  writeAuthentication(packet);
  section.stringProperty(
    Property.ResponseInformation,
    packet.responseInformation,
    'Response Information',
  );
  section.stringProperty(Property.ServerReference, packet.serverReference, 'Server Reference');
  section.stringProperty(Property.ReasonString, packet.reasonString, 'Reason String');
  section.twoByteProperty(Property.ReceiveMaximum, packet.receiveMaximum);
  section.twoByteProperty(Property.TopicAliasMaximum, packet.topicAliasMaximum);
  section.byteProperty(Property.MaximumQoS, packet.maximumQoS);
  section.flagProperty(Property.RetainAvailable, packet.retainAvailable);
  section.userProperties(packet.userProperties);
  section.fourByteProperty(Property.MaximumPacketSize, packet.maximumPacketSize);
  section.flagProperty(
    Property.WildcardSubscriptionAvailable,
    packet.wildcardSubscriptionAvailable,
  );
  section.flagProperty(
    Property.SubscriptionIdentifiersAvailable,
    packet.subscriptionIdentifiersAvailable,
  );
  return section.flagProperty(
    Property.SharedSubscriptionAvailable,
    packet.sharedSubscriptionAvailable,
  );
}

function writeAuthentication(
  packet: Pick<Auth, 'authenticationMethod' | 'authenticationData'> | Connack,
): void {
  const { authenticationMethod, authenticationData } = packet;
  section.stringProperty(
    Property.AuthenticationMethod,
    authenticationMethod,
    'Authentication Method',
  );
  section.binaryProperty(Property.AuthenticationData, authenticationData, 'Authentication Data');
}

export function encodeSubscribe(packet: Subscribe, version: ProtocolVersion): Uint8Array {
  assert(packet.subscriptions.length > 0, 'SUBSCRIBE needs a Topic Filter');
  body.reset().twoByteInteger(packet.packetIdentifier);
  if (version === 5) {
    section.reset();
    section.variableByteProperty(Property.SubscriptionIdentifier, packet.subscriptionIdentifier);
    body.section(section.userProperties(packet.userProperties));
  }
  for (const subscription of packet.subscriptions) {
    let options: number = subscription.maximumQoS;
    if (version === 5) {
      if (subscription.noLocal) options |= 0x04;
      if (subscription.retainAsPublished) options |= 0x08;
      options |= subscription.retainHandling << 4;
    }
    body.string(subscription.topicFilter, 'Topic Filter').byte(options);
  }
  return body.packet(0x82);
}

export function encodeUnsubscribe(packet: Unsubscribe, version: ProtocolVersion): Uint8Array {
  assert(packet.topicFilters.length > 0, 'UNSUBSCRIBE needs a Topic Filter');
  body.reset().twoByteInteger(packet.packetIdentifier);
  if (version === 5) body.section(section.reset().userProperties(packet.userProperties));
  for (const filter of packet.topicFilters) body.string(filter, 'Topic Filter');
  return body.packet(0xa2);
}

/** In 3.x every refusal is 0x80, and UNSUBACK says nothing but the Packet Identifier. */
export function encodeSubscriptionAcknowledgement(
  packet: SubscriptionAcknowledgement,
  version: ProtocolVersion,
): Uint8Array {
  const first = packet.type === 'suback' ? 0x90 : 0xb0;
  body.reset().twoByteInteger(packet.packetIdentifier);
  if (version !== 5 && packet.type === 'unsuback') return body.packet(first);
  assert(packet.reasonCodes.length > 0, `${packet.type} needs a Reason Code`);
  if (version === 5) {
    section.reset().stringProperty(Property.ReasonString, packet.reasonString, 'Reason String');
    body.section(section.userProperties(packet.userProperties));
  }
  for (const code of packet.reasonCodes) {
    assertReasonCode(packet.type, code);
    body.byte(version !== 5 && code >= 0x80 ? 0x80 : code);
  }
  return body.packet(first);
}

/**
 * In 3.x it is the client's goodbye and has nothing to say: a reason of 0x80 or more, which only a
 * server has, comes out empty.
 */
export function encodeDisconnect(packet: Disconnect, version: ProtocolVersion): Uint8Array {
  const { reasonCode } = packet;
  body.reset();
  if (version !== 5) return reasonCode < 0x80 ? body.packet(0xe0) : NOTHING;
  assertReasonCode('disconnect', reasonCode);
  section.reset();
  section.fourByteProperty(Property.SessionExpiryInterval, packet.sessionExpiryInterval);
  section.stringProperty(Property.ServerReference, packet.serverReference, 'Server Reference');
  section.stringProperty(Property.ReasonString, packet.reasonString, 'Reason String');
  section.userProperties(packet.userProperties);
  if (section.length > 0) body.byte(reasonCode).section(section);
  else if (reasonCode !== ReasonCode.Success) body.byte(reasonCode);
  return body.packet(0xe0);
}

export function encodeAuth(packet: Auth, version: ProtocolVersion): Uint8Array {
  assert(version === 5, 'AUTH before MQTT 5.0');
  assertReasonCode('auth', packet.reasonCode);
  section.reset();
  writeAuthentication(packet);
  section.stringProperty(Property.ReasonString, packet.reasonString, 'Reason String');
  section.userProperties(packet.userProperties);
  body.reset();
  if (section.length > 0 || packet.reasonCode !== ReasonCode.Success) {
    body.byte(packet.reasonCode).section(section);
  }
  return body.packet(0xf0);
}

function assertReasonCode(packet: ReasonCodePacket, code: ReasonCode): void {
  assert(isReasonCodeOf(packet, code), `${packet} cannot carry 0x${code.toString(16)}`);
}
