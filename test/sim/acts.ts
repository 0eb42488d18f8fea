import { encode } from '../../core/mqtt/codec.ts';
import type { Connect, Publish, QoS } from '../../core/mqtt/packet.ts';
import { ReasonCode } from '../../core/mqtt/reason-code.ts';
import type { TopicFilter, TopicName } from '../../core/mqtt/topic.ts';
import type { SimClient } from './client.ts';
import { Failure } from './failure.ts';
import { Making } from './making.ts';
import type { Link } from './network.ts';
import type { Random } from './random.ts';
import { type ClientPlan, commands, filters, likely, respell, topics } from './scenario.ts';
import type { Simulation } from './simulation.ts';

const weights = {
  publish: 220,
  deliver: 260,
  read: 200,
  subscribe: 70,
  unsubscribe: 15,
  connect: 90,
  judge: 90,
  lose: 20,
  leave: 10,
  takeOver: 8,
  slow: 12,
  renew: 8,
  ping: 8,
  violate: 4,
  plugin: 12,
  handles: 4,
};

export class Acts {
  readonly #simulation: Simulation;
  readonly #random: Random;
  readonly #making: Making;

  constructor(simulation: Simulation) {
    this.#simulation = simulation;
    this.#random = simulation.random;
    this.#making = new Making(simulation);
  }

  /** Something happens; nothing, where what the dice say cannot. */
  any(): void {
    const act = this.#random.weighted(weights);
    switch (act) {
      case 'publish':
        return this.#withReady(({ plan, client }) => this.#publish(plan, client));
      case 'deliver':
        return this.#deliver();
      case 'read':
        return this.#read();
      case 'subscribe':
        return this.#withReady(({ plan, client }) => this.#subscribe(plan, client));
      case 'unsubscribe':
        return this.#withReady(({ client }) => this.#unsubscribe(client));
      case 'connect':
        return this.#connect();
      case 'judge': {
        const { verdicts } = this.#simulation;
        if (verdicts.length > 0) this.#simulation.judge(this.#random.below(verdicts.length));
        return;
      }
      case 'lose':
        return this.#withLink((link) => this.#simulation.lose(link));
      case 'leave':
        return this.#withReady(({ client }) => this.#leave(client));
      case 'takeOver':
        // The old connection stays as it is: half open, with whatever is under way on it.
        return this.#withReady(({ plan, client }) => this.#open(plan, client));
      case 'slow':
        return this.#withLink((link) => {
          const slow = this.#random.chance(0.6);
          link.capacityBytes = slow ? this.#random.below(400) : Number.POSITIVE_INFINITY;
        });
      case 'renew':
        return this.#withReady(({ plan, client }) => this.#renew(plan, client));
      case 'ping':
        return this.#withReady(({ client }) => client.link?.write({ type: 'pingreq' }));
      case 'violate':
        return this.#withReady(({ client }) => this.#violate(client));
      case 'plugin':
        return this.#plugin();
      case 'handles':
        return this.#handles();
      default:
        act satisfies never;
    }
  }

  /** For the beginning of a run: everybody is there, and most listen to something. */
  begin(): void {
    for (const { plan, client } of this.#simulation.clients) {
      if (this.#random.chance(0.85)) this.#open(plan, client);
    }
    this.#simulation.drain();
    for (const { plan, client } of this.#simulation.clients) {
      for (let count = this.#random.below(4); count > 0 && client.ready; count--) {
        this.#subscribe(plan, client);
      }
    }
    this.#simulation.drain();
  }

  /** For the end of a run: with a good token, as the client of its stored session, without limits. */
  comeBack(plan: ClientPlan, client: SimClient): void {
    const packet: Connect = {
      ...this.#making.connectPacket(plan, client, this.#making.token(plan, false)),
      cleanStart: client.mustStartClean,
      clientIdentifier: client.clientIdentifier,
      sessionExpiryInterval: client.version !== 5 && client.mustStartClean ? 0 : 0xffff_ffff,
      keepAliveSeconds: 0,
      receiveMaximum: 65_535,
      maximumPacketSize: undefined,
      will: undefined,
    };
    const link = this.#simulation.open(client);
    client.use(link, packet);
    // A message that may not be published would end a 3.x connection again and again.
    if (this.#simulation.scenario.limits.legacyRefusal === 'close') client.outgoing.clear();
    link.write(packet);
  }

  #withReady(act: (one: { plan: ClientPlan; client: SimClient }) => void): void {
    const ready = this.#simulation.clients.filter(({ client }) => client.ready);
    if (ready.length > 0) act(this.#random.pick(ready));
  }

  #withLink(act: (link: Link) => void): void {
    const links = [...this.#simulation.links.values()];
    if (links.length > 0) act(this.#random.pick(links));
  }

  #likely({ person }: ClientPlan): ReturnType<typeof likely> {
    return likely(person, this.#random, this.#simulation.scenario.policy.separator);
  }

  #spell(text: string): string {
    return respell(text, this.#simulation.scenario.policy.separator);
  }

  #deliver(): void {
    const links = [...this.#simulation.links.values()];
    const laden = links.filter((link) => !link.paused && link.bytesToBroker > 0);
    if (laden.length === 0) return;
    const link = this.#random.pick(laden);
    const all = link.bytesToBroker;
    this.#simulation.deliver(
      link,
      this.#random.chance(0.6) ? all : this.#random.between(1, Math.min(all, 40)),
    );
  }

  #read(): void {
    const laden = [...this.#simulation.links.values()].filter((link) => link.toClient.length > 0);
    if (laden.length === 0) return;
    const link = this.#random.pick(laden);
    const all = link.toClient.length;
    this.#simulation.read(link, this.#random.chance(0.6) ? all : this.#random.between(1, all));
  }

  #connect(): void {
    const away = this.#simulation.clients.filter(({ client }) => client.link === undefined);
    if (away.length === 0) return;
    const { plan, client } = this.#random.pick(away);
    this.#open(plan, client);
  }

  #open(plan: ClientPlan, client: SimClient): void {
    const token = this.#making.token(plan, true);
    const link = this.#simulation.open(client);
    const packet = this.#making.connectPacket(plan, client, token);
    client.use(link, packet);
    link.write(packet);
    if (this.#random.chance(0.1)) link.write({ type: 'pingreq' }); // without waiting for CONNACK
  }

  #publish(plan: ClientPlan, client: SimClient): void {
    const random = this.#random;
    const five = client.version === 5;
    for (let count = random.pick([1, 1, 2, 4]); count > 0 && client.canPublish; count--) {
      const topic = this.#spell(
        random.chance(0.75) ? this.#likely(plan).topic : random.pick(topics),
      );
      const retain = random.chance(0.2);
      // Without a payload a message cannot be told from others like it: QoS 0 leaves none under way.
      const clears = retain && random.chance(0.3);
      const packet: Publish = {
        type: 'publish',
        dup: false,
        qos: clears ? 0 : random.pick([0, 1, 1, 2, 2] as const),
        retain,
        topic,
        packetIdentifier: 0,
        topicAlias: undefined,
        messageExpiryInterval: five && random.chance(0.15) ? random.between(1, 60) : undefined,
        subscriptionIdentifiers: undefined,
        properties: five && random.chance(0.3) ? this.#making.properties() : undefined,
        payload: clears ? new Uint8Array() : this.#making.payload(),
      };
      client.publish(packet, five && random.chance(0.4));
    }
  }

  #subscribe(plan: ClientPlan, client: SimClient): void {
    const random = this.#random;
    if (!client.canAsk) return;
    const five = client.version === 5;
    const usual = random.chance(0.75);
    const first = usual ? this.#likely(plan).filter : random.pick(filters);
    const shared = first.startsWith('$share/');
    // So that a message for a group can be told from the same message for the client itself: a 5.0
    // client gives each Shared Subscription an identifier of its own, a 3.x client has one or none.
    if (shared && !five && first !== plan.sharedFilter) return;
    if (!shared && !five && plan.sharedFilter !== undefined) return;
    const more = shared ? 0 : random.pick([0, 0, 1, 2]);
    const others = Array.from({ length: more }, () => random.pick(filters));
    const texts = [first, ...others.filter((each) => !each.startsWith('$share/'))];
    const subscriptions = texts.map((text) => ({
      topicFilter: this.#spell(text),
      maximumQoS: random.pick([0, 1, 2, 2] as const) as QoS,
      noLocal: five && !shared && random.chance(0.2),
      retainAsPublished: five && random.chance(0.4),
      retainHandling: five ? random.pick([0, 0, 1, 2] as const) : (0 as const),
    }));
    const identifier = random.chance(0.4) ? random.between(1, 300) : undefined;
    client.link?.write({
      type: 'subscribe',
      packetIdentifier: client.ask(),
      subscriptionIdentifier: five
        ? shared
          ? 1_000 + filters.indexOf(first)
          : identifier
        : undefined,
      subscriptions,
    });
  }

  #unsubscribe(client: SimClient): void {
    if (!client.canAsk) return;
    const held = [
      ...(this.#simulation.model.sessions.get(`${client}`)?.subscriptions.keys() ?? []),
    ];
    const topicFilter =
      held.length > 0 && this.#random.chance(0.8)
        ? this.#random.pick(held)
        : this.#spell(this.#random.pick(filters));
    const packetIdentifier = client.ask();
    client.link?.write({ type: 'unsubscribe', packetIdentifier, topicFilters: [topicFilter] });
  }

  #leave(client: SimClient): void {
    const random = this.#random;
    const five = client.version === 5;
    const connect = this.#simulation.model.connections.get(client.link?.id ?? 0)?.connect;
    const mayChange = five && (connect?.sessionExpiryInterval ?? 0) > 0 && random.chance(0.2);
    client.link?.write({
      type: 'disconnect',
      reasonCode:
        five && random.chance(0.3) ? ReasonCode.DisconnectWithWillMessage : ReasonCode.Success,
      sessionExpiryInterval: mayChange ? random.pick([0, 20, 3_600]) : undefined,
    });
    client.leave();
  }

  #renew(plan: ClientPlan, client: SimClient): void {
    const { link } = client;
    if (link === undefined || client.renewing || !client.canPublish) return;
    client.renewing = true;
    // Once in a while with the token of somebody else, which ends the connection.
    const other = this.#random.pick(this.#simulation.clients).plan;
    const token = this.#making.token(this.#random.chance(0.1) ? other : plan, true);
    const bytes = new TextEncoder().encode(token);
    if (client.byAuth && this.#random.chance(0.5)) {
      link.write({
        type: 'auth',
        reasonCode: ReasonCode.ReAuthenticate,
        authenticationMethod: 'JWT',
        authenticationData: bytes,
      });
      return;
    }
    const packet: Publish = {
      type: 'publish',
      dup: false,
      qos: 1,
      retain: false,
      topic: '$token',
      packetIdentifier: 0,
      topicAlias: undefined,
      messageExpiryInterval: undefined,
      subscriptionIdentifiers: undefined,
      properties: undefined,
      payload: bytes,
    };
    client.publish(packet, false);
  }

  /** Bytes that break the standard: they end the connection, and nothing else. */
  #violate(client: SimClient): void {
    const { link } = client;
    if (link === undefined) return;
    const kind = this.#random.pick(['type 0', 'pingresp', 'second connect', 'qos 3'] as const);
    switch (kind) {
      case 'type 0':
        return link.writeViolation(new Uint8Array([0, 0]), ReasonCode.MalformedPacket);
      case 'pingresp':
        return link.writeViolation(new Uint8Array([0xd0, 0]), ReasonCode.ProtocolError);
      case 'second connect': {
        const packet = this.#making.connectPacket(this.#planOf(client), client, 'token-0');
        const bytes = encode({ ...packet, will: undefined }, client.version).slice();
        return link.writeViolation(bytes, ReasonCode.ProtocolError);
      }
      case 'qos 3': {
        const bytes = new Uint8Array([0x36, 5, 0, 1, 0x61, 0, 1]);
        return link.writeViolation(bytes, ReasonCode.MalformedPacket);
      }
      default:
        kind satisfies never;
    }
  }

  #planOf(client: SimClient): ClientPlan {
    const found = this.#simulation.clients.find((each) => each.client === client);
    if (found === undefined) throw new Failure('a client without a plan');
    return found.plan;
  }

  /** A plugin in the process sends. */
  #plugin(): void {
    const random = this.#random;
    const { model, broker, now } = this.#simulation;
    const topic = this.#spell(random.pick(topics)) as TopicName;
    const message = {
      topic,
      payload: this.#making.payload(),
      qos: random.pick([0, 1, 2] as const),
      retain: random.chance(0.1),
      properties: undefined,
      expiresAtMs: Number.POSITIVE_INFINITY,
      publisher: { user: 'plugin', clientIdentifier: '', device: false },
      reach: 2 as const,
    };
    this.#simulation.turn(
      `a plugin sends on ${topic}`,
      () => {
        const refused = broker.sent(message, now);
        if (refused !== undefined) throw new Failure(`a plugin may not send: ${refused}`);
      },
      () => model.sent(message, now),
    );
  }

  /** Plugins come and go. */
  #handles(): void {
    const named = commands.filter(() => this.#random.chance(0.4)) as TopicFilter[];
    const { model, broker, now } = this.#simulation;
    this.#simulation.turn(
      `plugins handle ${named.join()}`,
      () => broker.handles(named, [], now),
      () => {
        model.handled = named;
      },
    );
  }
}
