/**
 * SUBSCRIBE and UNSUBSCRIBE (sections 3.8 to 3.11): each filter gets its own answer, and what is
 * refused is not added. A handler's subscription declares a command for as long as it stands.
 */
import type { Role, Standing } from '../auth/rights.ts';
import { encode } from '../mqtt/codec.ts';
import type {
  Subscribe,
  SubscriptionAcknowledgement,
  SubscriptionRequest,
  Unsubscribe,
} from '../mqtt/packet.ts';
import { ProtocolViolation, ReasonCode, reasonName } from '../mqtt/reason-code.ts';
import { parseFilterRequest } from '../mqtt/topic.ts';
import { SharedGroup } from '../routing/shared-group.ts';
import { Subscription } from '../session/session.ts';
import { checkTopic } from './bounds.ts';
import type { Connection } from './connection.ts';
import { count } from './counters.ts';
import type { Millis } from './outbox.ts';
import { pump } from './pump.ts';
import { sendAfterAll } from './receipts.ts';
import { replayRetained } from './retained.ts';
import type { ClientGroup, ClientSession, ClientSubscription, State } from './state.ts';

/** SUBSCRIBE came. SUBACK goes first, then the retained messages that it brings up. [MQTT-3.8.4-1] */
export function subscribe(
  state: State,
  connection: Connection,
  packet: Subscribe,
  now: Millis,
): void {
  const { session } = connection;
  if (session === undefined) return;
  const identifier = packet.subscriptionIdentifier ?? 0;
  const reasonCodes: ReasonCode[] = [];
  for (const request of packet.subscriptions) {
    const code = add(state, connection, session, request, identifier, now);
    if (code >= ReasonCode.UnspecifiedError)
      count(state.counters.subscribeRefused, reasonName(code));
    reasonCodes.push(code);
  }
  const { packetIdentifier } = packet;
  answer(state, connection, { type: 'suback', packetIdentifier, reasonCodes });
  pump(state, session, now);
}

/** SUBACK and UNSUBACK of a stored session wait until what they say is on disk. */
function answer(state: State, connection: Connection, packet: SubscriptionAcknowledgement): void {
  if (connection.session?.number === 0) connection.out.writePacket(packet);
  else sendAfterAll(state, connection, encode(packet, connection.protocolVersion));
}

/** Adds or replaces one subscription, and returns what SUBACK says of it. [MQTT-3.8.4-3] [MQTT-3.9.3-1] */
function add(
  state: State,
  connection: Connection,
  session: ClientSession,
  request: SubscriptionRequest,
  identifier: number,
  now: Millis,
): ReasonCode {
  const { topicFilter, maximumQoS } = request;
  const parsed = parseFilterRequest(topicFilter);
  if (parsed === undefined) {
    if (connection.version5) return ReasonCode.TopicFilterInvalid;
    throw new ProtocolViolation(
      ReasonCode.TopicFilterInvalid,
      'MQTT-4.7.1-1',
      'the Topic Filter is malformed',
    );
  }
  const { filter, shareName } = parsed;
  if (checkTopic(state, filter) !== undefined) return ReasonCode.TopicFilterInvalid;
  if (shareName !== undefined && request.noLocal) {
    throw new ProtocolViolation(
      ReasonCode.ProtocolError,
      'MQTT-3.8.3-4',
      'No Local on a Shared Subscription',
    );
  }
  const { rights } = connection;
  const standing = rights?.maySubscribe(filter, shareName !== undefined);
  if (rights === undefined || standing === undefined) {
    const { party } = connection;
    state.outbox.report({ kind: 'denied', party, action: 'subscribe', topic: topicFilter });
    return ReasonCode.NotAuthorized;
  }
  if (session.number !== 0 && state.ledger.failure !== undefined) {
    return state.ledger.failure.reasonCode;
  }
  let subscription = session.find(filter, shareName);
  const isNew = subscription === undefined;
  if (subscription === undefined) {
    if (session.subscriptions.length >= state.limits.maximumSubscriptions) {
      return ReasonCode.QuotaExceeded;
    }
    const group = shareName === undefined ? undefined : groupFor(state, shareName, filter);
    subscription = new Subscription(session, filter, group);
  }
  subscription.agree(maximumQoS, request.noLocal, request.retainAsPublished);
  subscription.identifier = identifier;
  if (isNew) insert(state, subscription);
  setStanding(state, subscription, standing, rights.role);
  keepSubscription(state, subscription);
  replayRetained(state, subscription, request.retainHandling, isNew, now);
  return maximumQoS; // the Reason Codes of a grant are the QoS levels
}

/** Keeps a subscription of a stored session as it is now. */
export function keepSubscription(state: State, subscription: ClientSubscription): void {
  const { session, filter, group, maximumQoS, noLocal, retainAsPublished } = subscription;
  if (session.number === 0) return;
  const { identifier, standing, declares } = subscription;
  state.ledger.keep({
    kind: 'subscribed',
    session: session.number,
    subscription: {
      filter,
      shareName: group?.shareName ?? '',
      maximumQoS,
      noLocal,
      retainAsPublished,
      identifier,
      standing,
      declares,
    },
  });
}

export function insert(state: State, subscription: ClientSubscription): void {
  const { session, filter, group } = subscription;
  session.subscriptions.push(subscription);
  state.counters.subscriptions++;
  if (group === undefined) {
    state.subscriptions.add(filter, subscription);
  } else {
    group.add(subscription);
    state.counters.sharedSubscriptions++;
  }
}

export function groupFor(
  state: State,
  shareName: string,
  filter: ClientSubscription['filter'],
): ClientGroup {
  const name = `${shareName}/${filter}`;
  let group = state.groupsByName.get(name);
  if (group === undefined) {
    group = new SharedGroup(shareName, filter);
    state.groupsByName.set(name, group);
    state.groups.add(filter, group);
  }
  return group;
}

/** Says by which right the subscription stands from now on; a handler's declares its filter. */
export function setStanding(
  state: State,
  subscription: ClientSubscription,
  standing: Standing,
  role: Role,
): void {
  subscription.standing = standing;
  const declares = role === 'handler';
  if (declares === subscription.declares) return;
  subscription.declares = declares;
  if (declares) state.commands.add(subscription.filter);
  else state.commands.remove(subscription.filter);
}

/** Takes the subscription out of its session, the tree or its group, and the declared commands. */
export function removeSubscription(state: State, subscription: ClientSubscription): void {
  const { session, filter, group } = subscription;
  const index = session.subscriptions.indexOf(subscription);
  if (index === -1) return;
  session.subscriptions.splice(index, 1);
  state.counters.subscriptions--;
  if (subscription.declares) state.commands.remove(filter);
  if (session.number !== 0 && state.sessionsByNumber.has(session.number)) {
    const shareName = group?.shareName ?? '';
    state.ledger.keep({ kind: 'unsubscribed', session: session.number, filter, shareName });
  }
  if (group === undefined) {
    state.subscriptions.remove(filter, subscription);
    return;
  }
  group.remove(subscription);
  state.counters.sharedSubscriptions--;
  if (group.size > 0) return;
  state.groups.remove(filter, group);
  state.groupsByName.delete(`${group.shareName}/${filter}`);
}

/** UNSUBSCRIBE came. What is under way to the client already may still arrive. [MQTT-3.10.4-4] */
export function unsubscribe(state: State, connection: Connection, packet: Unsubscribe): void {
  const { session } = connection;
  if (session === undefined) return;
  const reasonCodes: ReasonCode[] = [];
  for (const text of packet.topicFilters) {
    const parsed = parseFilterRequest(text);
    if (parsed === undefined) {
      if (!connection.version5) {
        throw new ProtocolViolation(
          ReasonCode.TopicFilterInvalid,
          'MQTT-4.7.1-1',
          'the Topic Filter is malformed',
        );
      }
      reasonCodes.push(ReasonCode.TopicFilterInvalid);
      continue;
    }
    const subscription = session.find(parsed.filter, parsed.shareName);
    if (subscription !== undefined) removeSubscription(state, subscription);
    reasonCodes.push(
      subscription === undefined ? ReasonCode.NoSubscriptionExisted : ReasonCode.Success,
    );
  }
  const { packetIdentifier } = packet;
  answer(state, connection, { type: 'unsuback', packetIdentifier, reasonCodes });
}
