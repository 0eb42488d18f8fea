/**
 * Seeds in which the model found fault with the broker and the broker was right, each reduced to the
 * steps that it takes: a model that forbids what happens here is too strict.
 */
import { expect, test } from 'bun:test';
import { defaultLimits, type Limits } from '../../core/broker/limits.ts';
import type { Connect, Publish, QoS } from '../../core/mqtt/packet.ts';
import type { TopicFilter } from '../../core/mqtt/topic.ts';
import { connectPacket } from '../client.ts';
import type { SimClient } from './client.ts';
import type { Link } from './network.ts';
import { type ClientPlan, identityOf, people } from './scenario.ts';
import { Simulation } from './simulation.ts';

/** A simulated run that goes by a script in place of the dice, with 5.0 clients. */
class Script {
  readonly world: Simulation;
  readonly #bytes = new TextEncoder();

  /** `users` are of the cast of the simulation, with one client each. */
  constructor(users: readonly string[], limits: Partial<Limits> = {}, durable = false) {
    const clients: ClientPlan[] = users.map((user) => {
      const person = people.find((each) => each.user === user);
      if (person === undefined) throw new Error(`nobody is called ${user}`);
      return { person, clientIdentifier: 'c1', version: 5, sharedFilter: undefined };
    });
    const scenario = {
      clients,
      policy: { commands: [], roles: {}, separator: '_' as const },
      limits: { ...defaultLimits, connectTimeoutMs: 10_000, sysIntervalSeconds: 0, ...limits },
    };
    this.world = new Simulation(1, { scenario, durable });
  }

  /** The client of `user` connects with the grants that its `which`th token has, and reads CONNACK. */
  connect(user: string, more: Partial<Connect> = {}, which = 0): Link {
    const { world } = this;
    const { plan, client } = this.#of(user);
    const token = `token-${world.tokens.size}`;
    const identity = identityOf(plan.person, plan.person.grants[which], Number.POSITIVE_INFINITY);
    world.tokens.set(token, { kind: 'accept', connection: 0, identity });
    const packet = connectPacket(5, 'c1', {
      cleanStart: false,
      userName: 'JWT',
      password: this.#bytes.encode(token),
      sessionExpiryInterval: 0xffff_ffff,
      ...more,
    });
    const link = world.open(client);
    client.use(link, packet);
    link.write(packet);
    this.arrive(link);
    world.judge(0);
    world.read(link, 1);
    return link;
  }

  will(topic: string, payload: string, retain: boolean, delaySeconds = 0): Connect['will'] {
    const bytes = this.#bytes.encode(payload);
    return {
      topic,
      payload: bytes,
      qos: 1,
      retain,
      delaySeconds,
      messageExpiryInterval: undefined,
      properties: undefined,
    };
  }

  publish(user: string, topic: string, payload: string, retain = false): void {
    const { client } = this.#of(user);
    const packet: Publish = {
      type: 'publish',
      dup: false,
      qos: 1,
      retain,
      topic,
      packetIdentifier: 0,
      topicAlias: undefined,
      messageExpiryInterval: undefined,
      subscriptionIdentifiers: undefined,
      properties: undefined,
      payload: this.#bytes.encode(payload),
    };
    client.publish(packet, false);
    this.arrive(client.link as Link);
  }

  subscribe(user: string, topicFilter: string, maximumQoS: QoS): void {
    const { client } = this.#of(user);
    const link = client.link as Link;
    const options = { noLocal: false, retainAsPublished: true, retainHandling: 0 } as const;
    link.write({
      type: 'subscribe',
      packetIdentifier: client.ask(),
      subscriptionIdentifier: undefined,
      subscriptions: [{ topicFilter, maximumQoS, ...options }],
    });
    this.arrive(link);
  }

  /** Plugins handle `topic`, and nothing else. */
  handle(topic: TopicFilter): void {
    const { broker, model, now } = this.world;
    broker.handles([topic], [], now);
    model.handled = [topic];
  }

  /** The storage thread does what it was asked for. */
  work(): void {
    while (this.world.threads.work());
  }

  /** All that the client wrote reaches the broker. */
  arrive(link: Link): void {
    this.world.deliver(link, link.bytesToBroker);
  }

  /** The process stood still: all that is due meanwhile is due at once. */
  sleep(seconds: number): void {
    this.world.now += seconds * 1_000;
    this.world.settleTime();
  }

  /** What the broker has sent to the client and it has not read: payloads of PUBLISH packets. */
  unread(link: Link): string[] {
    return link.toClient.flatMap(({ packet }) =>
      packet.type === 'publish' ? [new TextDecoder().decode(packet.payload)] : [],
    );
  }

  #of(user: string): { readonly plan: ClientPlan; readonly client: SimClient } {
    const found = this.world.clients.find(({ plan }) => plan.person.user === user);
    if (found === undefined) throw new Error(`${user} takes no part`);
    return found;
  }
}

test('a Will meets the commands that were declared when its client fell silent, not those of now', () => {
  const script = new Script(['serve', 'audit', '1']);
  const { world } = script;
  // `serve` declares the topic 1_list for 20 seconds more; the Keep Alive of `audit` ends before that.
  const serve = script.connect('serve', { sessionExpiryInterval: 20 });
  script.subscribe('serve', '1_list', 1);
  const will = script.will('1_list', 'm1', false);
  script.connect('audit', { keepAliveSeconds: 5, will });
  const phone = script.connect('1');
  script.subscribe('1', '1_list', 1);
  world.lose(serve);
  script.sleep(60);
  expect(script.unread(phone)).toEqual([]); // the command wins
  world.comeToRest();
});

test('of two retained Wills that are due at once, the one that came due last is kept', () => {
  const script = new Script(['root', 'audit', 'serve']);
  const { world } = script;
  const keepAliveSeconds = 60;
  const first = script.will('room/2', 'm1', true);
  script.connect('audit', { keepAliveSeconds, will: first });
  const second = script.will('room/2', 'm2', true, 7_200);
  const root = script.connect('root', { sessionExpiryInterval: 3_600, will: second });
  world.lose(root);
  script.sleep(7_200);
  const serve = script.connect('serve');
  script.subscribe('serve', 'room/2', 1);
  expect(script.unread(serve)).toEqual(['m2']);
  world.comeToRest();
});

test('a message published again goes out though its retained copy was never sent', () => {
  const script = new Script(['root', 'audit'], { maximumInflight: 1 });
  const { world } = script;
  const link = script.connect('root');
  script.subscribe('root', '1_list', 1);
  script.connect('audit');
  script.publish('audit', '1_list', 'm1'); // not acknowledged: there is no room for another one
  script.publish('root', 'misc', 'm2', true);
  script.publish('root', '1_list', 'm3', true); // waits
  script.subscribe('root', 'misc', 1); // m2, retained, waits as well
  script.subscribe('root', '1_list', 0); // and so does m3, retained, behind it
  world.lose(link);
  const again = script.connect('root');
  script.arrive(again); // DUP: no PUBACK was read
  expect(script.unread(again)).toEqual(['m1', 'm3']);
  // The m3 that waits cannot be the one of QoS 0 that came: it must come as well.
  const left = world.model.sessions.get('root/c1')?.deliveries ?? [];
  const m3 = left.filter(({ message, stage }) => message.payload === 'm3' && stage === 'waiting');
  expect(m3.map(({ terms, excuse }) => [terms.qos, excuse])).toContainEqual([1, undefined]);
  world.comeToRest();
});

test('a command that comes again is known also to a stored session that is to end with its connection', () => {
  const script = new Script(['1', 'audit'], {}, true);
  const { world } = script;
  script.handle('job/run' as TopicFilter);
  const audit = script.connect('audit');
  script.subscribe('audit', 'job/run', 1);
  const link = script.connect('1');
  script.publish('1', 'job/run', 'm1');
  world.lose(link);
  const again = script.connect('1', { sessionExpiryInterval: 0 });
  script.arrive(again); // DUP: no PUBACK was read
  expect(script.unread(audit)).toEqual(['m1']);
  world.comeToRest();
});

test('a message for a group that is on disk goes to a member that has the right to it again', () => {
  const script = new Script(['bob', 'ann'], {}, true);
  const { world } = script;
  const bob = script.connect('bob');
  script.subscribe('bob', '$share/g/room/#', 1);
  world.lose(bob);
  script.connect('ann');
  script.publish('ann', 'room/1/x', 'm1');
  world.lose(script.connect('bob', {}, 1)); // a narrow token, and gone before the disk was read
  const again = script.connect('bob');
  script.work();
  expect(script.unread(again)).toEqual(['m1']);
  world.comeToRest();
});
