/**
 * CONNECT and the AUTH packets that belong to it, to CONNACK (sections 3.1, 3.2 and 4.12): what is
 * refused before the token is looked at, and what follows once it is verified: a new or a resumed
 * session, the end of whoever held it, and the limits granted.
 */
import type { Identity } from '../auth/rights.ts';
import { encodeUser } from '../auth/user-topic.ts';
import { encode } from '../mqtt/codec.ts';
import type { Auth, Connack, Connect } from '../mqtt/packet.ts';
import {
  connectReturnCode,
  ProtocolViolation,
  ReasonCode,
  reasonForConnack,
  reasonName,
} from '../mqtt/reason-code.ts';
import type { Connection } from './connection.ts';
import { count } from './counters.ts';
import type { Millis } from './outbox.ts';
import { appear } from './presence.ts';
import { pump } from './pump.ts';
import { attach } from './sessions.ts';
import type { State } from './state.ts';
import { WillMessage } from './will.ts';

/** The one authentication method, and the user name that stands for it in every version. */
export const JWT = 'JWT';

/** A Keep Alive longer than this tells of a vanished client hours late: then the network is asked as well. */
const LONGEST_UNPROBED_SECONDS = 3_600;

/** CONNECT came: checks what needs no token, then has the token verified. */
export function beginConnect(
  state: State,
  connection: Connection,
  packet: Connect,
  now: Millis,
): void {
  const { greeting } = connection;
  if (greeting === undefined) return;
  connection.terms = {
    requestProblemInformation: packet.requestProblemInformation,
    maximumPacketSize: packet.maximumPacketSize ?? Number.POSITIVE_INFINITY,
    authenticationMethod: packet.authenticationMethod,
    retainAvailable: true,
    connectedWithExpiry: packet.sessionExpiryInterval,
    keepAliveSeconds: packet.keepAliveSeconds,
  };
  connection.clientIdentifier = packet.clientIdentifier;
  greeting.connect = { ...packet, password: undefined, authenticationData: undefined };
  if (state.draining) {
    return refuse(state, connection, ReasonCode.ServerShuttingDown, 'shutting down', now);
  }
  if (greeting.refusal !== undefined) {
    return refuse(state, connection, greeting.refusal, 'too many connections', now);
  }
  // 3.1 wants an identifier always, 3.1.1 with Clean Session 0. [MQTT3-3.1.3-8]
  if (
    packet.clientIdentifier === '' &&
    (packet.protocolVersion === 3 || (packet.protocolVersion === 4 && !packet.cleanStart))
  ) {
    const detail = 'an empty Client Identifier';
    return refuse(state, connection, ReasonCode.ClientIdentifierNotValid, detail, now);
  }
  if (packet.userName !== undefined && packet.userName !== JWT) {
    const detail = 'the user name must be JWT and the password a token';
    return refuse(state, connection, ReasonCode.BadUserNameOrPassword, detail, now);
  }
  if (packet.authenticationMethod !== undefined) {
    if (packet.authenticationMethod !== JWT) {
      const detail = 'the only authentication method is JWT';
      return refuse(state, connection, ReasonCode.BadAuthenticationMethod, detail, now);
    }
    if (packet.authenticationData === undefined || packet.authenticationData.length === 0) {
      return askForToken(connection);
    }
    return verify(state, connection, packet.authenticationData);
  }
  if (packet.userName === undefined || packet.password === undefined) {
    const detail = 'the user name must be JWT and the password a token';
    return refuse(state, connection, ReasonCode.BadUserNameOrPassword, detail, now);
  }
  verify(state, connection, packet.password);
}

/** AUTH came before CONNACK: it carries the token. [MQTT-4.12.0-3] */
export function continueAuthentication(state: State, connection: Connection, packet: Auth): void {
  if (
    packet.reasonCode !== ReasonCode.ContinueAuthentication ||
    packet.authenticationMethod !== JWT ||
    packet.authenticationData === undefined
  ) {
    throw new ProtocolViolation(
      ReasonCode.ProtocolError,
      'MQTT-4.12.0-3',
      'AUTH must continue with the method of CONNECT and a token',
    );
  }
  verify(state, connection, packet.authenticationData);
}

/** The client named the method without a token: it is asked for one. [MQTT-4.12.0-2] */
function askForToken(connection: Connection): void {
  connection.phase = 'authenticating';
  connection.out.writePacket({
    type: 'auth',
    reasonCode: ReasonCode.ContinueAuthentication,
    authenticationMethod: JWT,
    authenticationData: undefined,
  });
}

function verify(state: State, connection: Connection, token: Uint8Array): void {
  connection.phase = 'verifying';
  connection.updateReading();
  state.outbox.verify(connection.id, tokenText(token));
}

/** A token's text: ASCII by its making (RFC 7519 section 3), so other bytes make another, bad token. */
export function tokenText(token: Uint8Array): string {
  return Buffer.from(token.buffer, token.byteOffset, token.byteLength).toString('latin1');
}

/** The token is good: gives the client its session and tells it what was granted. */
export function acceptConnect(
  state: State,
  connection: Connection,
  identity: Identity,
  now: Millis,
): void {
  const packet = connection.greeting?.connect;
  if (packet === undefined) return;
  const assigned = packet.clientIdentifier === '' ? unusedIdentifier(state, identity) : undefined;
  connection.clientIdentifier = assigned ?? packet.clientIdentifier;
  const rights = connection.authorize(identity);
  if (state.draining) {
    return refuse(state, connection, ReasonCode.ServerShuttingDown, 'shutting down', now);
  }
  if (identity.expiresAtMs <= now) {
    return refuse(state, connection, ReasonCode.NotAuthorized, 'token expired', now);
  }
  const will = packet.will && new WillMessage(state, packet.will, connection.publisher, identity);
  const unfit = will?.check(rights, connection.version5);
  if (will !== undefined && unfit !== undefined) {
    if (unfit.reasonCode === ReasonCode.NotAuthorized) {
      const { topic } = will;
      state.outbox.report({ kind: 'denied', party: connection.party, action: 'will', topic });
    }
    return refuse(state, connection, unfit.reasonCode, unfit.detail, now);
  }
  const { limits, counters } = state;
  const connack = grant(state, connection, packet, identity, assigned);
  if (encode(connack, packet.protocolVersion).length > connection.terms.maximumPacketSize) {
    const detail = 'CONNACK is larger than the Maximum Packet Size'; // [MQTT-3.1.2-24]
    return refuse(state, connection, ReasonCode.PacketTooLarge, detail, now);
  }
  const expirySeconds = connack.sessionExpiryInterval ?? packet.sessionExpiryInterval;
  const attached = attach(state, connection, packet, expirySeconds, now);
  if (attached === undefined) {
    return refuse(state, connection, ReasonCode.QuotaExceeded, 'too many sessions', now);
  }
  connection.phase = 'open';
  connection.greeting = undefined;
  connection.will = will;
  will?.keep(attached.session, Number.POSITIVE_INFINITY);
  connection.framer.maximumPacketSize = limits.maximumPacketSize;
  const aliases = Math.min(packet.topicAliasMaximum, limits.outboundTopicAliases);
  if (aliases > 0) connection.openAliases().outboundMaximum = aliases;
  const { serverKeepAliveSeconds, retainAvailable } = connack;
  const keepAliveSeconds =
    (connection.version5 ? serverKeepAliveSeconds : undefined) ?? packet.keepAliveSeconds;
  connection.terms = state.terms.share({
    ...connection.terms,
    retainAvailable: retainAvailable ?? true,
    keepAliveSeconds,
  });
  if (keepAliveSeconds === 0 || keepAliveSeconds > LONGEST_UNPROBED_SECONDS) {
    state.outbox.probe(connection.id);
  }
  connection.lastPacketMs = now;
  connection.schedule(now);
  counters.clientsConnected++;
  counters.clientsMaximum = Math.max(counters.clientsMaximum, counters.clientsConnected);
  // 3.1 knows no Session Present: that bit is reserved there.
  const sessionPresent = attached.sessionPresent && packet.protocolVersion !== 3;
  connection.out.writePacket({ ...connack, sessionPresent });
  state.outbox.report({
    kind: 'connected',
    party: connection.party,
    protocolVersion: packet.protocolVersion,
    sessionPresent: attached.sessionPresent,
  });
  reportCollision(state, connection, identity);
  appear(state, connection, attached.takeover, now);
  pump(state, attached.session, now);
}

/** A Client Identifier under which the user has no Session. [MQTT-3.1.3-6] [MQTT-3.2.2-16] */
function unusedIdentifier(state: State, { user }: Identity): string {
  for (;;) {
    const identifier = state.assignClientIdentifier();
    if (state.sessions.get(user, identifier) === undefined) return identifier;
  }
}

/** The CONNACK that accepts `packet`: what is granted, and what is granted otherwise than asked for. */
function grant(
  { limits, policy }: State,
  connection: Connection,
  packet: Connect,
  identity: Identity,
  assignedClientIdentifier: string | undefined,
): Connack {
  const { keepAliveSeconds, sessionExpiryInterval } = packet;
  const granted = grantKeepAlive(keepAliveSeconds, limits.maximumKeepAliveSeconds);
  const longest = limits.maximumSessionExpirySeconds;
  return {
    type: 'connack',
    reasonCode: ReasonCode.Success,
    sessionPresent: false,
    sessionExpiryInterval: sessionExpiryInterval > longest ? longest : undefined,
    receiveMaximum: limits.receiveMaximum,
    maximumPacketSize: limits.maximumPacketSize,
    topicAliasMaximum: limits.topicAliasMaximum,
    retainAvailable: connection.rights?.mayRetain ? undefined : false,
    assignedClientIdentifier,
    serverKeepAliveSeconds: granted === keepAliveSeconds ? undefined : granted,
    responseInformation: packet.requestResponseInformation
      ? `${encodeUser(identity.user) ?? ''}${policy.separator}`
      : undefined,
    authenticationMethod: connection.terms.authenticationMethod,
  };
}

/** A 3.x client cannot be told another Keep Alive; a 5.0 client gets at most the longest allowed. [MQTT-3.1.2-21] */
function grantKeepAlive(requestedSeconds: number, longestSeconds: number): number {
  if (longestSeconds === 0) return requestedSeconds;
  return requestedSeconds === 0 ? longestSeconds : Math.min(requestedSeconds, longestSeconds);
}

/** A user id whose topics would spell declared commands never gets those topics: said once, at connect. */
function reportCollision(state: State, connection: Connection, identity: Identity): void {
  const command = state.commands.commandOf(encodeUser(identity.user) ?? '', state.policy.separator);
  if (command === undefined) return;
  state.outbox.report({ kind: 'topic-collision', party: connection.party, command });
}

/**
 * Refuses a CONNECT and ends the connection. The client is always told before it: a 5.0 client with
 * Reason Code and Reason String, a 3.x client with the return code that fits, if any does.
 * [MQTT-3.2.2-7] [MQTT3-3.2.2-5]
 */
export function refuse(
  state: State,
  connection: Connection,
  reasonCode: ReasonCode,
  detail: string,
  now: Millis,
): void {
  if (connection.phase === 'closed') return;
  const answerable = connection.version5 || connectReturnCode(reasonCode) !== undefined;
  if (connection.greeting?.introduced && answerable) {
    // [MQTT-3.2.2-6]
    connection.out.writePacket({
      type: 'connack',
      sessionPresent: false,
      reasonCode: reasonForConnack(reasonCode),
      reasonString: detail,
    });
  }
  count(state.counters.refused, reasonName(reasonCode));
  state.outbox.report({ kind: 'refused', party: connection.party, reasonCode, detail });
  state.outbox.close(connection.id);
  connection.over('broker', reasonCode, detail, now);
}
