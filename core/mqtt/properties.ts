/**
 * The properties (MQTT 5.0 section 2.2.2): which packet may carry which, what values they take, and
 * that all but two stand there once. One record is filled again for each packet that is read.
 */
import type { UserProperty } from './packet.ts';
import type { Reader } from './reader.ts';

export const Property = {
  PayloadFormatIndicator: 0x01,
  MessageExpiryInterval: 0x02,
  ContentType: 0x03,
  ResponseTopic: 0x08,
  CorrelationData: 0x09,
  SubscriptionIdentifier: 0x0b,
  SessionExpiryInterval: 0x11,
  AssignedClientIdentifier: 0x12,
  ServerKeepAlive: 0x13,
  AuthenticationMethod: 0x15,
  AuthenticationData: 0x16,
  RequestProblemInformation: 0x17,
  WillDelayInterval: 0x18,
  RequestResponseInformation: 0x19,
  ResponseInformation: 0x1a,
  ServerReference: 0x1c,
  ReasonString: 0x1f,
  ReceiveMaximum: 0x21,
  TopicAliasMaximum: 0x22,
  TopicAlias: 0x23,
  MaximumQoS: 0x24,
  RetainAvailable: 0x25,
  UserProperty: 0x26,
  MaximumPacketSize: 0x27,
  WildcardSubscriptionAvailable: 0x28,
  SubscriptionIdentifiersAvailable: 0x29,
  SharedSubscriptionAvailable: 0x2a,
} as const;
export type Property = (typeof Property)[keyof typeof Property];

/** What carries properties: a packet by its type, or the Will in a CONNECT. */
const holders = [
  'Will',
  'CONNECT',
  'CONNACK',
  'PUBLISH',
  'PUBACK',
  'PUBREC',
  'PUBREL',
  'PUBCOMP',
  'SUBSCRIBE',
  'SUBACK',
  'UNSUBSCRIBE',
  'UNSUBACK',
  'DISCONNECT',
  'AUTH',
] as const;
export type PropertyHolder = (typeof holders)[number];

const MESSAGE: readonly PropertyHolder[] = ['PUBLISH', 'Will'];
const ANSWERS: readonly PropertyHolder[] = [
  'CONNACK',
  'PUBACK',
  'PUBREC',
  'PUBREL',
  'PUBCOMP',
  'SUBACK',
  'UNSUBACK',
  'DISCONNECT',
  'AUTH',
];

/** Table 2-4. */
const allowed: Readonly<Record<keyof typeof Property, readonly PropertyHolder[]>> = {
  PayloadFormatIndicator: MESSAGE,
  MessageExpiryInterval: MESSAGE,
  ContentType: MESSAGE,
  ResponseTopic: MESSAGE,
  CorrelationData: MESSAGE,
  SubscriptionIdentifier: ['PUBLISH', 'SUBSCRIBE'],
  SessionExpiryInterval: ['CONNECT', 'CONNACK', 'DISCONNECT'],
  AssignedClientIdentifier: ['CONNACK'],
  ServerKeepAlive: ['CONNACK'],
  AuthenticationMethod: ['CONNECT', 'CONNACK', 'AUTH'],
  AuthenticationData: ['CONNECT', 'CONNACK', 'AUTH'],
  RequestProblemInformation: ['CONNECT'],
  WillDelayInterval: ['Will'],
  RequestResponseInformation: ['CONNECT'],
  ResponseInformation: ['CONNACK'],
  ServerReference: ['CONNACK', 'DISCONNECT'],
  ReasonString: ANSWERS,
  ReceiveMaximum: ['CONNECT', 'CONNACK'],
  TopicAliasMaximum: ['CONNECT', 'CONNACK'],
  TopicAlias: ['PUBLISH'],
  MaximumQoS: ['CONNACK'],
  RetainAvailable: ['CONNACK'],
  UserProperty: holders,
  MaximumPacketSize: ['CONNECT', 'CONNACK'],
  WildcardSubscriptionAvailable: ['CONNACK'],
  SubscriptionIdentifiersAvailable: ['CONNACK'],
  SharedSubscriptionAvailable: ['CONNACK'],
};

interface Definition {
  readonly identifier: Property;
  /** As the standard spells it: `Receive Maximum`. */
  readonly name: string;
  readonly allowed: ReadonlySet<PropertyHolder>;
}

/** By identifier. */
const definitions: (Definition | undefined)[] = new Array(0x2b).fill(undefined);
for (const [key, identifier] of Object.entries(Property)) {
  definitions[identifier] = {
    identifier,
    name: key.replace(/(?<=[a-z])(?=[A-Z][a-z])/g, ' '),
    allowed: new Set(allowed[key as keyof typeof Property]),
  };
}

/** What one packet's property section said; undefined where a property is absent. */
export class Properties {
  payloadFormatIndicator: 0 | 1 | undefined = undefined;
  messageExpiryInterval: number | undefined = undefined;
  contentType: string | undefined = undefined;
  responseTopic: string | undefined = undefined;
  correlationData: Uint8Array | undefined = undefined;
  subscriptionIdentifiers: number[] | undefined = undefined;
  sessionExpiryInterval: number | undefined = undefined;
  assignedClientIdentifier: string | undefined = undefined;
  serverKeepAliveSeconds: number | undefined = undefined;
  authenticationMethod: string | undefined = undefined;
  authenticationData: Uint8Array | undefined = undefined;
  requestProblemInformation: boolean | undefined = undefined;
  willDelaySeconds: number | undefined = undefined;
  requestResponseInformation: boolean | undefined = undefined;
  responseInformation: string | undefined = undefined;
  serverReference: string | undefined = undefined;
  reasonString: string | undefined = undefined;
  receiveMaximum: number | undefined = undefined;
  topicAliasMaximum: number | undefined = undefined;
  topicAlias: number | undefined = undefined;
  maximumQoS: 0 | 1 | undefined = undefined;
  retainAvailable: boolean | undefined = undefined;
  userProperties: UserProperty[] | undefined = undefined;
  maximumPacketSize: number | undefined = undefined;
  wildcardSubscriptionAvailable: boolean | undefined = undefined;
  subscriptionIdentifiersAvailable: boolean | undefined = undefined;
  sharedSubscriptionAvailable: boolean | undefined = undefined;
}

/**
 * Reads the property section at the reader's position, its length included.
 *
 * Throws MalformedPacket for a property that `holder` may not carry (section 2.2.2.2) and for a
 * length that does not fit, ProtocolError for one that stands there twice or has a value that it may
 * not have.
 */
export function readProperties(reader: Reader, holder: PropertyHolder): Properties {
  const found = new Properties();
  const length = reader.variableByteInteger('Property Length');
  const sectionEnd = reader.position + length;
  const packetEnd = reader.end;
  if (sectionEnd > packetEnd) {
    throw reader.malformed('', '', `the Property Length of ${length} goes beyond the packet`);
  }
  reader.end = sectionEnd;
  let seenLow = 0; // identifiers 0 to 31, a bit each
  let seenHigh = 0; // 32 to 63
  while (reader.position < sectionEnd) {
    const identifier = reader.byte('Property Identifier');
    const definition = definitions[identifier];
    if (definition === undefined) {
      throw reader.malformed('', '', `property 0x${identifier.toString(16)} is unknown`);
    }
    if (!definition.allowed.has(holder)) {
      throw reader.malformed('', '', `${definition.name} is no property of ${holder}`);
    }
    const bit = 1 << (identifier & 31);
    const seen = (identifier < 32 ? seenLow : seenHigh) & bit;
    if (identifier < 32) seenLow |= bit;
    else seenHigh |= bit;
    if (seen !== 0 && !mayRepeat(definition.identifier, holder)) {
      throw reader.protocolError('', '', `${definition.name} stands there twice`);
    }
    readValue(reader, definition, found);
  }
  reader.end = packetEnd;
  return found;
}

function mayRepeat(identifier: Property, holder: PropertyHolder): boolean {
  if (identifier === Property.UserProperty) return true;
  return identifier === Property.SubscriptionIdentifier && holder === 'PUBLISH';
}

function readValue(reader: Reader, { identifier, name }: Definition, into: Properties): void {
  switch (identifier) {
    case Property.PayloadFormatIndicator:
      into.payloadFormatIndicator = readZeroOrOne(reader, name);
      break;
    case Property.MessageExpiryInterval:
      into.messageExpiryInterval = reader.fourByteInteger(name);
      break;
    case Property.ContentType:
      into.contentType = reader.string(name);
      break;
    case Property.ResponseTopic:
      into.responseTopic = readResponseTopic(reader, name);
      break;
    case Property.CorrelationData:
      into.correlationData = reader.binary(name);
      break;
    case Property.SubscriptionIdentifier:
      into.subscriptionIdentifiers ??= [];
      into.subscriptionIdentifiers.push(readSubscriptionIdentifier(reader, name));
      break;
    case Property.SessionExpiryInterval:
      into.sessionExpiryInterval = reader.fourByteInteger(name);
      break;
    case Property.AssignedClientIdentifier:
      into.assignedClientIdentifier = reader.string(name);
      break;
    case Property.ServerKeepAlive:
      into.serverKeepAliveSeconds = reader.twoByteInteger(name);
      break;
    case Property.AuthenticationMethod:
      into.authenticationMethod = reader.string(name);
      break;
    case Property.AuthenticationData:
      into.authenticationData = reader.binary(name);
      break;
    case Property.RequestProblemInformation:
      into.requestProblemInformation = readZeroOrOne(reader, name) === 1;
      break;
    case Property.WillDelayInterval:
      into.willDelaySeconds = reader.fourByteInteger(name);
      break;
    case Property.RequestResponseInformation:
      into.requestResponseInformation = readZeroOrOne(reader, name) === 1;
      break;
    case Property.ResponseInformation:
      into.responseInformation = reader.string(name);
      break;
    case Property.ServerReference:
      into.serverReference = reader.string(name);
      break;
    case Property.ReasonString:
      into.reasonString = reader.string(name);
      break;
    case Property.ReceiveMaximum:
      into.receiveMaximum = nonZero(reader, name, reader.twoByteInteger(name));
      break;
    case Property.TopicAliasMaximum:
      into.topicAliasMaximum = reader.twoByteInteger(name);
      break;
    case Property.TopicAlias:
      into.topicAlias = reader.twoByteInteger(name);
      break;
    case Property.MaximumQoS:
      into.maximumQoS = readZeroOrOne(reader, name);
      break;
    case Property.RetainAvailable:
      into.retainAvailable = readZeroOrOne(reader, name) === 1;
      break;
    case Property.UserProperty:
      into.userProperties ??= [];
      into.userProperties.push([reader.string(name), reader.string(name)]);
      break;
    case Property.MaximumPacketSize:
      into.maximumPacketSize = nonZero(reader, name, reader.fourByteInteger(name));
      break;
    case Property.WildcardSubscriptionAvailable:
      into.wildcardSubscriptionAvailable = readZeroOrOne(reader, name) === 1;
      break;
    case Property.SubscriptionIdentifiersAvailable:
      into.subscriptionIdentifiersAvailable = readZeroOrOne(reader, name) === 1;
      break;
    case Property.SharedSubscriptionAvailable:
      into.sharedSubscriptionAvailable = readZeroOrOne(reader, name) === 1;
      break;
    default:
      identifier satisfies never;
  }
}

function readZeroOrOne(reader: Reader, name: string): 0 | 1 {
  const value = reader.byte(name);
  if (value === 0 || value === 1) return value;
  throw reader.protocolError('', '', `${name} is ${value}, and may be 0 or 1`);
}

function nonZero(reader: Reader, name: string, value: number): number {
  if (value !== 0) return value;
  throw reader.protocolError('', '', `${name} is 0`);
}

/** 1 to 268 435 455 (section 3.8.2.1.2). */
function readSubscriptionIdentifier(reader: Reader, name: string): number {
  return nonZero(reader, name, reader.variableByteInteger(name));
}

/** A Topic Name: at least one character, and no wildcard. [MQTT-3.3.2-14] [MQTT-4.7.3-1] */
function readResponseTopic(reader: Reader, name: string): string {
  const topic = reader.string(name);
  if (topic.length === 0) throw reader.protocolError('MQTT-4.7.3-1', '', `${name} is empty`);
  if (topic.includes('+') || topic.includes('#')) {
    throw reader.protocolError('MQTT-3.3.2-14', '', `${name} has a wildcard in it`);
  }
  return topic;
}
