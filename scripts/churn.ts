/**
 * What becomes of the broker's memory while clients come, subscribe, publish, get their message and go:
 * over TCP, over TLS, and over TCP with a plugin that answers, side by side at a broker each.
 *
 *     bun scripts/churn.ts                       half an hour, 300 clients a second at each
 *     bun scripts/churn.ts --write               the same into docs/performance/churn.md
 *     bun scripts/churn.ts --only tls            one of tcp, tls, plugin, or a pattern
 *
 * Further: --minutes N, --rate N (clients a second at each), --slots N (clients at a time), --binary PATH.
 *
 * Every fourth client leaves a stored session that its next life comes back to, and one in ten vanishes
 * without a PUBACK or a DISCONNECT. The others' names, users and topics are new each time.
 */
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describeMachine } from './bench/machine.ts';
import { machineText } from './bench/page-sources.ts';
import { bellhopAt } from './broker.ts';
import { Churn, type Way } from './churn/churn.ts';
import { giveUp, numberOf, optionsOf } from './options.ts';

const ROWS = 10;
const START_MS = 2_000;
const page = fileURLToPath(new URL('../docs/performance/churn.md', import.meta.url));
const ways: readonly Way[] = [
  { id: 'tcp', title: 'TCP', tls: false, plugin: false },
  { id: 'tls', title: 'TLS', tls: true, plugin: false },
  { id: 'plugin', title: 'TCP, a plugin answers', tls: false, plugin: true },
];

const { values } = optionsOf({
  options: {
    minutes: { type: 'string', default: '30' },
    rate: { type: 'string', default: '300' },
    slots: { type: 'string', default: '200' },
    only: { type: 'string', default: '*' },
    binary: { type: 'string', default: 'dist/bellhop' },
    write: { type: 'boolean', default: false },
  },
});
const load = {
  minutes: numberOf(values, 'minutes'),
  rate: numberOf(values, 'rate'),
  slots: numberOf(values, 'slots'),
};

function meanOf(samples: readonly number[], from: number, to: number): number {
  const part = samples.slice(Math.floor(samples.length * from), Math.ceil(samples.length * to));
  return part.reduce((sum, each) => sum + each, 0) / part.length;
}

const megabytes = (kilobytes: number): string => (kilobytes / 1_024).toFixed(1);

function row(cells: readonly string[]): string {
  return `| ${cells.join(' | ')} |`;
}

function summary(churns: readonly Churn[]): string {
  return [
    row(['', 'clients', 'without their message', 'second fifth', 'last fifth', 'growth']),
    row(['---', '--:', '--:', '--:', '--:', '--:']),
    ...churns.map(({ way, completed, failed, samples }) => {
      const [early, late] = [meanOf(samples, 0.2, 0.4), meanOf(samples, 0.8, 1)];
      return row([
        way.title,
        completed.toLocaleString('en'),
        String(failed),
        `${megabytes(early)} MiB`,
        `${megabytes(late)} MiB`,
        `${(((late - early) / early) * 100).toFixed(1)} %`,
      ]);
    }),
  ].join('\n');
}

/** The means of tenths of the time. */
function course(churns: readonly Churn[]): string {
  return [
    row(['up to minute', ...churns.map(({ way }) => way.title)]),
    row(['--:', ...churns.map(() => '--:')]),
    ...Array.from({ length: ROWS }, (_, index) =>
      row([
        ((load.minutes * (index + 1)) / ROWS).toFixed(load.minutes < ROWS ? 1 : 0),
        ...churns.map(({ samples }) =>
          megabytes(meanOf(samples, index / ROWS, (index + 1) / ROWS)),
        ),
      ]),
    ),
  ].join('\n');
}

const command = bellhopAt(values.binary);
const wanted = ways.filter(({ id }) => new Bun.Glob(values.only).match(id));
if (wanted.length === 0) {
  giveUp(`--only ${values.only} matches none of ${ways.map(({ id }) => id).join(', ')}`);
}
const churns = await Promise.all(wanted.map((way) => Churn.start(way, command)));
await Bun.sleep(START_MS); // a client that comes too early is counted as failed
const reporting = setInterval(() => {
  for (const { way, completed, failed, residentKilobytes, storedDeliveries } of churns) {
    console.log(
      `${way.title}: ${completed} clients, ${failed} failed, ${residentKilobytes} kB, ` +
        `${storedDeliveries} deliveries in the file`,
    );
  }
}, 60_000);
await Promise.all(churns.map((churn) => churn.run(load)));
clearInterval(reporting);
const found = summary(churns);
console.log(`${found}\n\n${course(churns)}\n`);
await Promise.all(churns.map((churn) => churn.stop()));
if (values.write) {
  const today = new Date().toISOString().slice(0, 10);
  writeFileSync(
    page,
    `# Memory while clients come and go

Printed by \`${['bun scripts/churn.ts', ...process.argv.slice(2)].join(' ')}\` on ${today}, on ${machineText({ ...describeMachine(), isPinned: false })}.
For ${values.minutes} minutes ${values.rate} clients a second came to each of ${churns.length} brokers, each a user with a token of
its own, subscribed, published at QoS 1, got their message and went. Every fourth left a stored session that
its next life came back to, and one in ten vanished without a PUBACK or a DISCONNECT. All acknowledged
what they got: a broker whose clients do not has more to keep from one minute to the next.

Resident memory, and how much it grew from the second fifth of the time to the last:

${found}

Its course, in MiB:

${course(churns)}
`,
  );
}
process.exit(churns.some(({ failed }) => failed > 0) ? 1 : 0);
