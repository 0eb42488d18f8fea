/**
 * Who connects, as whom, subscribes to what and publishes where. The rights of Bellhop hold in each
 * scenario as they would in service: devices subscribe to their own user topics and publish commands,
 * handlers do the rest. A plan can be cut into shares, one for each process that carries the load.
 */
import { userTopic } from '../auth/user-topic.ts';
import type { BenchOptions } from './options.ts';

export interface Share {
  /** From 0. */
  readonly index: number;
  readonly count: number;
}

export interface Publishing {
  /** Undefined where each message goes to another of the subscriptions. */
  readonly topic: string | undefined;
  /** How many receive each message, in all shares and in this one. */
  readonly copies: number;
  readonly copiesHere: number;
}

export interface ClientPlan {
  readonly kind: 'subscriber' | 'publisher' | 'handler' | 'holder';
  /** From 0, among all of its kind in all shares. */
  readonly index: number;
  readonly user: string;
  readonly role: 'device' | 'handler';
  readonly filters: readonly string[];
  readonly publishing: Publishing | undefined;
}

export const WHOLE: Share = { index: 0, count: 1 };

/** The numbers from 0 to `total` that fall to `share`. */
function* part(total: number, { index, count }: Share): Generator<number> {
  for (let each = index; each < total; each += count) yield each;
}

export function sizeOfPart(total: number, { index, count }: Share): number {
  return Math.max(0, Math.ceil((total - index) / count));
}

/** Everybody of `share`: publishers last, since nothing may be sent before all others stand. */
export function makePlan(options: BenchOptions, share: Share): readonly ClientPlan[] {
  const { publishers, subscribers, scenario } = options;
  const plan: ClientPlan[] = [...holders(options, share)];
  if (scenario === 'command' && options.handler && share.index === 0) plan.push(handler(options));
  for (const index of part(subscribers, share)) plan.push(subscriber(options, index));
  for (const index of part(publishers, share)) plan.push(publisher(options, index, share));
  return options.absent ? plan.map(expectingNothing) : plan;
}

function expectingNothing(plan: ClientPlan): ClientPlan {
  if (plan.publishing === undefined) return plan;
  return { ...plan, publishing: { ...plan.publishing, copies: 0, copiesHere: 0 } };
}

/** The topic that the `index`-th subscription of all connections is for, as `headline` and `idle` publish. */
export function subscriptionTopic(options: BenchOptions, index: number): string {
  const { connections } = options;
  const user = userOf(options, index % connections);
  return own(options, user, `t${Math.floor(index / connections)}`);
}

/** Where the reply to the command of a device goes. */
export function replyTopic(options: BenchOptions, device: number): string {
  return own(options, userOf(options, device), options.reply);
}

function userOf({ userTemplate }: BenchOptions, index: number | string): string {
  return userTemplate.replaceAll('%d', String(index));
}

function own(options: BenchOptions, user: string, name: string): string {
  const topic = userTopic(user, withLevels(options, name), options.separator);
  if (topic === undefined) throw new Error(`${JSON.stringify(user)} can be no user id`);
  return topic;
}

function withLevels({ levels }: BenchOptions, name: string): string {
  return levels <= 1 ? name : `${name}${'/l'.repeat(levels - 1)}`;
}

function* holders(options: BenchOptions, share: Share): Generator<ClientPlan> {
  const { connections, subscriptions } = options;
  for (const index of part(connections, share)) {
    const filters: string[] = [];
    for (let each = index; each < subscriptions; each += connections) {
      filters.push(subscriptionTopic(options, each));
    }
    const user = userOf(options, index);
    yield { kind: 'holder', index, user, role: 'device', filters, publishing: undefined };
  }
}

function handler(options: BenchOptions): ClientPlan {
  const filters = [withLevels(options, options.command)];
  const user = userOf(options, 'handler');
  return { kind: 'handler', index: 0, user, role: 'handler', filters, publishing: undefined };
}

/** Where the load of a scenario arrives. Subscribers of a fan-out are devices of one user. */
function subscriber(options: BenchOptions, index: number): ClientPlan {
  const common = { kind: 'subscriber', index, publishing: undefined } as const;
  if (options.scenario === 'fan-in') {
    const filters = [withLevels(options, options.command)];
    return { ...common, user: userOf(options, 'handler'), role: 'handler', filters };
  }
  const user = userOf(options, options.scenario === 'pairs' ? `s${index}` : 'all');
  return { ...common, user, role: 'device', filters: [own(options, user, 'news')] };
}

function publisher(options: BenchOptions, index: number, share: Share): ClientPlan {
  const { scenario, subscribers } = options;
  const asHandler = {
    kind: 'publisher',
    index,
    user: userOf(options, `p${index}`),
    role: 'handler',
    filters: [],
  } as const;
  switch (scenario) {
    case 'fan-out': {
      const topic = own(options, userOf(options, 'all'), 'news');
      const copiesHere = sizeOfPart(subscribers, share);
      return { ...asHandler, publishing: { topic, copies: subscribers, copiesHere } };
    }
    case 'pairs': {
      const topic = own(options, userOf(options, `s${index}`), 'news');
      return { ...asHandler, publishing: { topic, copies: 1, copiesHere: 1 } };
    }
    case 'fan-in': {
      const topic = withLevels(options, options.command);
      const copiesHere = sizeOfPart(subscribers, share);
      const publishing = { topic, copies: subscribers, copiesHere };
      const user = userOf(options, `d${index}`);
      return { ...asHandler, user, role: 'device', publishing };
    }
    case 'command': {
      const topic = withLevels(options, options.command);
      const publishing = { topic, copies: 1, copiesHere: 1 };
      const filters = [replyTopic(options, index)];
      return { ...asHandler, user: userOf(options, index), role: 'device', filters, publishing };
    }
    case 'headline':
    case 'idle':
    case 'storm':
      return { ...asHandler, publishing: { topic: undefined, copies: 1, copiesHere: 1 } };
    default:
      return scenario satisfies never;
  }
}
