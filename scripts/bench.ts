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
 * generator (what it cannot do is left to our own), --aedes FOLDER where Aedes is installed from npm,
 * --beside NAME=value for Bellhop once more with another environment, --output FOLDER in place of docs.
 * Prose on the curves is in docs/performance/notes.md.
 */
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { aedes, type Broker, bareTls, bellhop, mosquitto, nats } from './bench/brokers.ts';
import { capacityPage } from './bench/capacity.ts';
import { fullTimes, type Generator, ownGenerator, quickTimes } from './bench/generator.ts';
import { describeMachine } from './bench/machine.ts';
import { nativeGenerator } from './bench/mqload.ts';
import { performancePage } from './bench/page.ts';
import { readNotes } from './bench/page-curves.ts';
import { merge, type Results, type Run, resultsText, type Skip } from './bench/results.ts';
import { makeCertificate, runOnce } from './bench/runner.ts';
import {
  curvesOf,
  fullSizes,
  type Scenario,
  singlesOf,
  sizesOf,
  tableOf,
} from './bench/scenarios.ts';
import { giveUp, numberOf, optionsOf } from './options.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const { values } = optionsOf({
  options: {
    quick: { type: 'boolean', default: false },
    render: { type: 'boolean', default: false },
    rounds: { type: 'string' },
    only: { type: 'string', default: '*' },
    brokers: { type: 'string' },
    binary: { type: 'string', default: join(root, 'dist', 'bellhop') },
    mqload: { type: 'string' },
    aedes: { type: 'string' },
    beside: { type: 'string' },
    output: { type: 'string', default: join(root, 'docs') },
  },
});
const output = resolve(values.output);
const resultsPath = join(output, 'performance', 'results.json');

function readResults(): Results | undefined {
  return existsSync(resultsPath) ? JSON.parse(readFileSync(resultsPath, 'utf8')) : undefined;
}

function render(results: Results): void {
  const notesPath = join(output, 'performance', 'notes.md');
  const notes = existsSync(notesPath) ? readFileSync(notesPath, 'utf8') : '';
  const { text, charts } = performancePage(results, readNotes(notes, curvesOf(fullSizes)));
  writeFileSync(join(output, 'performance.md'), text);
  for (const [name, svg] of charts) writeFileSync(join(output, 'performance', `${name}.svg`), svg);
  writeFileSync(join(output, 'capacity.md'), capacityPage(results));
  console.log(`${output}: performance.md, capacity.md and ${charts.size} charts written`);
}

/** Who takes part in what: each scenario with its brokers. */
function planOf(brokers: readonly Broker[]): [Scenario, readonly Broker[]][] {
  const sizes = sizesOf({ isQuick: values.quick });
  const matching = new Bun.Glob(values.only);
  const ours = brokers.filter(({ name }) => name === 'Bellhop');
  const planned: [Scenario, readonly Broker[]][] = [
    ...tableOf(sizes).map((row): [Scenario, readonly Broker[]] => [row, brokers]),
    ...singlesOf(sizes).map((single): [Scenario, readonly Broker[]] => [single, brokers]),
    ...curvesOf(sizes).flatMap(({ scenarios, withPeers }) =>
      scenarios.map((each): [Scenario, readonly Broker[]] => [each, withPeers ? brokers : ours]),
    ),
  ];
  const wanted = planned.filter(([{ id }]) => matching.match(id));
  if (wanted.length === 0) {
    const ids = planned.map(([{ id }]) => id).join(', ');
    giveUp(`--only ${values.only} matches nothing; there are ${ids}`);
  }
  return wanted
    .map(([scenario, takers]): [Scenario, readonly Broker[]] => [
      scenario,
      takers.filter((each) => takesPart(each, scenario)),
    ])
    .filter(([, takers]) => takers.length > 0);
}

function takesPart(broker: Broker, scenario: Scenario): boolean {
  const { qos = 0 } = scenario.options;
  return (
    broker.can(scenario) && Number(qos) <= broker.highestQoS && (broker.hasTls || !scenario.tls)
  );
}

/** Keeps what it finds in results.json, scenario by scenario. */
async function measure(
  brokers: readonly Broker[],
  generators: readonly Generator[],
): Promise<void> {
  const plan = planOf(brokers);
  const before = readResults();
  const kept = before !== undefined && before.isQuick === values.quick ? before : undefined;
  const rounds = values.rounds ? numberOf(values, 'rounds') : values.quick ? 1 : 3;
  const times = values.quick ? quickTimes : fullTimes;
  const scratch = mkdtempSync(join(tmpdir(), 'bellhop-bench-'));
  const certificate = makeCertificate(scratch);
  const machine = describeMachine();
  const date = new Date().toISOString().slice(0, 10);
  const runs: Run[] = [];
  const skipped: Skip[] = [];
  const done = new Set<string>();
  const soFar = (): Results => {
    const sources = generators.map(({ name: generator }, at) => ({
      date,
      commandLine: ['bun run bench --', ...process.argv.slice(2).map(asTyped)].join(' '),
      idle: `a message to each and a ping from each, then ${times.idleSeconds} s of silence`,
      ...{ generator, rounds, machine },
      versions: Object.fromEntries(
        brokers
          .filter((broker) => runs.some((run) => run.source === at && run.broker === broker.name))
          .map(({ name, version }) => [name, version]),
      ),
    }));
    return merge(kept, { isQuick: values.quick, sources, runs, skipped }, done);
  };
  for (const [scenario, takers] of plan) {
    const generator = generators.find((each) => each.can(scenario)) as Generator;
    const source = generators.indexOf(generator);
    for (let round = 1; round <= rounds; round++) {
      // Whoever comes second finds a warmer machine: that is not always the same one.
      for (const broker of round % 2 === 1 ? takers : takers.toReversed()) {
        try {
          const figures = await runOnce(scenario, broker, generator, certificate, times);
          runs.push({ scenario: scenario.id, broker: broker.name, round, source, figures });
          const each = `${Math.round(figures.perSecond).toLocaleString('en')}/s, ${figures.brokerCpuEach.toFixed(2)} us`;
          console.log(
            `${scenario.id} ${round}/${rounds} ${broker.name}: ${each} (${figures.bottleneck})`,
          );
        } catch (error) {
          const detail = `${scenario.title}, ${broker.name}: ${(error as Error).message.split('\n')[0]}`;
          if (!skipped.some((each) => each.detail === detail))
            skipped.push({ scenario: scenario.id, detail });
          console.log(`left out: ${detail}`);
        }
      }
    }
    done.add(scenario.id);
    // It takes hours: what there is survives whatever ends it.
    writeFileSync(resultsPath, resultsText(soFar()));
  }
  rmSync(scratch, { recursive: true });
}

/** As it is typed; where things lie on this machine is nobody's business elsewhere. */
function asTyped(argument: string): string {
  const [, option = '', path] = /^(--\w+=)?(\/.*)$/.exec(argument) ?? [];
  const shown = path === undefined ? argument : `${option}${path.split('/').at(-1)}`;
  return /^[\w=.,:-]+$/.test(shown) ? shown : `'${shown}'`;
}

mkdirSync(join(output, 'performance'), { recursive: true });
if (!values.render) {
  if (!existsSync(values.binary)) {
    giveUp(`${values.binary} is missing: bun run build host`, 1);
  }
  const wanted = values.brokers?.split(',');
  const brokers = [
    bellhop(values.binary),
    mosquitto(),
    nats(),
    aedes(values.aedes),
    bareTls(),
  ].filter(
    (each) => each !== undefined && (wanted === undefined || wanted.includes(each.name)),
  ) as Broker[];
  if (brokers.length === 0 || (wanted !== undefined && brokers.length < wanted.length)) {
    giveUp(
      '--brokers takes names of those that are installed: Bellhop,Mosquitto,NATS,Aedes,bare TLS',
      2,
    );
  }
  if (values.beside !== undefined) {
    if (!/^\w+=/.test(values.beside)) giveUp('--beside takes NAME=value');
    brokers.push(bellhop(values.binary, values.beside));
  }
  // What a native one cannot do is left to our own.
  const generators = [
    ...(values.mqload === undefined ? [] : [nativeGenerator(values.mqload)]),
    ownGenerator(values.binary),
  ];
  console.log(`${brokers.map(({ name, version }) => `${name} ${version}`).join('; ')}`);
  await measure(brokers, generators);
}
const results = readResults();
if (results === undefined) giveUp(`${resultsPath} is missing: measure first`, 1);
render(results);
