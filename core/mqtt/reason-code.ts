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

/** The Reason Codes that each packet may carry: the tables of MQTT 5.0 chapter 3. */
const codesOf = {
  connack: [
    0x00, 0x80, 0x81, 0x82, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8a, 0x8c, 0x90, 0x95, 0x97,
    0x99, 0x9a, 0x9b, 0x9c, 0x9d, 0x9f,
  ],
  puback: [0x00, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99],
  pubrec: [0x00, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99],
  pubrel: [0x00, 0x92],
  pubcomp: [0x00, 0x92],
  suback: [0x00, 0x01, 0x02, 0x80, 0x83, 0x87, 0x8f, 0x91, 0x97, 0x9e, 0xa1, 0xa2],
  unsuback: [0x00, 0x11, 0x80, 0x83, 0x87, 0x8f, 0x91],
  disconnect: [
    0x00, 0x04, 0x80, 0x81, 0x82, 0x83, 0x87, 0x89, 0x8b, 0x8d, 0x8e, 0x8f, 0x90, 0x93, 0x94, 0x95,
    0x96, 0x97, 0x98, 0x99, 0x9a, 0x9b, 0x9c, 0x9d, 0x9e, 0x9f, 0xa0, 0xa1, 0xa2,
  ],
  auth: [0x00, 0x18, 0x19],
} as const;
export type ReasonCodePacket = keyof typeof codesOf;

const allowedCodes = new Map<ReasonCodePacket, Uint8Array>();
for (const [packet, codes] of Object.entries(codesOf)) {
  const allowed = new Uint8Array(256);
  for (const code of codes) allowed[code] = 1;
  allowedCodes.set(packet as ReasonCodePacket, allowed);
}

/** Whether `code` is in the table of Reason Codes that the standard has for `packet`. */
export function isReasonCodeOf(packet: ReasonCodePacket, code: number): code is ReasonCode {
  return allowedCodes.get(packet)?.[code] === 1;
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

/** What a Connect Return Code of 3.1 and 3.1.1 says in 5.0; undefined where the table has no such code. */
export function reasonOfReturnCode(returnCode: number): ReasonCode | undefined {
  switch (returnCode) {
    case 0:
      return ReasonCode.Success;
    case 1:
      return ReasonCode.UnsupportedProtocolVersion;
    case 2:
      return ReasonCode.ClientIdentifierNotValid;
    case 3:
      return ReasonCode.ServerUnavailable;
    case 4:
      return ReasonCode.BadUserNameOrPassword;
    case 5:
      return ReasonCode.NotAuthorized;
    default:
      return undefined;
  }
}

/**
 * The Reason Code to put into DISCONNECT for one that only CONNACK may carry (section 2.4): what is
 * wrong with the inside of a second CONNECT comes to this too. [MQTT-3.1.0-2]
 */
export function reasonForDisconnect(code: ReasonCode): ReasonCode {
  switch (code) {
    case ReasonCode.BadUserNameOrPassword:
    case ReasonCode.BadAuthenticationMethod:
      return ReasonCode.NotAuthorized;
    case ReasonCode.ServerUnavailable:
      return ReasonCode.ServerBusy;
    default:
      return isReasonCodeOf('disconnect', code) ? code : ReasonCode.ProtocolError;
  }
}

/** The Reason Code to put into CONNACK for one that only DISCONNECT may carry (section 2.4). */
export function reasonForConnack(code: ReasonCode): ReasonCode {
  if (code === ReasonCode.ServerShuttingDown) return ReasonCode.ServerUnavailable;
  return isReasonCodeOf('connack', code) ? code : ReasonCode.UnspecifiedError;
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
