/**
 * The Control Packets (MQTT 5.0 chapter 3) as one union discriminated by `type`, and the Application
 * Message. The words are those of 5.0; the codec turns what 3.1 and 3.1.1 say into them.
 */
import type { ReasonCode } from './reason-code.ts';
import type { TopicName } from './topic.ts';

/** 3 is MQTT 3.1 (`MQIsdp`), 4 is 3.1.1, 5 is 5.0. */
export type ProtocolVersion = 3 | 4 | 5;
export type QoS = 0 | 1 | 2;
/** 1 to 65 535; 0 stands for "none", in a PUBLISH of QoS 0. */
export type PacketIdentifier = number;
/** Name and value; they keep the order in which they were sent. [MQTT-3.3.2-18] */
export type UserProperty = readonly [name: string, value: string];

/** The properties of an Application Message that a server passes on unaltered. */
export interface MessageProperties {
  readonly payloadFormatIndicator?: 0 | 1 | undefined;
  readonly contentType?: string | undefined;
  readonly responseTopic?: string | undefined;
  readonly correlationData?: Uint8Array | undefined;
  readonly userProperties?: readonly UserProperty[] | undefined;
}

export interface Will {
  readonly topic: string;
  readonly payload: Uint8Array;
  readonly qos: QoS;
  readonly retain: boolean;
  readonly delaySeconds: number;
  /** Seconds; undefined where the message never expires. */
  readonly messageExpiryInterval: number | undefined;
  readonly properties: MessageProperties | undefined;
}

export interface Connect {
  readonly type: 'connect';
  readonly protocolVersion: ProtocolVersion;
  readonly cleanStart: boolean;
  readonly keepAliveSeconds: number;
  readonly clientIdentifier: string;
  readonly userName: string | undefined;
  readonly password: Uint8Array | undefined;
  readonly will: Will | undefined;
  /** 5.0 as sent, 0 where absent; 3.x: 0 for Clean Session 1, 0xffffffff for Clean Session 0. */
  readonly sessionExpiryInterval: number;
  /** 65 535 where absent and in 3.x. */
  readonly receiveMaximum: number;
  /** Undefined where the client named no limit. */
  readonly maximumPacketSize: number | undefined;
  readonly topicAliasMaximum: number;
  readonly requestResponseInformation: boolean;
  /** True where absent. */
  readonly requestProblemInformation: boolean;
  readonly authenticationMethod: string | undefined;
  readonly authenticationData: Uint8Array | undefined;
  readonly userProperties: readonly UserProperty[] | undefined;
}

/** What holds where a CONNECT names nothing but who connects, and in 3.x always but for the Will. (section 3.1.2.11) */
export const plainConnect = {
  will: undefined,
  receiveMaximum: 65_535,
  maximumPacketSize: undefined,
  topicAliasMaximum: 0,
  requestResponseInformation: false,
  requestProblemInformation: true,
  authenticationMethod: undefined,
  authenticationData: undefined,
  userProperties: undefined,
} as const satisfies Partial<Connect>;

export interface Connack {
  readonly type: 'connack';
  readonly sessionPresent: boolean;
  readonly reasonCode: ReasonCode;
  readonly sessionExpiryInterval?: number | undefined;
  readonly receiveMaximum?: number | undefined;
  readonly maximumQoS?: 0 | 1 | undefined;
  readonly retainAvailable?: boolean | undefined;
  readonly maximumPacketSize?: number | undefined;
  readonly assignedClientIdentifier?: string | undefined;
  readonly topicAliasMaximum?: number | undefined;
  readonly reasonString?: string | undefined;
  readonly userProperties?: readonly UserProperty[] | undefined;
  readonly wildcardSubscriptionAvailable?: boolean | undefined;
  readonly subscriptionIdentifiersAvailable?: boolean | undefined;
  readonly sharedSubscriptionAvailable?: boolean | undefined;
  readonly serverKeepAliveSeconds?: number | undefined;
  readonly responseInformation?: string | undefined;
  readonly serverReference?: string | undefined;
  readonly authenticationMethod?: string | undefined;
  readonly authenticationData?: Uint8Array | undefined;
}

export interface Publish {
  readonly type: 'publish';
  readonly dup: boolean;
  readonly qos: QoS;
  readonly retain: boolean;
  /** Empty where a Topic Alias stands for it. */
  readonly topic: string;
  readonly packetIdentifier: PacketIdentifier;
  readonly topicAlias: number | undefined;
  /** Seconds; undefined where the message never expires. */
  readonly messageExpiryInterval: number | undefined;
  readonly subscriptionIdentifiers: readonly number[] | undefined;
  readonly properties: MessageProperties | undefined;
  /** Points into the chunk it came in: copy what outlives its turn. */
  readonly payload: Uint8Array;
}

/** PUBACK, PUBREC, PUBREL and PUBCOMP share one form. */
export interface Acknowledgement {
  readonly type: 'puback' | 'pubrec' | 'pubrel' | 'pubcomp';
  readonly packetIdentifier: PacketIdentifier;
  readonly reasonCode: ReasonCode;
  readonly reasonString?: string | undefined;
  readonly userProperties?: readonly UserProperty[] | undefined;
}

export type RetainHandling = 0 | 1 | 2;

export interface SubscriptionRequest {
  /** As the client wrote it, `$share/…` included. */
  readonly topicFilter: string;
  readonly maximumQoS: QoS;
  readonly noLocal: boolean;
  readonly retainAsPublished: boolean;
  readonly retainHandling: RetainHandling;
}

export interface Subscribe {
  readonly type: 'subscribe';
  readonly packetIdentifier: PacketIdentifier;
  readonly subscriptionIdentifier: number | undefined;
  readonly subscriptions: readonly SubscriptionRequest[];
  readonly userProperties?: readonly UserProperty[] | undefined;
}

export interface Unsubscribe {
  readonly type: 'unsubscribe';
  readonly packetIdentifier: PacketIdentifier;
  readonly topicFilters: readonly string[];
  readonly userProperties?: readonly UserProperty[] | undefined;
}

export interface SubscriptionAcknowledgement {
  readonly type: 'suback' | 'unsuback';
  readonly packetIdentifier: PacketIdentifier;
  readonly reasonCodes: readonly ReasonCode[];
  readonly reasonString?: string | undefined;
  readonly userProperties?: readonly UserProperty[] | undefined;
}

export interface Ping {
  readonly type: 'pingreq' | 'pingresp';
}

export interface Disconnect {
  readonly type: 'disconnect';
  readonly reasonCode: ReasonCode;
  /** Undefined where the packet did not name one: the interval of CONNECT stands. */
  readonly sessionExpiryInterval?: number | undefined;
  readonly reasonString?: string | undefined;
  readonly userProperties?: readonly UserProperty[] | undefined;
  readonly serverReference?: string | undefined;
}

export interface Auth {
  readonly type: 'auth';
  readonly reasonCode: ReasonCode;
  readonly authenticationMethod: string | undefined;
  readonly authenticationData: Uint8Array | undefined;
  readonly reasonString?: string | undefined;
  readonly userProperties?: readonly UserProperty[] | undefined;
}

export type Packet =
  | Connect
  | Connack
  | Publish
  | Acknowledgement
  | Subscribe
  | Unsubscribe
  | SubscriptionAcknowledgement
  | Ping
  | Disconnect
  | Auth;

/** Who published a message: stamped by the broker from the verified token, never read from a packet. */
export interface Publisher {
  readonly user: string;
  readonly clientIdentifier: string;
  /** Whether it is a device, and not a handler, an admin or the broker itself. */
  readonly device: boolean;
}

/**
 * An Application Message on its way through the broker. Immutable, and shared by all who receive it;
 * QoS and RETAIN are those of the publication, what a receiver gets is settled per receiver.
 */
export interface Message {
  readonly topic: TopicName;
  readonly payload: Uint8Array;
  readonly qos: QoS;
  readonly retain: boolean;
  readonly properties: MessageProperties | undefined;
  /** Milliseconds since the epoch; Infinity where the message never expires. [MQTT-3.3.2-5] */
  readonly expiresAtMs: number;
  readonly publisher: Publisher;
  /** Who may receive it, decided when it was published: see `auth/rights.ts`. */
  readonly reach: Reach;
}

/**
 * How far a message goes: 0 to handlers and admins only, 1 also to devices with an explicit grant,
 * 2 also through a device's right to its own user topics. The origin rule of `auth/rights.ts`.
 */
export type Reach = 0 | 1 | 2;
