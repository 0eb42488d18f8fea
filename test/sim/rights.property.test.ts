/**
 * The rights property (design section 4): for any set of users, topics and filters, no device ever
 * receives a message whose topic is not its own user topic unless both sides hold an explicit grant;
 * and no device receives what another device said by anything but explicit grants on both sides.
 *
 * The real broker, over users, topics and filters made of what has a meaning in them; with stored
 * sessions, Wills, retained messages, groups, renewed tokens, plugins and commands that come and go.
 * What is allowed is worked out from the words of the design alone.
 */
import { expect, test } from 'bun:test';
import fc from 'fast-check';
import type { Identity } from '../../core/auth/rights.ts';
import type { Publish } from '../../core/mqtt/packet.ts';
import { matches, type TopicFilter, type TopicName } from '../../core/mqtt/topic.ts';
import type { TestClient } from '../client.ts';
import { publishPacket, subscribePacket, textOf, will } from '../client.ts';
import { Harness } from '../harness.ts';
import { seed } from '../seed.ts';
import { encodeUserPart } from './rights.ts';
import { filtersOf, topicsOf, type World, world } from './rights-world.ts';

const runs = Number(process.env.RIGHTS_RUNS ?? 1_000);

/** A connected client and who it is. */
interface Guest {
  client: TestClient;
  identity: Identity;
}

/** Who said a message: undefined for a plugin. */
interface Said {
  readonly identity: Identity | undefined;
  readonly clientIdentifier: string;
}

function granted(
  templates: readonly string[] | undefined,
  identity: Identity,
  clientIdentifier: string,
  name: TopicName,
): boolean {
  return (templates ?? []).some((each) => {
    const filled = each
      .replaceAll('${client}', () => encodeUserPart(clientIdentifier))
      .replaceAll('${user}', () => encodeUserPart(identity.user));
    return matches(filled as TopicFilter, name);
  });
}

/** Why `guest` must not have got `message`; undefined where it may. */
function wrong(
  { client, identity }: Guest,
  message: Publish,
  said: Said,
  mark: '_' | '/',
): string | undefined {
  if (identity.role !== 'device') return undefined;
  const name = message.topic as TopicName;
  if (name.startsWith('$SYS')) return '$SYS for a device';
  const { grants: held } = identity;
  const reads = granted(held?.subscribe, identity, client.clientIdentifier, name);
  const from = said.identity;
  const writes = granted(from?.grants?.publish, from ?? identity, said.clientIdentifier, name);
  if (from?.role === 'device') {
    return reads && writes ? undefined : 'from a device, without a grant on both sides';
  }
  if (reads) return undefined;
  // Its own user topic: from staff, and by the right that a device has without grants.
  // A `#` takes in its parent level: the bare `1_`, or `1` with `/`, which nobody else has a right to.
  const user = encodeUserPart(identity.user);
  const own = name.startsWith(`${user}${mark}`) || (mark === '/' && name === user);
  return own && held === undefined ? undefined : 'not its own user topic, and not granted';
}

const tally = { messages: 0, toDevices: 0, betweenDevices: 0, refused: 0 };

function play(given: World): void {
  const { separator: mark, people, acts } = given;
  const topics = topicsOf(given);
  const filters = filtersOf(given);
  const topicAt = (index: number): TopicName => topics[index % topics.length] as TopicName;
  const filterAt = (index: number): TopicFilter => filters[index % filters.length] as TopicFilter;
  const templates = ['${user}_list', '${user}/#', 'own/${client}/+', '#'];
  const template = (index: number): string =>
    index % 7 === 0 ? (templates[index % templates.length] as string) : filterAt(index);
  const commands = given.commands.map(filterAt);
  const harness = new Harness({ policy: { separator: mark, commands }, durable: false });
  const guests: Guest[] = [];
  const said = new Map<string, () => Said>();
  let count = 0;

  const say = (source: () => Said): string => {
    const payload = `m${++count}`;
    said.set(payload, source);
    return payload;
  };

  /** Reads whatever has come, and answers it. */
  const look = (): void => {
    for (let moved = true; moved; ) {
      moved = false;
      for (const guest of guests) {
        const { client } = guest;
        for (const packet of client.packets()) {
          moved = true;
          if (packet.type === 'suback') {
            tally.refused += packet.reasonCodes.filter((code) => code >= 0x80).length;
          }
          if (packet.type === 'pubrel') client.acknowledge('pubcomp', packet.packetIdentifier);
          if (packet.type !== 'publish') continue;
          const source = said.get(textOf(packet));
          if (source === undefined) throw new Error(`nobody said ${textOf(packet)}`);
          const { identity } = source();
          const problem = wrong(guest, packet, source(), mark);
          if (problem !== undefined) {
            const from = identity === undefined ? 'a plugin' : JSON.stringify(identity);
            const to = JSON.stringify(guest.identity);
            throw new Error(`${problem}: ${JSON.stringify(packet.topic)} from ${from} to ${to}`);
          }
          tally.messages++;
          if (guest.identity.role === 'device') {
            tally.toDevices++;
            if (identity?.role === 'device') tally.betweenDevices++;
          }
          if (client.closed) continue;
          if (packet.qos === 1) client.acknowledge('puback', packet.packetIdentifier);
          if (packet.qos === 2) client.acknowledge('pubrec', packet.packetIdentifier);
        }
      }
    }
  };

  const identityOf = (index: number, which: number): Identity => {
    const { user: name, role: as, grants: may } = people[index] as World['people'][number];
    const some = may[which % may.length];
    const filled = some && {
      ...some,
      publish: some.publish.map(template),
      subscribe: some.subscribe.map(template),
    };
    return { user: name, role: as, grants: filled, expiresAtMs: Infinity };
  };

  const come = (
    index: number,
    which: number,
    clean: boolean,
    last: TopicName | undefined,
  ): void => {
    const { version } = people[index] as World['people'][number];
    const identity = identityOf(index, which);
    // Two people may well be one user, and all use one Client Identifier.
    const client = harness.client('phone', { version, identity });
    const guest: Guest = { client, identity };
    guests[index] = guest;
    const payload = say(() => ({ identity: guest.identity, clientIdentifier: 'phone' }));
    client.send(
      client.connectPacket({
        cleanStart: clean,
        sessionExpiryInterval: clean && version !== 5 ? 0 : 0xffff_ffff,
        will: last === undefined ? undefined : will(last, payload, { qos: 1 }),
      }),
    );
  };

  /** The guest, back again where the broker has ended its connection. */
  const guestAt = (index: number): Guest => {
    const at = index % people.length;
    if (guests[at] === undefined || guests[at].client.closed) come(at, 0, false, undefined);
    look();
    if (guests[at]?.client.closed) come(at, 0, true, undefined); // refused for its Will, perhaps
    look();
    return guests[at] as Guest;
  };

  for (let index = 0; index < people.length; index++) guestAt(index);
  for (const step of acts) {
    switch (step.kind) {
      case 'publish': {
        const { client, identity } = guestAt(step.who);
        if (client.closed) break;
        const payload = say(() => ({ identity, clientIdentifier: 'phone' }));
        const { qos: quality, retain } = step;
        const packetIdentifier = quality === 0 ? 0 : client.nextIdentifier();
        const fields = { qos: quality, retain, packetIdentifier };
        client.send(publishPacket(topicAt(step.topic), payload, fields));
        break;
      }
      case 'subscribe': {
        const { client } = guestAt(step.who);
        if (client.closed) break;
        const packetIdentifier = client.nextIdentifier();
        const { filter: index, share } = step.request;
        const topicFilter = `${share}${filterAt(index)}`;
        const subscription = { topicFilter, maximumQoS: step.qos };
        client.send(subscribePacket([subscription], { packetIdentifier }));
        break;
      }
      case 'come': {
        const { client } = guestAt(step.who);
        if (!client.closed && step.lose) client.lose();
        look();
        const last = step.last === undefined ? undefined : topicAt(step.last);
        come(step.who % people.length, step.grants, step.clean, last);
        break;
      }
      case 'renew': {
        const guest = guestAt(step.who);
        if (guest.client.closed) break;
        const identity = identityOf(step.who % people.length, step.grants);
        const token = harness.accept(identity);
        const packetIdentifier = guest.client.nextIdentifier();
        look(); // what came before came by the old token
        guest.identity = identity;
        guest.client.send(publishPacket('$token', token, { qos: 1, packetIdentifier }));
        break;
      }
      case 'plugin': {
        const payload = say(() => ({ identity: undefined, clientIdentifier: '' }));
        harness.broker.sent(
          {
            topic: topicAt(step.topic),
            payload: new TextEncoder().encode(payload),
            qos: 1,
            retain: step.retain,
            properties: undefined,
            expiresAtMs: Infinity,
            publisher: { user: 'plugin', clientIdentifier: '', device: false },
            reach: 2,
          },
          harness.now,
        );
        break;
      }
      case 'handles':
        harness.handles(...step.filters.map(filterAt));
        break;
      default:
        step satisfies never;
    }
    look();
  }
}

test(
  'no device receives a message whose topic is not its own user topic unless both sides hold an explicit grant',
  () => {
    fc.assert(fc.property(world, play), { seed, numRuns: runs, includeErrorInReport: true });
    console.info(`${runs} worlds:`, JSON.stringify(tally));
    // The property would hold of a broker that delivers nothing.
    expect(tally.toDevices).toBeGreaterThan(runs / 5);
    expect(tally.betweenDevices).toBeGreaterThan(runs / 20);
    expect(tally.refused).toBeGreaterThan(runs);
  },
  Number.MAX_SAFE_INTEGER,
);
