/**
 * The model's routing: for every publication, who must get it and on what terms; and what becomes of
 * that when sessions come, go, end or lose a right.
 */
import type { Millis } from '../../core/broker/outbox.ts';
import { encode } from '../../core/mqtt/codec.ts';
import type { MessageProperties, Publisher, QoS, Reach } from '../../core/mqtt/packet.ts';
import { matches, type TopicName } from '../../core/mqtt/topic.ts';
import type { Model } from './model.ts';
import {
  Delivery,
  type ModelMessage,
  type ModelSession,
  type ModelSubscription,
  type Terms,
} from './state.ts';

/** What is published: from a PUBLISH, a Will or a plugin. */
export interface Published {
  readonly topic: string;
  readonly payload: Uint8Array;
  readonly qos: QoS;
  readonly retain: boolean;
  readonly properties: MessageProperties | undefined;
  readonly messageExpiryInterval: number | undefined;
  readonly reach: Reach;
  /** What it says is the broker's affair. */
  readonly isUnknown?: boolean;
}

export class Routing {
  readonly #model: Model;
  readonly retained = new Map<TopicName, ModelMessage>();
  /** Messages of Shared Subscriptions that any of several members may get. */
  readonly shared = new Set<Delivery>();
  /** What plugins must be handed. */
  readonly commands: ModelMessage[] = [];
  /** Everything that was ever due to anybody, for the final account. */
  readonly all: Delivery[] = [];
  /** Counts messages that were sent for the first time. */
  sent = 0;
  #serial = 0;

  constructor(model: Model) {
    this.#model = model;
  }

  /** `keep`: whether RETAIN has its effect. */
  publish(
    published: Published,
    publisher: Publisher,
    from: ModelSession | undefined,
    keep: boolean,
  ): void {
    const { qos, properties, reach, messageExpiryInterval: interval } = published;
    const topic = published.topic as TopicName;
    const message: ModelMessage = {
      serial: this.#serial++,
      topic,
      payload: new TextDecoder().decode(published.payload),
      isUnknown: published.isUnknown === true,
      qos,
      retain: keep ? [true] : published.retain ? [false, true] : [false],
      expiresAtMs: interval === undefined ? Infinity : this.#model.now + interval * 1_000,
      properties,
      publisher,
      reach,
    };
    if (keep) this.#outdate(topic);
    if (keep && message.payload === '' && !message.isUnknown)
      this.retained.delete(topic); // [MQTT-3.3.1-6]
    else if (keep) this.retained.set(topic, message); // [MQTT-3.3.1-5]

    const groups = new Map<string, Map<ModelSession, Terms>>();
    for (const session of this.#model.sessions.values()) {
      const reached = [...session.subscriptions.values()].filter(
        (each) => each.standing <= reach && matches(each.filter, topic),
      );
      // One copy however many subscriptions overlap: ours, as [MQTT-3.3.4-2] allows. No Local: [MQTT-3.8.3-3]
      const own = reached.filter((each) => !each.group && !(each.noLocal && session === from));
      if (own.length > 0) this.#add(message, liveTerms(message, own), session);
      for (const each of reached) {
        if (each.group === undefined) continue;
        const members = groups.get(each.group) ?? new Map<ModelSession, Terms>();
        groups.set(each.group, members.set(session, liveTerms(message, [each])));
      }
    }
    for (const [group, members] of groups) this.#addShared(message, group, members);
    if (this.#model.handled.some((filter) => matches(filter, topic))) {
      this.commands.push(message);
    }
  }

  /** What is retained goes to a new subscription with RETAIN set, each filter for itself. [MQTT-3.3.1-8] */
  replayRetained(session: ModelSession, text: string): void {
    const held = session.subscriptions.get(text) as ModelSubscription;
    for (const message of this.retained.values()) {
      if (held.standing > message.reach || !matches(held.filter, message.topic)) continue;
      if (message.expiresAtMs <= this.#model.now) continue;
      const { qos, identifiers } = liveTerms(message, [held]);
      const terms = { qos, identifiers, retain: [true] };
      const delivery = this.#add(message, terms, session, true);
      const { user, clientIdentifier } = message.publisher;
      if (held.noLocal && user === session.user && clientIdentifier === session.clientIdentifier) {
        delivery.excuse = 'retained, and its own under No Local: the standard leaves it open';
      }
    }
  }

  /** The subscription `text` is no more, and `session` no member of the group that it was. */
  unsubscribed(session: ModelSession, text: string): void {
    for (const delivery of this.shared) {
      if (delivery.group !== text) continue;
      if (session.ended) {
        if (this.#model.durable && delivery.members.has(session)) {
          delivery.excuse ??= 'on disk with a session that ended, perhaps';
        }
        delivery.members.delete(session);
        this.#spread(delivery);
      }
      this.#excuseIfAlone(delivery);
    }
  }

  /** The session has a connection: what is too large for it may be dropped for it. [MQTT-3.1.2-25] */
  attached(session: ModelSession): void {
    for (const delivery of session.deliveries) {
      this.#measure(delivery, session);
      delivery.doubtful ||= delivery.stage === 'sent' && this.#mayBeTooLarge(delivery, session);
    }
    for (const delivery of this.shared) this.#measure(delivery, session);
  }

  /** The session has no connection: QoS 0 may be dropped, and a group's messages may go to others. */
  detached(session: ModelSession): void {
    for (const delivery of session.deliveries) {
      if (delivery.terms.qos === 0) delivery.excuse ??= 'QoS 0, and the client was away';
      if (delivery.group === undefined || delivery.stage !== 'sent') continue;
      if (delivery.terms.qos !== 1) continue; // QoS 2 stays where it was sent [MQTT-4.8.2-5]
      delivery.loose = true;
      this.shared.add(delivery);
    }
    for (const delivery of this.shared) {
      if (delivery.session === session || delivery.members.has(session)) this.#spread(delivery);
    }
  }

  /** The session is no more: what it did not acknowledge is over, or another member's. */
  ended(session: ModelSession): void {
    for (const delivery of session.deliveries) {
      if (delivery.loose && delivery.stage === 'sent') {
        this.#handOn(delivery);
        // What is on disk alone is not handed on when its session ends.
        if (this.#model.durable) delivery.excuse ??= 'on disk with a session that ended';
      } else {
        delivery.stage = 'over';
      }
    }
    session.deliveries = [];
    if (!this.#model.durable) return;
    // Also where it was no member any more: QoS 2 whose sending may have begun goes to nobody else. [MQTT-4.8.2-5]
    for (const delivery of this.shared) {
      if (delivery.members.has(session)) delivery.excuse ??= 'on disk with a session that ended';
    }
  }

  /** What the session may no longer receive, and is not on its way over this connection, is over. */
  drop(session: ModelSession, mayNot: (message: ModelMessage) => boolean): void {
    const { link } = session;
    for (const delivery of this.shared) {
      if (!mayNot(delivery.message)) continue;
      if (!this.#model.durable) {
        delivery.members.delete(session);
      } else if (delivery.members.has(session)) {
        // On disk it is looked at when it is read: it is not handed on then, or the session has it after
        // all, by a better token.
        delivery.excuse ??= 'on disk with a session that lost the right to it, perhaps';
      }
    }
    session.deliveries = session.deliveries.filter((delivery) => {
      if (!mayNot(delivery.message) || delivery.stage === 'released') return true;
      if (delivery.stage === 'sent' && delivery.publishedOn === link?.id) return true;
      if (delivery.group !== undefined && delivery.terms.qos === 1) {
        this.#handOn(delivery);
        return false;
      }
      delivery.excuse = 'the session lost the right to it';
      this.shared.delete(delivery);
      if (this.#model.durable) {
        // On disk it is looked at when it is read; a better token may come before that.
        delivery.doubtful ||= delivery.stage === 'sent';
        return true;
      }
      delivery.stage = 'over';
      return false;
    });
  }

  /** A group's message has lost its holder: another member may have it. */
  #handOn(delivery: Delivery): void {
    delivery.session = undefined;
    delivery.stage = 'waiting';
    delivery.loose = false;
    delivery.packetIdentifier = 0;
    this.shared.add(delivery);
    this.#spread(delivery);
    this.#excuseIfAlone(delivery);
  }

  /** A group's message may be with any of the members that there are now. */
  #spread(delivery: Delivery): void {
    const { message, members } = delivery;
    delivery.moved = true;
    for (const session of this.#model.sessions.values()) {
      const held = session.subscriptions.get(delivery.group as string);
      if (held === undefined || held.standing > message.reach) continue;
      const terms = liveTerms(message, [held]);
      members.set(session, terms);
      if (terms.qos === 0) delivery.excuse ??= 'a member takes it at QoS 0';
      if (this.#mayOverflow(session)) delivery.excuse ??= 'the queue of a member was full';
      this.#measure(delivery, session);
    }
  }

  /** What was retained under `topic` is not any more: whom it has not reached need not get it. */
  #outdate(topic: TopicName): void {
    for (const session of this.#model.sessions.values()) {
      for (const delivery of session.deliveries) {
        if (!delivery.replayed || delivery.message.topic !== topic) continue;
        delivery.excuse ??= 'retained no more';
      }
    }
  }

  #add(message: ModelMessage, terms: Terms, session: ModelSession, replayed = false): Delivery {
    const serial = this.#serial++;
    const delivery = new Delivery(serial, message, terms, session, undefined, new Map(), replayed);
    if (terms.qos === 0 && session.link === undefined) {
      delivery.excuse = 'QoS 0, and the client was away';
    }
    if (terms.qos > 0 && this.#mayOverflow(session)) delivery.excuse ??= 'the queue was full';
    session.deliveries.push(delivery);
    this.all.push(delivery);
    this.#measure(delivery, session);
    return delivery;
  }

  /**
   * Whether one more message might find no room in the session's queue. Then it or the oldest one is
   * dropped, as the policy has it; the oldest may be one that is there for a group.
   */
  #mayOverflow(session: ModelSession): boolean {
    const waiting = session.deliveries.filter(
      (each) => each.terms.qos > 0 && each.stage === 'waiting',
    );
    const { queuedMessages } = this.#model.limits;
    if (waiting.length + this.shared.size < queuedMessages) return false;
    const oldest = waiting.find((each) => each.excuse === undefined);
    if (oldest !== undefined) oldest.excuse = 'the queue was full';
    for (const each of this.shared) {
      if (each.members.has(session)) each.excuse ??= 'the queue of a member was full';
    }
    return true;
  }

  #addShared(message: ModelMessage, group: string, members: Map<ModelSession, Terms>): void {
    const terms = [...members.values()];
    const delivery = new Delivery(
      this.#serial++,
      message,
      terms[0] as Terms,
      undefined,
      group,
      members,
    );
    if (terms.some((each) => each.qos === 0)) delivery.excuse = 'a member takes it at QoS 0';
    for (const session of members.keys()) {
      if (this.#mayOverflow(session)) delivery.excuse ??= 'the queue of a member was full';
    }
    this.shared.add(delivery);
    this.all.push(delivery);
    for (const session of members.keys()) this.#measure(delivery, session);
  }

  /** Excuses what may be larger than the client takes, whatever it is made of at the end. */
  #measure(delivery: Delivery, session: ModelSession): void {
    if (delivery.stage !== 'waiting' && !delivery.loose) return;
    if (!this.#mayBeTooLarge(delivery, session)) return;
    delivery.excuse ??= 'too large for the client';
  }

  #mayBeTooLarge(delivery: Delivery, session: ModelSession): boolean {
    const limit = session.link?.maximumPacketSize ?? Infinity;
    if (limit === Infinity) return false;
    const { message, group, members } = delivery;
    const held = session.subscriptions.get(group ?? '');
    const terms =
      group === undefined || delivery.session === session
        ? delivery.terms
        : (members.get(session) ?? (held && liveTerms(message, [held])));
    if (terms === undefined) return false;
    const { properties, publisher } = message;
    const stamps = [
      ['bellhop-user', publisher.user],
      ['bellhop-client', publisher.clientIdentifier],
      ['bellhop-message', '1000'],
    ] as const;
    const frame = encode(
      {
        type: 'publish',
        dup: false,
        qos: terms.qos,
        retain: false,
        topic: message.topic,
        packetIdentifier: terms.qos > 0 ? 1 : 0,
        topicAlias: 1,
        messageExpiryInterval: 1,
        subscriptionIdentifiers: terms.identifiers.length > 0 ? terms.identifiers : undefined,
        properties: {
          ...properties,
          userProperties: [...(properties?.userProperties ?? []), ...stamps],
        },
        payload: new TextEncoder().encode(message.payload),
      },
      5,
    );
    return frame.length > limit;
  }

  /** A group without a member that may have the message has lost it. */
  #excuseIfAlone(delivery: Delivery): void {
    if (delivery.excuse !== undefined) return;
    if (!this.#hasEligible(delivery)) delivery.excuse = 'nobody was left in the group';
  }

  #hasEligible(delivery: Delivery): boolean {
    for (const session of this.#model.sessions.values()) {
      const held = session.subscriptions.get(delivery.group as string);
      if (held !== undefined && held.standing <= delivery.message.reach) return true;
    }
    return false;
  }
}

/** What a session with these matching subscriptions may see of a message. [MQTT-3.3.4-2] [MQTT-3.3.4-3] */
export function liveTerms(message: ModelMessage, held: readonly ModelSubscription[]): Terms {
  const granted = Math.max(...held.map((each) => each.qos));
  const kept = held.some((each) => each.retainAsPublished) ? message.retain : [];
  const cleared = held.some((each) => !each.retainAsPublished) ? [false] : [];
  return {
    qos: Math.min(message.qos, granted) as QoS,
    retain: [...kept, ...cleared],
    identifiers: held
      .map((each) => each.identifier)
      .filter((identifier) => identifier > 0)
      .sort((a, b) => a - b),
  };
}

/** Whether a message may be sent now, by its Message Expiry Interval. [MQTT-3.3.2-5] */
export function expired(message: ModelMessage, now: Millis): boolean {
  return message.expiresAtMs <= now;
}
