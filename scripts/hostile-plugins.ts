/**
 * What hostile plugins cost those who have nothing to do with them:
 *
 *     bun scripts/hostile-plugins.ts [--binary dist/bellhop] [--seconds 20] [--only NAME] [--json] [--write]
 *
 * For each plugin of `scripts/hostile` a broker is started whose plugins folder has a neighbour alone.
 * Two clients pass QoS 0 messages to and fro, 500 a second, while a phone asks the neighbour twenty times a
 * second. Then the hostile plugin is saved into the folder, and brought to do its worst once a second: by
 * a command, or where it does not load by being saved again. It is taken away and comes back, so that
 * times with and without it alternate, and each has `--seconds` in all.
 *
 * Exits with 1 where the broker ended, the neighbour did not answer each command once, its table or
 * the dead letters are not what they should be, or the log did not tell. `--write` puts the table into
 * docs/handlers.md.
 */
import { cpus } from 'node:os';
import { join } from 'node:path';
import { Histogram } from '../core/bench/histogram.ts';
import { bellhopAt } from './broker.ts';
import { CrashClient } from './crash/client.ts';
import { HostileBroker } from './hostile/broker.ts';
import { cases, HOSTILE_TOPIC, type HostileCase, tellsOf, textOf } from './hostile/cases.ts';
import { type CaseResult, percentilesOf, tableOf, writePage } from './hostile/page.ts';
import { Pair } from './hostile/pair.ts';
import { mint } from './load.ts';
import { numberOf, optionsOf } from './options.ts';

const PAIR_RATE = 500;
const NOTE_EVERY_MS = 50;
const HARM_EVERY_MS = 1_000;
/** How often a plugin comes and goes. */
const ROUNDS = 2;
/** How long what is under way may take to come to its end. */
const PATIENCE_MS = 60_000;

const { values } = optionsOf({
  options: {
    binary: { type: 'string', default: 'dist/bellhop' },
    seconds: { type: 'string', default: '20' },
    only: { type: 'string' },
    json: { type: 'boolean', default: false },
    write: { type: 'boolean', default: false },
  },
});
const seconds = numberOf(values, 'seconds');
const root = new URL('..', import.meta.url).pathname;
const command = bellhopAt(values.binary);

/** The phone that asks the neighbour. */
class Notes {
  /** When each number was sent, and how often it was answered. */
  readonly sentAtMs: number[] = [];
  readonly answers: number[] = [];
  answered = 0;
  /** The longest that an answer took since it was last asked for. */
  slowestMs = 0;
  readonly #client: CrashClient;
  readonly #timer: NodeJS.Timeout;

  static async start(port: number): Promise<Notes> {
    let notes: Notes | undefined;
    const client = new CrashClient({
      port,
      clientIdentifier: 'ann-phone',
      token: await mint('ann', 'device'),
      version: 5,
      subscriptions: [{ topicFilter: 'ann_noted', qos: 1 }],
      received: (_, payload) => notes?.came((JSON.parse(payload) as { number: number }).number),
    });
    await client.ready();
    notes = new Notes(client);
    return notes;
  }

  private constructor(client: CrashClient) {
    this.#client = client;
    this.#timer = setInterval(() => {
      const number = this.sentAtMs.push(performance.now()) - 1;
      this.answers.push(0);
      client.publish('note', JSON.stringify({ number }), 1, false, () => {});
    }, NOTE_EVERY_MS);
  }

  came(number: number): void {
    const times = (this.answers[number] ?? 0) + 1;
    this.answers[number] = times;
    if (times > 1) return;
    this.answered++;
    const tookMs = performance.now() - (this.sentAtMs[number] ?? 0);
    if (tookMs > this.slowestMs) this.slowestMs = tookMs;
  }

  /** Asks no more, and waits for the answers that are missing. */
  async stop(): Promise<void> {
    clearInterval(this.#timer);
    const latestMs = performance.now() + PATIENCE_MS;
    while (this.answered < this.sentAtMs.length && performance.now() < latestMs)
      await Bun.sleep(20);
    this.#client.drop();
  }
}

/** Who brings the plugin to do its worst. */
class Mallory {
  /** Commands so far, and whether one of them had an effect that it should not have had. */
  commands = 0;
  acknowledged = 0;
  harm = 0;
  readonly #hostile: HostileCase;
  readonly #broker: HostileBroker;
  readonly #client: CrashClient;
  #saves = 0;

  static async start(hostile: HostileCase, broker: HostileBroker): Promise<Mallory> {
    let mallory: Mallory | undefined;
    const client = new CrashClient({
      port: broker.port,
      clientIdentifier: 'mallory-phone',
      token: await mint('mallory', 'device'),
      version: 5,
      subscriptions: [{ topicFilter: 'mallory_harm', qos: 1 }],
      received: () => {
        if (mallory !== undefined) mallory.harm++;
      },
    });
    await client.ready();
    mallory = new Mallory(hostile, broker, client);
    return mallory;
  }

  private constructor(hostile: HostileCase, broker: HostileBroker, client: CrashClient) {
    this.#hostile = hostile;
    this.#broker = broker;
    this.#client = client;
  }

  /** Saves the plugin; resolves when it is loaded, or refused. */
  async begin(): Promise<void> {
    const { name, fate } = this.#hostile;
    const seen = this.#broker.lines.length;
    this.#save();
    const told = () =>
      this.#broker.lines
        .slice(seen)
        .some((line) =>
          fate === 'none'
            ? tellsOf(this.#hostile, line)
            : line.message === 'plugin loaded' && line.plugin === name,
        );
    await this.#broker.until(told, PATIENCE_MS);
  }

  /** Once more. */
  strike(): void {
    if (this.#hostile.fate === 'none') return this.#save();
    this.commands++;
    this.#client.publish(HOSTILE_TOPIC, '', 1, false, () => this.acknowledged++);
  }

  /** Waits until all its commands have come to their end, and takes the plugin away. */
  async end(): Promise<number> {
    const { name, fate } = this.#hostile;
    const latestMs = performance.now() + PATIENCE_MS;
    let ended = await this.#ended();
    while (ended < this.commands && performance.now() < latestMs && this.#broker.alive) {
      await Bun.sleep(200);
      ended = await this.#ended();
    }
    const seen = this.#broker.lines.length;
    this.#broker.remove(`${name}.ts`);
    const gone = fate === 'none' ? 'plugins swapped' : 'plugin removed';
    const told = () => this.#broker.lines.slice(seen).some(({ message }) => message === gone);
    await this.#broker.until(told, PATIENCE_MS);
    return ended;
  }

  drop(): void {
    this.#client.drop();
  }

  /** How many of its commands have come to their end. */
  async #ended(): Promise<number> {
    const { name, fate } = this.#hostile;
    if (fate === 'dead') return await this.#broker.deadLetters(name);
    return this.#broker.lines.filter(
      ({ message, handler }) => message === 'handler ran' && handler === name,
    ).length;
  }

  /** Each time with another text: one that is the same is no change. */
  #save(): void {
    this.#broker.save(
      `${this.#hostile.name}.ts`,
      `${textOf(this.#hostile)}// saved ${++this.#saves} times\n`,
    );
  }
}

async function measure(hostile: HostileCase): Promise<CaseResult> {
  const broker = await HostileBroker.start(command);
  const pair = await Pair.open(broker.port, PAIR_RATE);
  const notes = await Notes.start(broker.port);
  const mallory = await Mallory.start(hostile, broker);
  const histograms = { without: new Histogram(), beside: new Histogram() };
  const slowestMs = { without: 0, beside: 0 };
  const problems: string[] = [];
  let lost = 0;
  await pair.measure(new Histogram(), 2);
  for (let round = 0; round < ROUNDS; round++) {
    for (const side of ['without', 'beside'] as const) {
      if (side === 'beside') await mallory.begin();
      if (side === 'beside') mallory.strike();
      const strikes =
        side === 'beside' ? setInterval(() => mallory.strike(), HARM_EVERY_MS) : undefined;
      notes.slowestMs = 0;
      lost += await pair.measure(histograms[side], seconds / ROUNDS);
      clearInterval(strikes);
      if (side === 'beside') {
        const ended = await mallory.end();
        if (ended !== mallory.commands) {
          problems.push(`${mallory.commands} commands, of which ${ended} came to an end`);
        }
      }
      slowestMs[side] = Math.max(slowestMs[side], notes.slowestMs);
    }
  }
  await notes.stop();
  if (!broker.alive) problems.push('the broker ended');
  if (lost > 0) problems.push(`${lost} messages of QoS 0 did not come back within ten seconds`);
  const unanswered = notes.answers.filter((times) => times === 0).length;
  if (unanswered > 0) problems.push(`the neighbour did not answer ${unanswered} commands`);
  const twice = notes.answers.filter((times) => times > 1).length;
  if (twice > 0) problems.push(`the neighbour answered ${twice} commands more than once`);
  if (mallory.harm > 0) problems.push(`${mallory.harm} messages came of runs that failed`);
  const line = broker.lines.find((each) => tellsOf(hostile, each));
  if (line === undefined) problems.push('the log does not tell');
  pair.close();
  mallory.drop();
  const noted = await broker.stop();
  if (!noted.every((number, index) => number === index) || noted.length !== notes.answers.length) {
    problems.push('the table of the neighbour is not what it should be');
  }
  return {
    name: hostile.name,
    does: hostile.does,
    fate: hostile.fate,
    commands: mallory.commands,
    without: percentilesOf(histograms.without),
    beside: percentilesOf(histograms.beside),
    answers: notes.answered,
    slowestMs,
    line,
    problems,
  };
}

const results: CaseResult[] = [];
const chosen = cases.filter(({ name }) => values.only === undefined || name === values.only);
if (chosen.length === 0) throw new Error(`--only: there is no ${values.only}`);
for (const hostile of chosen) {
  const result = await measure(hostile);
  results.push(result);
  for (const problem of result.problems) console.error(`${hostile.name}: ${problem}`);
  if (!values.json) console.error(`${hostile.name}: done`);
}
const conditions = {
  seconds,
  rate: PAIR_RATE,
  cores: cpus().length,
  processor: cpus()[0]?.model ?? 'an unknown processor',
  built: command.length === 1,
};
console.log(
  values.json ? JSON.stringify({ conditions, results }, null, 2) : tableOf(results, conditions),
);
const failed = results.some(({ problems }) => problems.length > 0);
if (values.write && !failed && values.only === undefined) {
  await writePage(join(root, 'docs/handlers.md'), tableOf(results, conditions));
} else if (values.write) {
  console.error('docs/handlers.md is left as it was: it takes a whole run without problems');
}
process.exit(failed ? 1 : 0);
