/** The model's part for one Topic Filter of a SUBSCRIBE (section 3.8.4). */
import type { Identity } from '../../core/auth/rights.ts';
import type { Packet } from '../../core/mqtt/packet.ts';
import { ReasonCode } from '../../core/mqtt/reason-code.ts';
import { parseFilterRequest } from '../../core/mqtt/topic.ts';
import type { Model } from './model.ts';
import { subscribeStanding } from './rights.ts';
import type { ModelConnection, ModelSession } from './state.ts';

/** Adds or replaces the subscription; gives the Reason Code that SUBACK must have for it. */
export function subscribeOne(
  model: Model,
  connection: ModelConnection,
  session: ModelSession,
  request: (Packet & { type: 'subscribe' })['subscriptions'][number],
  identifier: number,
): number {
  const text = request.topicFilter;
  const parsed = parseFilterRequest(text);
  const identity = connection.identity as Identity;
  const shared = parsed?.shareName !== undefined;
  const standing =
    parsed &&
    subscribeStanding(identity, session.clientIdentifier, model.policy, parsed.filter, shared);
  if (parsed === undefined || standing === undefined) {
    return connection.version === 5 ? ReasonCode.NotAuthorized : ReasonCode.UnspecifiedError;
  }
  const isNew = !session.subscriptions.has(text);
  const held = {
    text,
    filter: parsed.filter,
    group: shared ? text : undefined,
    qos: request.maximumQoS,
    noLocal: request.noLocal,
    retainAsPublished: request.retainAsPublished,
    identifier,
    standing,
    declares: identity.role === 'handler',
  };
  session.subscriptions.set(text, held);
  if (shared) {
    session.shares.push(held);
    model.routing.attached(session); // it may be handed what is too large for it from now on
  }
  const { retainHandling } = request;
  if (!shared && (retainHandling === 0 || (retainHandling === 1 && isNew))) {
    model.routing.replayRetained(session, text);
  }
  return request.maximumQoS;
}
