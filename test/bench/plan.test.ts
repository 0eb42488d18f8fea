import { expect, test } from 'bun:test';
import fc from 'fast-check';
import { type BenchOptions, defaults, type Scenario, scenarios } from '../../core/bench/options.ts';
import {
  type ClientPlan,
  makePlan,
  replyTopic,
  subscriptionTopic,
  WHOLE,
} from '../../core/bench/plan.ts';
import { runs, seed } from '../seed.ts';

function optionsOf(scenario: Scenario, more: Partial<BenchOptions> = {}): BenchOptions {
  const { publishers, subscribers, connections, payloadBytes, window } = defaults[scenario];
  return {
    ...{ scenario, version: 5, qos: 0, payloadBytes, rate: undefined, window, publishers },
    ...{ subscribers, connections, subscriptions: connections, handler: true, levels: 1 },
    ...{
      command: 'ask',
      reply: 'answer',
      userTemplate: 'u-%d',
      separator: '_',
      stored: false,
      absent: false,
    },
    ...{ keepAliveSeconds: 0, warmUpSeconds: 0, durationSeconds: 0, drainSeconds: 0, ...more },
  };
}

const count = (plan: readonly ClientPlan[], kind: ClientPlan['kind']) =>
  plan.filter((each) => each.kind === kind).length;

test('shares add up to the whole, whatever their number', () => {
  const numbers = fc.integer({ min: 0, max: 40 });
  fc.assert(
    fc.property(
      fc.constantFrom(...scenarios),
      fc.record({ publishers: numbers, subscribers: numbers, subscriptions: numbers }),
      fc.integer({ min: 1, max: 40 }),
      fc.integer({ min: 1, max: 5 }),
      (scenario, amounts, connections, shares) => {
        const options = optionsOf(scenario, { ...amounts, connections });
        const parts = Array.from({ length: shares }, (_, index) =>
          makePlan(options, { index, count: shares }),
        );
        const key = ({ kind, index, user, filters }: ClientPlan) =>
          `${kind} ${index} ${user} ${filters.join(' ')}`;
        const whole = makePlan(options, WHOLE);
        expect(parts.flat().map(key).sort()).toEqual(whole.map(key).sort());
        const copies = new Map(whole.map((each) => [key(each), each.publishing?.copies]));
        for (const each of parts.flat())
          expect(each.publishing?.copies).toBe(copies.get(key(each)));
      },
    ),
    { seed, numRuns: runs(200) },
  );
});

test('devices subscribe to their own user topics, and publish nothing but the command', () => {
  for (const scenario of scenarios) {
    const plan = makePlan(optionsOf(scenario, { connections: 3, subscriptions: 7 }), WHOLE);
    for (const { role, user, filters, publishing } of plan) {
      if (role !== 'device') continue;
      for (const filter of filters) expect(filter).toStartWith(`${user}_`);
      expect([undefined, 'ask']).toContain(publishing?.topic);
    }
  }
});

test('what is published has as many subscribers as are expected to get it', () => {
  for (const scenario of scenarios) {
    const options = optionsOf(scenario, { connections: 3, subscriptions: 7, levels: 3 });
    const plan = makePlan(options, WHOLE);
    for (const { publishing } of plan) {
      if (publishing?.topic === undefined) continue;
      const receivers = plan.filter(({ filters }) => filters.includes(publishing.topic ?? ''));
      expect([scenario, receivers.length]).toEqual([scenario, publishing.copies]);
    }
  }
});

test('every subscription of the connections is held once, and each reply has its device', () => {
  const options = optionsOf('headline', { connections: 3, subscriptions: 7 });
  const topics = Array.from({ length: 7 }, (_, index) => subscriptionTopic(options, index));
  const held = makePlan(options, WHOLE).flatMap(({ filters }) => filters);
  expect(held.toSorted()).toEqual(topics.toSorted());
  const command = optionsOf('command', { publishers: 4 });
  const plan = makePlan(command, WHOLE);
  expect([count(plan, 'publisher'), count(plan, 'handler')]).toEqual([4, 1]);
  for (const { kind, index, filters } of plan) {
    if (kind === 'publisher') expect(filters).toEqual([replyTopic(command, index)]);
  }
  expect(count(makePlan({ ...command, handler: false }, WHOLE), 'handler')).toBe(0);
});
