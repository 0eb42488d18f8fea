/** A PUBLISH that the broker sends: which delivery it is, and whether it may go out now and like this. */
import type { Publish, UserProperty } from '../../core/mqtt/packet.ts';
import { check, Failure } from './failure.ts';
import type { Model } from './model.ts';
import { mayReceive } from './rights.ts';
import { expired, liveTerms } from './routing.ts';
import type { Delivery, ModelConnection, ModelSession, Terms } from './state.ts';
import { isReading } from './system.ts';

export function observePublish(
  model: Model,
  connection: ModelConnection,
  packet: Publish,
): Delivery {
  const { session, identity } = connection;
  check(session !== undefined && identity !== undefined, 'PUBLISH to a client without a session');
  // A message that was in flight, by the broker's books, may or may not have been sent before: DUP says
  // that it might have been.
  const pending = session.deliveries.some(
    (each) => each.stage === 'sent' && each.packetIdentifier === packet.packetIdentifier,
  );
  const delivery =
    packet.dup && (pending || !(model.durable && packet.qos === 2))
      ? again(model, connection, session, packet)
      : first(model, connection, session, packet);
  const problem = problemWith(model, connection, packet, delivery);
  check(problem === undefined, () => `${problem} on ${delivery}`);
  const { topic, reach } = delivery.message;
  // What a client has had over this connection it keeps, whatever its token says since.
  const may = mayReceive(identity, session.clientIdentifier, model.policy, topic, reach);
  check(may, () => `no right to it now: ${delivery}`);
  if (delivery.message.isUnknown) {
    delivery.message.payload = new TextDecoder().decode(packet.payload);
    delivery.message.isUnknown = false;
  }
  delivery.publishedOn = connection.id;
  delivery.sentOn = connection.id;
  if (packet.qos === 0) {
    delivery.stage = 'over';
    session.deliveries = session.deliveries.filter((each) => each !== delivery);
    return delivery;
  }
  if (delivery.stage === 'waiting') {
    delivery.stage = 'sent';
    delivery.packetIdentifier = packet.packetIdentifier;
    delivery.sentSerial = model.routing.sent++;
  }
  const inFlight = session.deliveries.filter(
    (each) => each.inFlight && each.publishedOn === connection.id,
  ).length;
  const { receiveMaximum } = connection;
  check(inFlight <= receiveMaximum, `${inFlight} in flight, over ${receiveMaximum}`);
  return delivery;
}

/** DUP is set: an unacknowledged message again, once a connection, in order. [MQTT-4.4.0-1] [MQTT-4.6.0-1] */
function again(
  model: Model,
  connection: ModelConnection,
  session: ModelSession,
  packet: Publish,
): Delivery {
  check(packet.qos > 0, 'DUP with QoS 0'); // [MQTT-3.3.1-2]
  const pending = session.deliveries.filter(
    (each) => each.stage === 'sent' && each.publishedOn !== connection.id,
  );
  const delivery = pending.find((each) => each.packetIdentifier === packet.packetIdentifier);
  check(
    delivery !== undefined && sees(delivery, delivery.terms, packet, connection),
    () => `nothing like it is unacknowledged: ${show(packet)} again for ${session.key}`,
  );
  const older = pending.find(
    (each) =>
      each.sentSerial < delivery.sentSerial &&
      // QoS 2 that had to wait for the disk has its place among its like.
      (!model.durable || each.terms.qos === packet.qos) &&
      !passOver(each),
  );
  check(older === undefined, () => `${delivery} is sent again before ${older}`);
  delivery.loose = false;
  delivery.doubtful = false;
  model.routing.shared.delete(delivery);
  return delivery;
}

/**
 * Whether what should come first need not: a group's message that another member has by now, or one
 * that is too large for this connection, and so was dropped for good.
 */
function passOver(delivery: Delivery): boolean {
  if (delivery.doubtful && !delivery.loose) delivery.stage = 'over';
  return delivery.doubtful || delivery.loose;
}

/** DUP is not set: a message that was never sent to this client. */
function first(
  model: Model,
  connection: ModelConnection,
  session: ModelSession,
  packet: Publish,
): Delivery {
  const delivery =
    session.deliveries.find(
      (each) =>
        each.stage === 'waiting' &&
        sees(each, each.terms, packet, connection) &&
        lasts(each, packet, connection, model) &&
        propertyProblem(model, connection, packet, each) === undefined,
    ) ?? claim(model, connection, session, packet);
  if (delivery === undefined) throw new Failure(unexpected(model, session, packet));
  const { message } = delivery;
  if (delivery.excuse !== undefined) {
    // The same message twice, as a publisher sends it again or as it was retained, of which one may be
    // missing: either, where this packet could be either of them.
    const { group } = delivery;
    const others = group === undefined ? session.deliveries : [...model.routing.shared];
    const twin = others.find(
      (each) =>
        each !== delivery &&
        each.group === group &&
        each.excuse === undefined &&
        (each.stage === 'waiting' || each.loose) &&
        (group === undefined
          ? sees(each, each.terms, packet, connection)
          : sharedTerms(session, each, packet, connection) !== undefined),
    );
    if (twin !== undefined) twin.excuse = delivery.excuse;
  }

  // In order, for each publisher, topic and QoS. [MQTT-4.6.0-5] [MQTT-4.6.0-6]
  for (const each of session.deliveries) {
    if (each.stage !== 'waiting' || each.serial >= delivery.serial) continue;
    if (misplaced(model, delivery) || misplaced(model, each)) continue;
    if (each.message.payload === message.payload) continue; // the same message
    if (each.replayed !== delivery.replayed) continue;
    if (each.message.topic !== message.topic || each.terms.qos !== delivery.terms.qos) continue;
    const { user, clientIdentifier } = each.message.publisher;
    if (user !== message.publisher.user) continue;
    if (clientIdentifier !== message.publisher.clientIdentifier) continue;
    const late = each.excuse !== undefined || expired(each.message, model.now);
    check(late, () => `out of order: ${delivery} before ${each}`);
    each.stage = 'over'; // it may be missing, but it may not come late
  }
  if (packet.qos === 0) return delivery;

  const unsent = session.deliveries.find(
    (each) =>
      each.stage === 'sent' &&
      each.publishedOn !== connection.id &&
      each !== delivery &&
      (!model.durable || each.terms.qos === packet.qos) &&
      !passOver(each),
  );
  check(unsent === undefined, () => `${delivery} is sent before ${unsent} is sent again`);
  const { packetIdentifier } = packet;
  const holder = session.deliveries.find(
    (each) => each.inFlight && each.packetIdentifier === packetIdentifier,
  );
  check(holder === undefined, () => `identifier ${packetIdentifier} is in use by ${holder}`);
  return delivery;
}

/** A group's message that this member may have. */
function claim(
  model: Model,
  connection: ModelConnection,
  session: ModelSession,
  packet: Publish,
): Delivery | undefined {
  // One that nobody was sent, before one that its holder may still have.
  const shared = [...model.routing.shared];
  const inTurn = [...shared.filter((each) => !each.loose), ...shared.filter((each) => each.loose)];
  for (const delivery of inTurn) {
    // Also one that was sent to this client before: it may have been with somebody else meanwhile.
    if (delivery.stage !== 'waiting' && !delivery.loose) continue;
    const held = session.subscriptions.get(delivery.group as string);
    const now = held !== undefined && held.standing <= delivery.message.reach;
    const then = twinsOf(model, delivery).some((each) => each.members.has(session));
    if (!now && !then) continue;
    const terms = sharedTerms(session, delivery, packet, connection);
    if (terms === undefined || !lasts(delivery, packet, connection, model)) continue;
    if (problemWith(model, connection, packet, delivery) !== undefined) continue;
    const before = delivery.session;
    if (before !== undefined) {
      before.deliveries = before.deliveries.filter((each) => each !== delivery);
      delivery.moved = true;
    }
    delivery.stage = 'waiting';
    delivery.loose = false;
    delivery.session = session;
    delivery.terms = terms;
    model.routing.shared.delete(delivery);
    const place = session.deliveries.findIndex((each) => each.serial > delivery.serial);
    session.deliveries.splice(place === -1 ? session.deliveries.length : place, 0, delivery);
    return delivery;
  }
  return undefined;
}

/**
 * The terms on which the packet is a group's message for this member; undefined where it is on none.
 * Those of any time will do: when it was handed to the member cannot be seen.
 */
function sharedTerms(
  session: ModelSession,
  delivery: Delivery,
  packet: Publish,
  connection: ModelConnection,
): Terms | undefined {
  return session.shares
    .filter((each) => each.text === delivery.group && each.standing <= delivery.message.reach)
    .map((each) => liveTerms(delivery.message, [each]))
    .find((each) => sees(delivery, each, packet, connection));
}

/**
 * A group's message and the same message again, where its publisher sent it twice: which of them a
 * member has cannot be told. Alone, for a message that is for the session itself.
 */
function twinsOf(model: Model, delivery: Delivery): readonly Delivery[] {
  const { group, message } = delivery;
  if (group === undefined) return [delivery];
  return model.routing.all.filter(
    (each) =>
      each.group === group &&
      each.message.topic === message.topic &&
      each.message.payload === message.payload,
  );
}

/** Whether a group's message has no place in the order: it may have been with another member, or be its twin. */
function misplaced(model: Model, delivery: Delivery): boolean {
  if (delivery.group === undefined) return false;
  const twins = twinsOf(model, delivery);
  return twins.length > 1 || delivery.moved;
}

function sees(
  delivery: Delivery,
  terms: Terms,
  packet: Publish,
  connection: ModelConnection,
): boolean {
  const { message } = delivery;
  if (packet.topic !== message.topic || packet.qos !== terms.qos) return false;
  if (!terms.retain.includes(packet.retain)) return false;
  const payload = new TextDecoder().decode(packet.payload);
  if (!(message.isUnknown ? isReading(message.topic, payload) : payload === message.payload)) {
    return false;
  }
  if (connection.version !== 5) return true;
  const given = [...(packet.subscriptionIdentifiers ?? [])].sort((a, b) => a - b);
  return given.join() === terms.identifiers.join();
}

/** What is wrong with the properties; a group's messages without a payload are told apart by nothing else. */
function problemWith(
  model: Model,
  connection: ModelConnection,
  packet: Publish,
  delivery: Delivery,
): string | undefined {
  const twins = delivery.message.payload === '' ? twinsOf(model, delivery) : [delivery];
  const problems = twins.map((each) => propertyProblem(model, connection, packet, each));
  return problems.includes(undefined) ? undefined : problems[0];
}

/** Passed on unaltered, but for the names that are the broker's own to give. [MQTT-3.3.2-17] [MQTT-3.3.2-18] */
function propertyProblem(
  { durable }: Model,
  connection: ModelConnection,
  packet: Publish,
  delivery: Delivery,
): string | undefined {
  if (connection.version !== 5) return undefined;
  const { publisher, properties, expiresAtMs } = delivery.message;
  const isStamp = (each: UserProperty) => each[0].startsWith('bellhop-');
  const given = packet.properties?.userProperties ?? [];
  const kept = (properties?.userProperties ?? []).filter((each) => !isStamp(each));
  if (JSON.stringify(given.filter((each) => !isStamp(each))) !== JSON.stringify(kept)) {
    return `User Properties ${JSON.stringify(given)}`;
  }
  // A handler is told who said it, but for what its own user said by a handler; devices are not.
  const own = !publisher.device && publisher.user === connection.session?.user;
  const truth =
    connection.identity?.role === 'handler' && !own
      ? [
          ['bellhop-user', publisher.user],
          ['bellhop-client', publisher.clientIdentifier],
        ]
      : [];
  const [number, ...numbers] = given.filter(([name]) => name === 'bellhop-message');
  const stamps = given.filter((each) => isStamp(each) && each[0] !== 'bellhop-message');
  if (JSON.stringify(stamps) !== JSON.stringify(truth)) {
    return `who said it, ${JSON.stringify(stamps)}, to a ${connection.identity?.role}`;
  }
  // A handler may be told the number of what is stored; which one that is, is the broker's affair.
  const mayBeNumbered = connection.identity?.role === 'handler' && packet.qos > 0 && durable;
  const numbered = number !== undefined && /^[1-9]\d*$/.test(number[1]);
  if (number !== undefined && !(mayBeNumbered && numbered && numbers.length === 0)) {
    return `it is numbered ${number[1]}`;
  }
  if (packet.properties?.contentType !== properties?.contentType) {
    return `Content Type ${packet.properties?.contentType}`;
  }
  const lasts = expiresAtMs !== Number.POSITIVE_INFINITY;
  if (lasts !== (packet.messageExpiryInterval !== undefined)) return 'Message Expiry Interval';
  return undefined;
}

/** Not expired, and told what is left of it, in whole seconds either way. [MQTT-3.3.2-5] [MQTT-3.3.2-6] */
function lasts(
  delivery: Delivery,
  packet: Publish,
  connection: ModelConnection,
  { now, durable }: Model,
): boolean {
  const { message } = delivery;
  // QoS 2 waits for its Packet Identifier to be on disk: its delivery has begun by then.
  if (expired(message, now) && !(durable && packet.qos === 2)) return false;
  const interval = packet.messageExpiryInterval;
  if (connection.version !== 5 || interval === undefined) return true;
  return Math.abs(interval - Math.max(0, message.expiresAtMs - now) / 1_000) <= 1;
}

/** Why a PUBLISH is not due to this client, as well as the model can tell. */
function unexpected(model: Model, session: ModelSession, packet: Publish): string {
  const payload = new TextDecoder().decode(packet.payload);
  const known = model.routing.all.filter(
    (each) => each.message.payload === payload && each.message.topic === packet.topic,
  );
  const own = known.filter((each) => each.session === session);
  const { link } = session;
  for (const each of own) {
    if (link === undefined || each.stage !== 'waiting' || !sees(each, each.terms, packet, link))
      continue;
    const lasting = lasts(each, packet, link, model);
    const problem = lasting
      ? propertyProblem(model, link, packet, each)
      : 'it has expired, or is said to';
    return `${show(packet)} to ${session.key}: ${problem}: ${each}`;
  }
  const why =
    own.length > 0
      ? `it is due otherwise or was sent already: ${own.join('; ')}`
      : known.length > 0
        ? `it is for others: ${known.slice(0, 3).join('; ')}`
        : 'nobody has a right to it, or nobody published it';
  return `${show(packet)} to ${session.key}: ${why}`;
}

function show(packet: Publish): string {
  const { topic, qos, retain, dup, packetIdentifier, subscriptionIdentifiers } = packet;
  const payload = new TextDecoder().decode(packet.payload) || '(empty)';
  return (
    `PUBLISH ${payload} on ${topic}, QoS ${qos}, retain ${retain}, dup ${dup}, ` +
    `identifier ${packetIdentifier}, subscriptions ${subscriptionIdentifiers?.join() ?? 'none'}`
  );
}
