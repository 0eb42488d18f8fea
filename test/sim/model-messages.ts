/** The model's part for the packets that carry and acknowledge messages, as section 4.3 tells it. */
import type { Identity } from '../../core/auth/rights.ts';
import type { Acknowledgement, Publish } from '../../core/mqtt/packet.ts';
import { ReasonCode } from '../../core/mqtt/reason-code.ts';
import { matches, type TopicName } from '../../core/mqtt/topic.ts';
import { check } from './failure.ts';
import type { Model } from './model.ts';
import { mayRetain, publishReach } from './rights.ts';
import type { Delivery, ModelConnection, ModelSession } from './state.ts';

/** A PUBLISH came; `topic` is what its Topic Alias stands for, where it has one. */
export function publishPacket(
  model: Model,
  connection: ModelConnection,
  session: ModelSession,
  packet: Publish,
  topic: TopicName,
): void {
  const { qos, packetIdentifier } = packet;
  const owe = (...codes: number[]) => {
    if (qos === 0) return;
    const type = qos === 1 ? 'puback' : 'pubrec';
    connection.owed.push({ type, packetIdentifier, codes: [codes] });
  };
  // The same QoS 2 message again goes no further. [MQTT-4.3.3-10]
  if (qos === 2 && session.unreleased.has(packetIdentifier)) return owe(ReasonCode.Success);

  const identity = connection.identity as Identity;
  const { clientIdentifier } = session;
  const declares = (name: TopicName) => model.declares(name);
  const reach = publishReach(identity, clientIdentifier, model.policy, declares, topic);
  if (reach === undefined) {
    if (connection.version === 5) return owe(ReasonCode.NotAuthorized);
    if (model.limits.legacyRefusal === 'close')
      return model.broke(connection, [], 'not authorized');
    if (qos === 2) session.unreleased.add(packetIdentifier);
    return owe(ReasonCode.Success);
  }
  if (qos === 1 && isRepeated(model, connection, session, packet, topic)) {
    return owe(ReasonCode.Success);
  }
  if (qos === 2) session.unreleased.add(packetIdentifier);
  const { payload, retain, properties, messageExpiryInterval } = packet;
  model.routing.publish(
    { topic, payload, qos, retain, properties, messageExpiryInterval, reach },
    { user: session.user, clientIdentifier, device: identity.role === 'device' },
    session,
    retain && mayRetain(identity, model.policy),
  );
  owe(ReasonCode.Success, ReasonCode.NoMatchingSubscribers);
}

/**
 * Whether it is a command for plugins that a stored session sends again over a new connection, which is
 * carried out once; takes note of one that is not.
 */
function isRepeated(
  model: Model,
  connection: ModelConnection,
  session: ModelSession,
  { packetIdentifier, payload, dup }: Publish,
  topic: TopicName,
): boolean {
  if (!session.isStored) return false;
  const { recentCommands } = session;
  const content = `${topic} ${new TextDecoder().decode(payload)}`;
  const known = recentCommands.get(packetIdentifier);
  if (dup && known?.content === content && known.on !== connection.id) return true;
  if (!model.handled.some((filter) => matches(filter, topic))) return false;
  recentCommands.delete(packetIdentifier);
  recentCommands.set(packetIdentifier, { content, on: connection.id });
  return false;
}

/** PUBACK, PUBREC, PUBREL or PUBCOMP came. */
export function acknowledged(
  connection: ModelConnection,
  session: ModelSession,
  packet: Acknowledgement,
): void {
  const { packetIdentifier, reasonCode } = packet;
  const find = (fits: (delivery: Delivery) => boolean) =>
    session.deliveries.find((each) => each.packetIdentifier === packetIdentifier && fits(each));
  switch (packet.type) {
    case 'puback': {
      const delivery = find((each) => each.stage === 'sent' && each.terms.qos === 1);
      if (delivery !== undefined) finish(session, delivery);
      return;
    }
    case 'pubrec': {
      const delivery = find((each) => each.stage === 'sent' && each.terms.qos === 2);
      if (reasonCode >= ReasonCode.UnspecifiedError) {
        if (delivery !== undefined) finish(session, delivery);
        return;
      }
      if (delivery !== undefined) {
        check(delivery.accepted === 1, () => `taken ${delivery.accepted} times: ${delivery}`);
        delivery.stage = 'released';
      }
      const unknown = connection.version === 5 ? ReasonCode.PacketIdentifierNotFound : 0;
      const code = delivery === undefined ? unknown : ReasonCode.Success;
      connection.owedReleases.push({ packetIdentifier, codes: [code] });
      return;
    }
    case 'pubcomp': {
      const delivery = find((each) => each.stage === 'released');
      if (delivery !== undefined) finish(session, delivery);
      return;
    }
    case 'pubrel': {
      const known = session.unreleased.delete(packetIdentifier);
      const unknown = connection.version === 5 ? ReasonCode.PacketIdentifierNotFound : 0;
      connection.owed.push({
        type: 'pubcomp',
        packetIdentifier,
        codes: [[known ? ReasonCode.Success : unknown]],
      });
      return;
    }
    default:
      packet.type satisfies never;
  }
}

function finish(session: ModelSession, delivery: Delivery): void {
  delivery.stage = 'over';
  delivery.loose = false;
  session.deliveries = session.deliveries.filter((each) => each !== delivery);
}
