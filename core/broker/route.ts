/**
 * The router: keeps a message where it is to be retained, and finds everybody whom it is for:
 * sessions, one member of each group, plugins, and the bus. The origin rule is applied here, for
 * each subscription that matches.
 */
import type { QoS } from '../mqtt/packet.ts';
import { handle } from './commands.ts';
import { deliver, refuses } from './deliver.ts';
import type { Millis } from './outbox.ts';
import type { Publication } from './publication.ts';
import { retain } from './retained.ts';
import type { ClientGroup, ClientSession, ClientSubscription, State } from './state.ts';
import { raiseUndelivered } from './undelivered.ts';

/** What became of a publication: somebody's, nobody's, or refused because there is no room or no disk. */
export type Outcome = 'delivered' | 'nobody' | 'full' | 'unstorable';

/**
 * Keeps `publication` where it is to be retained, and hands it to everybody whom it is for; to nobody where
 * that cannot be promised, since its publisher can be told. A `quiet` one raises no hook.
 */
export function submit(
  state: State,
  publication: Publication,
  from: ClientSession | undefined,
  now: Millis,
  quiet = false,
): Outcome {
  if (state.ledger.failure !== undefined && mustLast(state, publication, from)) return 'unstorable';
  if (state.limits.queuePolicy === 'refuse' && publication.qos > 0) {
    const full = isForSome(state, publication, from, (session) =>
      refuses(state, session, publication),
    );
    if (full) return 'full';
  }
  if (publication.retain && !retain(state, publication)) return 'full';
  return impart(state, publication, from, now, quiet) > 0 ? 'delivered' : 'nobody';
}

/**
 * The same for a publication whose publisher is gone: whoever has no room for it goes without, which is
 * counted, and while nothing can be stored it is kept as well as can be.
 */
export function submitAnyhow(
  state: State,
  publication: Publication,
  from: ClientSession | undefined,
  now: Millis,
): void {
  if (publication.retain) retain(state, publication);
  impart(state, publication, from, now, false);
}

/** Returns how many it was for. */
function impart(
  state: State,
  publication: Publication,
  from: ClientSession | undefined,
  now: Millis,
  quiet: boolean,
): number {
  const receivers = route(state, publication, from, now);
  state.outbox.forward(publication);
  // Reach 2: it would be delivered by a device's right to its own topics.
  if (publication.reach === 2 && state.hooks.undelivered && !quiet) {
    raiseUndelivered(state, publication);
  }
  if (publication.retain) publication.forgetFrames();
  return receivers;
}

// Reused from one publication to the next: no publication is routed while another is.
const matched: ClientSubscription[] = [];
const groups: ClientGroup[] = [];
const sessions: ClientSession[] = [];
const qualities: QoS[] = [];
const retains: boolean[] = [];
const identifiers: (number[] | undefined)[] = [];

/**
 * Hands `publication` to every session with a matching subscription, to one member of every matching
 * group, and to the plugins; returns how many that were. A session whose subscriptions overlap gets
 * one copy, at the highest QoS among them and with all their identifiers. [MQTT-3.3.4-2] [MQTT-3.3.4-3]
 */
export function route(
  state: State,
  publication: Publication,
  from: ClientSession | undefined,
  now: Millis,
): number {
  const { topic, reach } = publication;
  state.subscriptions.match(topic, matched);
  const visit = ++state.visits;
  for (let i = 0; i < matched.length; i++) {
    const subscription = matched[i] as ClientSubscription;
    // The origin rule, and No Local. [MQTT-3.8.3-3]
    if (subscription.standing > reach) continue;
    const { session } = subscription;
    if (subscription.noLocal && session === from) continue;
    const qos = Math.min(publication.qos, subscription.maximumQoS) as QoS;
    const retained = subscription.retainAsPublished && publication.retain;
    if (session.visit === visit) {
      const at = session.visitIndex;
      if (qos > (qualities[at] as QoS)) qualities[at] = qos;
      if (retained) retains[at] = true;
      if (subscription.identifier !== 0) {
        const list = identifiers[at];
        if (list === undefined) identifiers[at] = [subscription.identifier];
        else list.push(subscription.identifier);
      }
      continue;
    }
    session.visit = visit;
    session.visitIndex = sessions.length;
    sessions.push(session);
    qualities.push(qos);
    retains.push(retained);
    identifiers.push(subscription.identifier === 0 ? undefined : [subscription.identifier]);
  }
  let receivers = sessions.length;
  for (let i = 0; i < sessions.length; i++) {
    deliver(
      state,
      sessions[i] as ClientSession,
      publication,
      qualities[i] as QoS,
      retains[i] as boolean,
      identifiers[i],
      undefined,
      now,
    );
  }
  matched.length = 0;
  sessions.length = 0;
  qualities.length = 0;
  retains.length = 0;
  identifiers.length = 0;
  if (state.groups.size > 0) receivers += routeToGroups(state, publication, now);
  if (state.handled.declares(topic)) {
    receivers++;
    handle(state, publication);
  }
  return receivers;
}

/**
 * One member of each matching group gets the message: one that can take it now, else one that has room
 * for it, else, at the price of what its queue drops, any; those that are there come first.
 */
function routeToGroups(state: State, publication: Publication, now: Millis): number {
  let receivers = 0;
  state.groups.match(publication.topic, groups);
  for (let i = 0; i < groups.length; i++) {
    const group = groups[i] as ClientGroup;
    reachNow = publication.reach;
    let member = group.pick(canTake);
    if (member === undefined && publication.qos > 0) {
      member = pickWithRoom(state, group, publication);
    }
    member ??= group.pick(isThere) ?? group.pick(isAway);
    if (member === undefined) continue;
    receivers++;
    const qos = Math.min(publication.qos, member.maximumQoS) as QoS;
    const retained = member.retainAsPublished && publication.retain;
    const list = member.identifier === 0 ? undefined : [member.identifier];
    deliver(state, member.session, publication, qos, retained, list, group, now);
  }
  groups.length = 0;
  return receivers;
}

function pickWithRoom(
  state: State,
  group: ClientGroup,
  publication: Publication,
): ClientSubscription | undefined {
  const hasRoom = (member: ClientSubscription): boolean =>
    member.maximumQoS > 0 && !refuses(state, member.session, publication);
  return (
    group.pick((member) => isThere(member) && hasRoom(member)) ??
    group.pick((member) => isAway(member) && hasRoom(member))
  );
}

let reachNow = 0;

function canTake(member: ClientSubscription): boolean {
  const { session } = member;
  return (
    member.standing <= reachNow &&
    session.link !== undefined &&
    !session.link.out.congested &&
    (session.outbound.open || session.outbound.size === 0)
  );
}

function isThere(member: ClientSubscription): boolean {
  return member.standing <= reachNow && member.session.link !== undefined;
}

/** Whoever is away has a queue for QoS 1 and 2 alone. */
function isAway(member: ClientSubscription): boolean {
  return member.standing <= reachNow && member.maximumQoS > 0;
}

/** Whether an acknowledgement of `publication` would promise that it is on disk (design section 5). */
function mustLast(
  state: State,
  publication: Publication,
  from: ClientSession | undefined,
): boolean {
  if (publication.retain) return true;
  if (publication.qos === 0) return false;
  if (state.handled.declares(publication.topic)) return true;
  return isForSome(state, publication, from, (session) => session.number !== 0);
}

/**
 * Whether `publication` is for some session, above QoS 0, that is as `test` says; or for a group all of
 * whose members that could get it are so.
 */
function isForSome(
  state: State,
  publication: Publication,
  from: ClientSession | undefined,
  test: (session: ClientSession) => boolean,
): boolean {
  const { reach, topic } = publication;
  const held: ClientSubscription[] = [];
  state.subscriptions.match(topic, held);
  const single = held.some(
    (subscription) =>
      subscription.standing <= reach &&
      subscription.maximumQoS > 0 &&
      !(subscription.noLocal && subscription.session === from) &&
      test(subscription.session),
  );
  if (single || state.groups.size === 0) return single;
  const shared: ClientGroup[] = [];
  state.groups.match(topic, shared);
  return shared.some((group) => {
    reachNow = reach;
    const members = group.members.filter((member) => isThere(member) || isAway(member));
    return members.length > 0 && members.every((each) => each.maximumQoS > 0 && test(each.session));
  });
}
