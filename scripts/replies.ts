/**
 * Measures request to reply: devices send a command each and wait for the answer, with the handler in the
 * broker, in `bellhop handlers` beside it, and as an MQTT.js client at Mosquitto, where that is installed.
 *
 *     bun scripts/replies.ts                     three rounds of each; on a machine that does nothing else
 *     bun scripts/replies.ts --write             the figures into docs/handlers.md as well
 *     bun scripts/replies.ts --only '0-plain'    one of 0-store, 1-store, 0-plain, 1-plain, or a pattern
 *
 * Further: --rounds N, --seconds N, --devices N, --set-up PATTERN, --json, --binary PATH.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describeMachine } from './bench/machine.ts';
import { makeCertificate } from './bench/runner.ts';
import { numberOf, optionsOf } from './options.ts';
import { type Load, measure } from './replies/measure.ts';
import { type Case, type SetUp, setUps } from './replies/setups.ts';
import { type Results, type Run, resultsText, titleOf } from './replies/text.ts';

const WARM_UP_SECONDS = 2;
const PAGE = 'docs/handlers.md';
const BEGIN = '<!-- Written by `bun scripts/replies.ts --write`. -->';
const END = '<!-- So far. -->';

const root = fileURLToPath(new URL('..', import.meta.url));
const { values } = optionsOf({
  options: {
    rounds: { type: 'string', default: '3' },
    seconds: { type: 'string', default: '5' },
    devices: { type: 'string', default: '200' },
    only: { type: 'string', default: '*' },
    'set-up': { type: 'string', default: '*' },
    binary: { type: 'string', default: join(root, 'dist', 'bellhop') },
    json: { type: 'boolean', default: false },
    write: { type: 'boolean', default: false },
  },
});
const cases: readonly (Case & { readonly id: string })[] = [
  { id: '0-store', qos: 0, stores: true },
  { id: '1-store', qos: 1, stores: true },
  { id: '0-plain', qos: 0, stores: false },
  { id: '1-plain', qos: 1, stores: false },
];

async function measureAll(): Promise<Results> {
  const all = setUps(values.binary);
  const taken = all.filter(({ name }) => new Bun.Glob(values['set-up']).match(name));
  const asked = cases.filter(({ id }) => new Bun.Glob(values.only).match(id));
  const rounds = numberOf(values, 'rounds');
  const load: Load = {
    binary: values.binary,
    devices: numberOf(values, 'devices'),
    seconds: numberOf(values, 'seconds'),
    warmUpSeconds: WARM_UP_SECONDS,
  };
  const skipped = all.some(({ broker }) => broker.name === 'Mosquitto')
    ? []
    : ['Mosquitto, which is not installed'];
  const scratch = mkdtempSync(join(tmpdir(), 'bellhop-replies-'));
  const runs: Run[] = [];
  try {
    const certificate = makeCertificate(scratch);
    for (const each of asked) {
      for (let round = 1; round <= rounds; round++) {
        // Whoever comes second finds a warmer machine: that is not always the same one.
        for (const setUp of round % 2 === 1 ? taken : taken.toReversed()) {
          const run = await measureOne(setUp, each, load, certificate, skipped);
          if (run !== undefined) runs.push({ setUp: setUp.name, asked: each, round, figures: run });
        }
      }
    }
  } finally {
    rmSync(scratch, { recursive: true });
  }
  const { devices, seconds } = load;
  return {
    date: new Date().toISOString().slice(0, 10),
    commandLine: ['bun scripts/replies.ts', ...process.argv.slice(2).map(withoutPath)].join(' '),
    ...{ devices, rounds, seconds },
    machine: describeMachine(),
    versions: Object.fromEntries(taken.map(({ broker }) => [broker.name, broker.version])),
    cases: asked.map(({ qos, stores }) => ({ qos, stores })),
    setUps: taken.map(({ name }) => name),
    runs,
    skipped,
  };
}

async function measureOne(
  setUp: SetUp,
  asked: Case,
  load: Load,
  certificate: { readonly cert: string; readonly key: string },
  skipped: string[],
) {
  try {
    const figures = await measure(setUp, asked, load, certificate);
    const perSecond = Math.round(figures.perSecond).toLocaleString('en');
    console.error(`${titleOf(asked)}: ${setUp.name}: ${perSecond}/s (${figures.bottleneck})`);
    return figures;
  } catch (error) {
    const detail = `${setUp.name} at ${titleOf(asked)}: ${(error as Error).message.split('\n')[0]}`;
    if (!skipped.includes(detail)) skipped.push(detail);
    console.error(`left out: ${detail}`);
    return undefined;
  }
}

/** Puts `text` between the marks of the page. Throws where they are not there. */
function write(text: string): void {
  const path = join(root, PAGE);
  const page = readFileSync(path, 'utf8');
  const [begin, end] = [page.indexOf(BEGIN), page.indexOf(END)];
  if (begin < 0 || end < begin) throw new Error(`${PAGE} has no place for the figures`);
  writeFileSync(path, `${page.slice(0, begin + BEGIN.length)}\n\n${text}\n${page.slice(end)}`);
}

/** Where things lie on this machine is nobody's business elsewhere. */
function withoutPath(argument: string): string {
  return argument.startsWith('/') ? (argument.split('/').at(-1) ?? '') : argument;
}

const results = await measureAll();
const text = resultsText(results);
console.log(values.json ? JSON.stringify(results) : text);
if (values.write) write(text);
