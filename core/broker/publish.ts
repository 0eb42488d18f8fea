/**
 * The way in of a message, up to the router: its topic, its Packet Identifier, its limits, and the
 * right to publish it. A refusal is a Reason Code here, and what the peer may not do at all a
 * `ProtocolViolation`.
 */

import { TOKEN_TOPIC } from '../auth/rights.ts';
import type { Acknowledgement, PacketIdentifier } from '../mqtt/packet.ts';
import type { PublishView } from '../mqtt/publish.ts';
import { ProtocolViolation, ReasonCode, reasonName } from '../mqtt/reason-code.ts';
import { parseTopicName } from '../mqtt/topic.ts';
import { fingerprint, RecentCommands } from '../session/recent-commands.ts';
import { checkTopic, isUtf8 } from './bounds.ts';
import type { Connection } from './connection.ts';
import { count } from './counters.ts';
import type { StorageFailure } from './ledger.ts';
import type { Millis } from './outbox.ts';
import { Publication, withoutStamps } from './publication.ts';
import { acknowledge, acknowledgeAfter } from './receipts.ts';
import { renewByPublish } from './renewal.ts';
import { submit } from './route.ts';
import type { ClientSession, State } from './state.ts';
import { topicNamed } from './topic-aliases.ts';

/** A PUBLISH came from a client. */
export function publish(
  state: State,
  connection: Connection,
  packet: PublishView,
  now: Millis,
): void {
  const { session, rights, publisher } = connection;
  if (session === undefined || rights === undefined) return;
  const { qos, packetIdentifier } = packet;
  state.counters.publishReceived++;
  state.counters.publishBytesReceived += packet.end - packet.payloadAt;
  const topic =
    packet.topic === '' || packet.topicAlias !== undefined
      ? connection.openAliases().resolve(packet)
      : topicNamed(packet);
  if (connection.version5) checkForm(packet, connection.terms.retainAvailable);
  if (qos > 0) {
    const inbound = session.openInbound();
    if (qos === 2 && inbound.holds(packetIdentifier)) {
      // A duplicate: PUBREC again, and nothing below runs twice. [MQTT-4.3.3-10]
      inbound.begin(packetIdentifier, qos);
      const { kept } = state.ledger;
      return acknowledge(
        state,
        connection,
        2,
        packetIdentifier,
        ReasonCode.Success,
        undefined,
        kept,
      );
    }
    if (connection.version5 && inbound.outstanding >= state.limits.receiveMaximum) {
      throw new ProtocolViolation(
        ReasonCode.ReceiveMaximumExceeded,
        'MQTT-3.3.4-7',
        `more than ${state.limits.receiveMaximum} messages unacknowledged`,
      );
    }
    inbound.begin(packetIdentifier, qos);
  }
  if (topic === TOKEN_TOPIC) return renewByPublish(state, connection, packet);

  const unfit = checkTopic(state, topic);
  if (unfit !== undefined) {
    return refusePublish(state, connection, packet, ReasonCode.TopicNameInvalid, unfit, now);
  }
  const { properties } = packet;
  if (properties?.payloadFormatIndicator === 1 && !isUtf8(packet.payload)) {
    const detail = 'the payload is not UTF-8';
    return refusePublish(state, connection, packet, ReasonCode.PayloadFormatInvalid, detail, now);
  }
  const reach = rights.mayPublish(topic);
  if (reach === undefined) {
    state.outbox.report({ kind: 'denied', party: connection.party, action: 'publish', topic });
    return refusePublish(state, connection, packet, ReasonCode.NotAuthorized, undefined, now);
  }
  const interval = packet.messageExpiryInterval;
  const publication = Publication.received(
    packet,
    topic,
    packet.retain && rights.mayRetain,
    withoutStamps(properties),
    interval === undefined ? Number.POSITIVE_INFINITY : now + interval * 1_000,
    publisher,
    reach,
  );
  const { ledger } = state;
  if (qos === 1 && packet.dup && session.recentCommands !== undefined) {
    if (session.recentCommands.repeats(packetIdentifier, fingerprint(publication))) {
      state.counters.commandsRepeated++;
      const { Success } = ReasonCode;
      return acknowledge(state, connection, 1, packetIdentifier, Success, undefined, ledger.kept);
    }
  }
  const before = ledger.kept;
  state.publisher = connection;
  const outcome = submit(state, publication, session, now);
  state.publisher = undefined;
  if (outcome === 'full') {
    const detail = 'a queue or the store of retained messages is full';
    return refusePublish(state, connection, packet, ReasonCode.QuotaExceeded, detail, now);
  }
  if (outcome === 'unstorable') {
    const { reasonCode, detail } = ledger.failure ?? unknownFailure;
    return refusePublish(state, connection, packet, reasonCode, detail, now);
  }
  if (qos === 0) return;
  if (qos === 1 && session.number !== 0 && publication.number !== 0) {
    noteCommand(state, session, packetIdentifier, publication);
  }
  const exactlyOnce = qos === 2 && session.number !== 0;
  if (exactlyOnce) ledger.keep({ kind: 'received', session: session.number, packetIdentifier });
  // What it promises is kept by now; where receivers are done with it earlier, so is the promise.
  const position = ledger.kept > before ? ledger.kept : 0;
  const mayLeaveEarlier = !exactlyOnce && !publication.lasting && publication.unfinished > 0;
  acknowledge(
    state,
    connection,
    qos,
    packetIdentifier,
    outcome === 'nobody' ? ReasonCode.NoMatchingSubscribers : ReasonCode.Success,
    undefined,
    position,
    mayLeaveEarlier ? publication : undefined,
  );
}

/** A QoS 1 command for plugins is remembered, for the client may send it again after a crash. */
function noteCommand(
  state: State,
  session: ClientSession,
  packetIdentifier: PacketIdentifier,
  publication: Publication,
): void {
  if (!state.handled.declares(publication.topic)) return;
  session.recentCommands ??= new RecentCommands();
  session.recentCommands.add(packetIdentifier, fingerprint(publication));
  const marks = session.recentCommands.snapshot();
  state.ledger.keep({ kind: 'recent-commands', session: session.number, marks });
}

const unknownFailure: StorageFailure = {
  reasonCode: ReasonCode.ImplementationSpecificError,
  detail: 'cannot be stored now',
};

/** What 5.0 forbids a client to put into a PUBLISH, beyond its form. [MQTT-3.3.4-6] [MQTT-3.3.2-14] */
function checkForm(packet: PublishView, retainAvailable: boolean): void {
  if (packet.retain && !retainAvailable && packet.topic !== TOKEN_TOPIC) {
    throw new ProtocolViolation(
      ReasonCode.RetainNotSupported,
      'MQTT-3.2.2-14',
      'RETAIN, though CONNACK said Retain Available 0',
    );
  }
  if (packet.subscriptionIdentifiers !== undefined) {
    throw new ProtocolViolation(
      ReasonCode.ProtocolError,
      'MQTT-3.3.4-6',
      'Subscription Identifier from a client',
    );
  }
  const responseTopic = packet.properties?.responseTopic;
  if (responseTopic !== undefined && parseTopicName(responseTopic) === undefined) {
    throw new ProtocolViolation(ReasonCode.ProtocolError, 'MQTT-3.3.2-14', 'Response Topic');
  }
}

/**
 * A refusal that can be seen: 5.0 gets it in PUBACK or PUBREC; for QoS 0 the message is dropped and
 * counted, but for what breaks the message's own terms the connection ends. 3.x has no word for it:
 * the message is acknowledged and dropped, or the connection closed, by configuration; for want of
 * room it is always closed.
 */
function refusePublish(
  state: State,
  connection: Connection,
  packet: PublishView,
  reasonCode: ReasonCode,
  detail: string | undefined,
  now: Millis,
): void {
  count(state.counters.publishRefused, reasonName(reasonCode));
  const wanting =
    reasonCode === ReasonCode.QuotaExceeded ||
    reasonCode === ReasonCode.ImplementationSpecificError;
  // A passing error, and a 3.x acknowledgement cannot say no: the message would be lost. [MQTT3-4.8.0-2]
  const lie = wanting && packet.qos > 0;
  if (!connection.version5 && (lie || state.limits.legacyRefusal === 'close')) {
    // Sent again, with another token perhaps, it is no duplicate of a message that went somewhere.
    connection.session?.inbound?.release(packet.packetIdentifier);
    return connection.disconnect(reasonCode, detail ?? 'not authorized', now);
  }
  if (connection.version5 && packet.qos === 0 && endsConnection(reasonCode)) {
    throw new ProtocolViolation(reasonCode, '', detail ?? '');
  }
  acknowledge(state, connection, packet.qos, packet.packetIdentifier, reasonCode, detail);
}

/** Without an acknowledgement, these are told by DISCONNECT: the message contradicts what it says of itself or what CONNACK said. */
function endsConnection(reasonCode: ReasonCode): boolean {
  return (
    reasonCode === ReasonCode.PayloadFormatInvalid || reasonCode === ReasonCode.TopicNameInvalid
  );
}

/**
 * PUBREL came: the exchange is over, and the Packet Identifier free. PUBCOMP waits until that is on
 * disk: the client uses the identifier for another message then. [MQTT-4.3.3-11]
 */
export function released(state: State, connection: Connection, packet: Acknowledgement): void {
  const { session } = connection;
  const { packetIdentifier } = packet;
  const known = session?.inbound?.release(packetIdentifier) ?? false;
  const stored = known && session !== undefined && session.number !== 0;
  if (stored) state.ledger.keep({ kind: 'freed', session: session.number, packetIdentifier });
  acknowledgeAfter(
    state,
    connection,
    'pubcomp',
    packetIdentifier,
    known ? ReasonCode.Success : ReasonCode.PacketIdentifierNotFound,
    stored ? state.ledger.kept : 0,
  );
}
