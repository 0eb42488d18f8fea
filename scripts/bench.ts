/**
 * Measures Bellhop beside the peers that are installed, and prints docs/performance.md, its charts and
 * docs/capacity.md:
 *
 *     bun run bench                       everything; an hour or two, on a machine that does nothing else
 *     bun run bench -- --quick            small amounts and one round: to see that it works
 *     bun run bench -- --only 'pairs-*'   what matches, the rest of results.json staying as it is
 *     bun run bench -- --render           the pages from results.json, without measuring
 *
 * Further: --rounds N, --brokers Bellhop,Mosquitto, --binary PATH, --mqload PATH for a native load
 * generator, --aedes FOLDER where Aedes is installed from npm, --output FOLDER in place of docs.
 */
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { aedes, type Broker, bellhop, mosquitto, nats } from './bench/brokers.ts';
import { capacityPage } from './bench/capacity.ts';
import { type Generator, ownGenerator } from './bench/generator.ts';
import { describeMachine } from './bench/machine.ts';
import { nativeGenerator } from './bench/mqload.ts';
import { performancePage } from './bench/page.ts';
import type { Results, Run } from './bench/results.ts';
import { makeCertificate, runOnce } from './bench/runner.ts';
import {
  curvesOf,
  fullSizes,
  quickSizes,
  type Scenario,
  singlesOf,
  tableOf,
} from './bench/scenarios.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const { values } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    render: { type: 'boolean', default: false },
    rounds: { type: 'string' },
    only: { type: 'string', default: '*' },
    brokers: { type: 'string' },
    binary: { type: 'string', default: join(root, 'dist', 'bellhop') },
    mqload: { type: 'string' },
    aedes: { type: 'string' },
    output: { type: 'string', default: join(root, 'docs') },
  },
});
const output = resolve(values.output);
const resultsPath = join(output, 'performance', 'results.json');

function readResults(): Results | undefined {
  return existsSync(resultsPath) ? JSON.parse(readFileSync(resultsPath, 'utf8')) : undefined;
}

function render(results: Results): void {
  const { text, charts } = performancePage(results);
  writeFileSync(join(output, 'performance.md'), text);
  for (const [name, svg] of charts) writeFileSync(join(output, 'performance', `${name}.svg`), svg);
  writeFileSync(join(output, 'capacity.md'), capacityPage(results));
  console.log(`${output}: performance.md, capacity.md and ${charts.size} charts written`);
}

/** Who takes part in what: each scenario with its brokers. */
function planOf(brokers: readonly Broker[]): [Scenario, readonly Broker[]][] {
  const sizes = values.quick ? quickSizes : fullSizes;
  const matching = new Bun.Glob(values.only);
  const ours = brokers.filter(({ name }) => name === 'Bellhop');
  const planned: [Scenario, readonly Broker[]][] = [
    ...tableOf(sizes).map((row): [Scenario, readonly Broker[]] => [row, brokers]),
    ...singlesOf(sizes).map((single): [Scenario, readonly Broker[]] => [single, brokers]),
    ...curvesOf(sizes).flatMap(({ scenarios, withPeers }) =>
      scenarios.map((each): [Scenario, readonly Broker[]] => [each, withPeers ? brokers : ours]),
    ),
  ];
  return planned
    .filter(([{ id }]) => matching.match(id))
    .map(([scenario, takers]) => [scenario, takers.filter((each) => takesPart(each, scenario))]);
}

function takesPart(broker: Broker, scenario: Scenario): boolean {
  const { qos = 0 } = scenario.options;
  return (
    broker.can(scenario) && Number(qos) <= broker.highestQoS && (broker.hasTls || !scenario.tls)
  );
}

async function measure(brokers: readonly Broker[], generator: Generator): Promise<Results> {
  const before = readResults();
  const kept = before !== undefined && before.isQuick === values.quick ? before : undefined;
  const rounds = Number(values.rounds ?? (values.quick ? 1 : 3));
  const times = values.quick
    ? { seconds: 1, warmUpSeconds: 0.5 }
    : { seconds: 5, warmUpSeconds: 2 };
  const scratch = mkdtempSync(join(tmpdir(), 'bellhop-bench-'));
  const certificate = makeCertificate(scratch);
  const plan = planOf(brokers);
  const runs: Run[] = [];
  const skipped: string[] = [];
  for (const [scenario, takers] of plan) {
    for (let round = 1; round <= rounds; round++) {
      // Whoever comes second finds a warmer machine: that is not always the same one.
      for (const broker of round % 2 === 1 ? takers : takers.toReversed()) {
        try {
          const figures = await runOnce(scenario, broker, generator, certificate, times);
          runs.push({ scenario: scenario.id, broker: broker.name, round, figures });
          const each = `${Math.round(figures.perSecond).toLocaleString('en')}/s, ${figures.brokerCpuEach.toFixed(2)} us`;
          console.log(
            `${scenario.id} ${round}/${rounds} ${broker.name}: ${each} (${figures.bottleneck})`,
          );
        } catch (error) {
          const detail = `${scenario.title}, ${broker.name}: ${(error as Error).message.split('\n')[0]}`;
          if (!skipped.includes(detail)) skipped.push(detail);
          console.log(`left out: ${detail}`);
        }
      }
    }
  }
  rmSync(scratch, { recursive: true });
  const again = new Set(plan.map(([{ id }]) => id));
  return {
    date: new Date().toISOString().slice(0, 10),
    commandLine: ['bun run bench --', ...process.argv.slice(2).map(withoutPath)].join(' '),
    generator: `\`${generator.name}\``,
    isQuick: values.quick,
    rounds,
    machine: describeMachine(),
    versions: {
      ...kept?.versions,
      ...Object.fromEntries(brokers.map(({ name, version }) => [name, version])),
    },
    runs: [...(kept?.runs.filter(({ scenario }) => !again.has(scenario)) ?? []), ...runs],
    skipped,
  };
}

/** Where things lie on this machine is nobody's business elsewhere. */
function withoutPath(argument: string): string {
  return argument.startsWith('/') ? (argument.split('/').at(-1) ?? '') : argument;
}

mkdirSync(join(output, 'performance'), { recursive: true });
if (!values.render) {
  if (!existsSync(values.binary)) {
    console.error(`${values.binary} is missing: bun run build host`);
    process.exit(1);
  }
  const wanted = values.brokers?.split(',');
  const brokers = [bellhop(values.binary), mosquitto(), nats(), aedes(values.aedes)].filter(
    (each) => each !== undefined && (wanted === undefined || wanted.includes(each.name)),
  ) as Broker[];
  if (brokers.length === 0 || (wanted !== undefined && brokers.length < wanted.length)) {
    console.error(
      '--brokers takes names of those that are installed: Bellhop,Mosquitto,NATS,Aedes',
    );
    process.exit(2);
  }
  const generator =
    values.mqload === undefined ? ownGenerator(values.binary) : nativeGenerator(values.mqload);
  console.log(`${brokers.map(({ name, version }) => `${name} ${version}`).join('; ')}`);
  const results = await measure(brokers, generator);
  writeFileSync(resultsPath, `${JSON.stringify(results, null, 1)}\n`);
}
const results = readResults();
if (results === undefined) {
  console.error(`${resultsPath} is missing: measure first`);
  process.exit(1);
}
render(results);
