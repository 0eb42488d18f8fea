/**
 * A new token on an open connection, by AUTH in 5.0 (section 4.12.1) or, in every version, by
 * publishing it to `$token`. The user stays the same; role and grants may change, and what the new
 * ones do not cover is taken away.
 */
import type { Identity } from '../auth/rights.ts';
import type { Auth, Publish } from '../mqtt/packet.ts';
import { ProtocolViolation, ReasonCode } from '../mqtt/reason-code.ts';
import { tokenText } from './connect.ts';
import type { Connection, Renewal } from './connection.ts';
import type { Millis, Verification } from './outbox.ts';
import { renewPresence } from './presence.ts';
import { acknowledge } from './receipts.ts';
import { reauthorize } from './sessions.ts';
import type { State } from './state.ts';
import { renewWill } from './will.ts';

/** AUTH came on an open connection. [MQTT-4.12.1-1] */
export function reauthenticate(state: State, connection: Connection, packet: Auth): void {
  const { authenticationMethod: method, authenticationData: token, reasonCode } = packet;
  const agreed = connection.terms.authenticationMethod;
  if (agreed === undefined || method !== agreed) {
    throw new ProtocolViolation(
      ReasonCode.ProtocolError,
      'MQTT-4.12.1-1',
      'AUTH with another method than CONNECT had',
    );
  }
  const asked = connection.renewal?.by === 'auth';
  const fits = asked ? ReasonCode.ContinueAuthentication : ReasonCode.ReAuthenticate;
  if (reasonCode !== fits) {
    throw new ProtocolViolation(ReasonCode.ProtocolError, 'MQTT-4.12.0-3', 'AUTH out of turn');
  }
  if (token === undefined || token.length === 0) {
    if (asked) throw new ProtocolViolation(ReasonCode.ProtocolError, '', 'AUTH without a token');
    connection.renewal = { by: 'auth' };
    connection.out.writePacket({
      type: 'auth',
      reasonCode: ReasonCode.ContinueAuthentication,
      authenticationMethod: method,
      authenticationData: undefined,
    });
    return;
  }
  begin(state, connection, { by: 'auth' }, tokenText(token));
}

/** A PUBLISH to `$token` came. */
export function renewByPublish(state: State, connection: Connection, packet: Publish): void {
  const { qos, packetIdentifier } = packet;
  begin(state, connection, { by: 'publish', qos, packetIdentifier }, tokenText(packet.payload));
}

function begin(state: State, connection: Connection, renewal: Renewal, token: string): void {
  connection.renewal = renewal;
  connection.phase = 'renewing';
  connection.updateReading();
  state.outbox.verify(connection.id, token);
}

/** The verdict on the new token is in. One that expired while it was checked is no good any more. */
export function endRenewal(
  state: State,
  connection: Connection,
  verdict: Verification,
  now: Millis,
): void {
  const { renewal, publisher } = connection;
  if (renewal === undefined) return;
  const result =
    verdict.kind === 'accept' && verdict.identity.expiresAtMs <= now
      ? ({ kind: 'refuse', reasonCode: ReasonCode.NotAuthorized, detail: 'token expired' } as const)
      : verdict;
  connection.renewal = undefined;
  connection.phase = 'open';
  connection.lastPacketMs = now;
  if (result.kind === 'accept' && result.identity.user !== publisher.user) {
    return connection.disconnect(ReasonCode.NotAuthorized, 'the token is another user’s', now);
  }
  if (result.kind === 'accept') {
    renew(state, connection, result.identity, now);
    if (renewal.by === 'publish') {
      acknowledge(state, connection, renewal.qos, renewal.packetIdentifier, ReasonCode.Success);
    } else {
      connection.out.writePacket({
        type: 'auth',
        reasonCode: ReasonCode.Success,
        authenticationMethod: connection.terms.authenticationMethod,
        authenticationData: undefined,
      });
    }
  } else if (renewal.by === 'publish' && connection.version5 && renewal.qos > 0) {
    // The old token is good until it expires, and the app knows now that the new one is not.
    const { qos, packetIdentifier } = renewal;
    acknowledge(state, connection, qos, packetIdentifier, ReasonCode.NotAuthorized, result.detail);
  } else {
    // AUTH: the standard says so [MQTT-4.12.1-2]. Otherwise it is the one answer that can be seen.
    return connection.disconnect(result.reasonCode, result.detail, now);
  }
  connection.schedule(now);
  connection.proceed(now);
}

function renew(state: State, connection: Connection, identity: Identity, now: Millis): void {
  const rights = connection.authorize(identity);
  renewWill(connection, identity);
  if (connection.session !== undefined) {
    reauthorize(state, connection.session, rights, connection.party, now);
  }
  renewPresence(state, connection, now);
}
