/**
 * Reason Codes (MQTT 5.0 section 2.4), the codes of 3.1.1 that they stand for, and the one exception
 * of the core. The core speaks 5.0; what a 3.1.1 peer is told instead is decided here alone.
 */
export const ReasonCode = {
  /** Also Normal disconnection and Granted QoS 0. */
  Success: 0x00,
  GrantedQoS1: 0x01,
  GrantedQoS2: 0x02,
  DisconnectWithWillMessage: 0x04,
  NoMatchingSubscribers: 0x10,
  NoSubscriptionExisted: 0x11,
  ContinueAuthentication: 0x18,
  ReAuthenticate: 0x19,
  UnspecifiedError: 0x80,
  MalformedPacket: 0x81,
  ProtocolError: 0x82,
  ImplementationSpecificError: 0x83,
  UnsupportedProtocolVersion: 0x84,
  ClientIdentifierNotValid: 0x85,
  BadUserNameOrPassword: 0x86,
  NotAuthorized: 0x87,
  ServerUnavailable: 0x88,
  ServerBusy: 0x89,
  Banned: 0x8a,
  ServerShuttingDown: 0x8b,
  BadAuthenticationMethod: 0x8c,
  KeepAliveTimeout: 0x8d,
  SessionTakenOver: 0x8e,
  TopicFilterInvalid: 0x8f,
  TopicNameInvalid: 0x90,
  PacketIdentifierInUse: 0x91,
  PacketIdentifierNotFound: 0x92,
  ReceiveMaximumExceeded: 0x93,
  TopicAliasInvalid: 0x94,
  PacketTooLarge: 0x95,
  MessageRateTooHigh: 0x96,
  QuotaExceeded: 0x97,
  AdministrativeAction: 0x98,
  PayloadFormatInvalid: 0x99,
  RetainNotSupported: 0x9a,
  QoSNotSupported: 0x9b,
  UseAnotherServer: 0x9c,
  ServerMoved: 0x9d,
  SharedSubscriptionsNotSupported: 0x9e,
  ConnectionRateExceeded: 0x9f,
  MaximumConnectTime: 0xa0,
  SubscriptionIdentifiersNotSupported: 0xa1,
  WildcardSubscriptionsNotSupported: 0xa2,
} as const;
export type ReasonCode = (typeof ReasonCode)[keyof typeof ReasonCode];

const names = new Map<number, string>(
  Object.entries(ReasonCode).map(([name, code]) => [code, name]),
);

/** The name of `code` as this file spells it, for logs and metrics: `NotAuthorized`. */
export function reasonName(code: ReasonCode): string {
  return names.get(code) ?? `0x${code.toString(16)}`;
}

/**
 * The Connect Return Code (3.1.1 table 3.1) that tells a 3.1 or 3.1.1 client what `code` means; the
 * table has five refusals, and undefined means that none of them fits: the connection is closed
 * without a CONNACK. [MQTT3-3.2.2-6]
 */
export function connectReturnCode(code: ReasonCode): 0 | 1 | 2 | 3 | 4 | 5 | undefined {
  switch (code) {
    case ReasonCode.Success:
      return 0;
    case ReasonCode.UnsupportedProtocolVersion:
      return 1;
    case ReasonCode.ClientIdentifierNotValid:
      return 2;
    case ReasonCode.ServerUnavailable:
    case ReasonCode.ServerBusy:
    case ReasonCode.ServerShuttingDown:
    case ReasonCode.QuotaExceeded:
    case ReasonCode.ConnectionRateExceeded:
    case ReasonCode.UseAnotherServer:
    case ReasonCode.ServerMoved:
      return 3;
    case ReasonCode.BadUserNameOrPassword:
    case ReasonCode.BadAuthenticationMethod:
      return 4;
    case ReasonCode.NotAuthorized:
    case ReasonCode.Banned:
      return 5;
    default:
      return undefined;
  }
}

/** The peer broke the standard. Thrown by the codec and the session; `broker/connection.ts` alone catches. */
export class ProtocolViolation extends Error {
  readonly reasonCode: ReasonCode;
  /** The normative statement that decides, as `MQTT-3.3.2-2`; empty where none is numbered. */
  readonly statement: string;

  constructor(reasonCode: ReasonCode, statement: string, detail: string) {
    super(detail);
    this.name = 'ProtocolViolation';
    this.reasonCode = reasonCode;
    this.statement = statement;
  }
}
