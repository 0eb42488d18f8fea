/** What is asked of Bellhop beside the table of throughput, and whether a bench has found it. */
import { count, milliseconds, percent } from './format.ts';
import { bottleneckOf, lossOf, type Measure, medianOf, type Results } from './results.ts';
import { goals, singlesOf, sizesOf } from './scenarios.ts';

const OURS = 'Bellhop';
const REFERENCE = 'Mosquitto';
const BARE = 'bare TLS';
/** A rate counts as held from this share of it: whole seconds do not end with a message. */
const HELD = 0.99;

export interface GoalFound {
  readonly scenario: string;
  readonly goal: string;
  readonly found: string;
  /** Undefined where nobody was measured to hold it against. */
  readonly isReached: boolean | undefined;
}

/** Those of what was measured of Bellhop. */
export function goalsOf(results: Results): readonly GoalFound[] {
  return singlesOf(sizesOf(results)).flatMap(({ id, title }) =>
    (goalsById[id]?.(results) ?? []).map((each) => ({
      ...each,
      scenario: id,
      goal: `${title}: ${each.goal}`,
    })),
  );
}

type Judge = (results: Results) => readonly Omit<GoalFound, 'scenario'>[];

const goalsById: { readonly [scenario: string]: Judge } = {
  'headline-rate': (results) => [
    ...beside(
      results,
      'headline-rate',
      'p99',
      "p99 no worse than Mosquitto's",
      milliseconds,
      false,
    ),
    ...beside(
      ...([results, 'headline-rate', 'brokerCpuEach'] as const),
      ...(["processor time of a message below Mosquitto's", microseconds, true] as const),
    ),
  ],
  million(results) {
    const rate = medianOf(results, 'million', OURS, 'perSecond');
    if (rate === undefined) return [];
    const { lost } = lossOf(results, 'million', OURS);
    return [
      {
        goal: 'nothing lost',
        found: `${count(rate)}/s, ${count(lost)} lost`,
        isReached: rate >= goals.millionRate * HELD && lost === 0,
      },
    ];
  },
  'storm-tcp'(results) {
    const rate = medianOf(results, 'storm-tcp', OURS, 'perSecond');
    if (rate === undefined) return [];
    return [
      {
        goal: `${count(goals.connectsPerSecond)} a second, tokens verified`,
        found: `${count(rate)}/s${limitOf(results, 'storm-tcp', OURS)}`,
        isReached: rate >= goals.connectsPerSecond,
      },
    ];
  },
  'storm-tls': tlsGoals,
  'idle-tcp': (results) => memoryGoal(results, 'idle-tcp', goals.idleTcpBytes),
  'idle-tls': (results) => memoryGoal(results, 'idle-tls', goals.idleTlsBytes),
};

/** Ours and theirs of one measure, of which less is better. */
function beside(
  results: Results,
  scenario: string,
  measure: Measure,
  goal: string,
  written: (value: number) => string,
  isStrict: boolean,
): ReturnType<Judge> {
  const ours = medianOf(results, scenario, OURS, measure);
  const theirs = medianOf(results, scenario, REFERENCE, measure);
  if (ours === undefined) return [];
  if (theirs === undefined) return [without(goal, REFERENCE)];
  const found = `${written(ours)} to ${written(theirs)}`;
  return [{ goal, found, isReached: isStrict ? ours < theirs : ours <= theirs }];
}

/**
 * The share of bare handshakes, by connects a second and by processor time of a connection. The first says
 * little where the generator, whose side of a handshake is as dear, was what had no more time to give.
 */
function tlsGoals(results: Results): ReturnType<Judge> {
  const of = (broker: string, measure: Measure): number | undefined =>
    medianOf(results, 'storm-tls', broker, measure);
  const [rate, bareRate] = [of(OURS, 'perSecond'), of(BARE, 'perSecond')];
  const [cpu, bareCpu] = [of(OURS, 'brokerCpuEach'), of(BARE, 'brokerCpuEach')];
  if (rate === undefined || cpu === undefined) return [];
  const byRate = `${percent(goals.tlsShare)} of bare TLS handshakes, by connects a second`;
  const byTime = `${percent(goals.tlsShare)} of bare TLS handshakes, by processor time of a connection`;
  if (bareRate === undefined || bareCpu === undefined) {
    return [without(byRate, BARE), without(byTime, BARE)];
  }
  return [
    {
      goal: byRate,
      found: `${percent(rate / bareRate)}: ${count(rate)} to ${count(bareRate)}/s${limitOf(results, 'storm-tls', BARE)}`,
      isReached: rate / bareRate >= goals.tlsShare,
    },
    {
      goal: byTime,
      found: `${percent(bareCpu / cpu)}: ${microseconds(cpu)} to ${microseconds(bareCpu)}`,
      isReached: bareCpu / cpu >= goals.tlsShare,
    },
  ];
}

function memoryGoal(results: Results, scenario: string, most: number): ReturnType<Judge> {
  const found = medianOf(results, scenario, OURS, 'residentPerConnection');
  if (found === undefined) return [];
  return [
    {
      goal: `${count(most)} B each at most`,
      found: `${count(found)} B`,
      isReached: found <= most,
    },
  ];
}

function without(goal: string, other: string): ReturnType<Judge>[number] {
  return { goal, found: `measured without ${other}`, isReached: undefined };
}

function limitOf(results: Results, scenario: string, broker: string): string {
  const found = bottleneckOf(results, scenario, broker);
  return /generator|both/.test(found) ? ` (${broker}: the generator was at its limit)` : '';
}

function microseconds(value: number): string {
  return `${value.toFixed(1)} µs`;
}
