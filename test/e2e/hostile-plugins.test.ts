/**
 * Plugins that do their worst beside one that does its work, each in a broker of its own: the plugins of
 * `scripts/hostile`, whose cost to others `scripts/hostile-plugins.ts` measures.
 */
import { Database } from 'bun:sqlite';
import { expect, setDefaultTimeout, test } from 'bun:test';
import { mkdirSync, renameSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { MqttClient } from 'mqtt';
import {
  cases,
  HOSTILE_TOPIC,
  type HostileCase,
  type LogLine,
  neighbourFiles,
  tellsOf,
  textOf,
} from '../../scripts/hostile/cases.ts';
import { connect } from './connect.ts';
import { Broker, Folder, run } from './executable.ts';

/** Threads that take all of a processor are slow to end where there are few. */
setDefaultTimeout(180_000);

const ROUNDS = 2;
const NOTES_PER_ROUND = 5;

/** A plugins folder with the neighbour in it. */
function folderOfNeighbour(): Folder {
  const folder = new Folder();
  for (const [path, text] of Object.entries(neighbourFiles())) {
    mkdirSync(dirname(join(folder.path, 'plugins', path)), { recursive: true });
    folder.write(join('plugins', path), text);
  }
  return folder;
}

/** As an editor does: what is seen is whole. */
function save(folder: Folder, { name }: HostileCase, text: string): void {
  const swap = folder.write(join('plugins', `${name}.ts.swp`), text);
  renameSync(swap, join(folder.path, 'plugins', `${name}.ts`));
}

/** Resolves once the log has `count` lines like this, before now or later. */
async function logged(
  broker: Broker,
  count: number,
  wanted: (line: LogLine) => boolean,
): Promise<LogLine> {
  let seen = 0;
  const line = await broker.line((text) => wanted(JSON.parse(text)) && ++seen >= count);
  return JSON.parse(line);
}

/** What came on a user's topics. */
class Phone {
  readonly got: string[] = [];
  readonly client: MqttClient;
  #wanted = 0;
  #enough = (): void => {};

  constructor(client: MqttClient) {
    this.client = client;
    client.on('message', (topic, payload) => {
      const shown = payload.length > 100 ? `${payload.length} bytes` : payload.toString();
      this.got.push(`${topic} ${shown}`);
      if (this.got.length >= this.#wanted) this.#enough();
    });
  }

  /** Resolves when so many messages have come in all. */
  async has(count: number): Promise<void> {
    if (this.got.length >= count) return;
    this.#wanted = count;
    await new Promise<void>((resolve) => {
      this.#enough = resolve;
    });
  }
}

test.each(cases)(
  '$name: the neighbour answers once, the log tells, commands end as documented',
  async (hostile) => {
    const { name, fate, sends } = hostile;
    using folder = folderOfNeighbour();
    const env = { HANDLER_WORKERS: '2', HANDLER_MEMORY_MB: '128' };
    await using broker = await Broker.start(folder, [], env);
    const [ann, mallory] = [
      new Phone(await connect(broker, 'ann')),
      new Phone(await connect(broker, 'mallory')),
    ];
    await ann.client.subscribeAsync('ann_noted', { qos: 1 });
    await mallory.client.subscribeAsync('mallory_harm', { qos: 1 });
    if (sends !== undefined) {
      await mallory.client.subscribeAsync(`mallory_${sends.name}`, { qos: 1 });
    }

    save(folder, hostile, textOf(hostile));
    if (fate === 'none') await logged(broker, 1, (line) => tellsOf(hostile, line));
    else
      await logged(broker, 1, (line) => line.plugin === name && line.message === 'plugin loaded');
    const numbers: number[] = [];
    for (let round = 1; round <= ROUNDS; round++) {
      if (fate === 'none') save(folder, hostile, `${textOf(hostile)}// saved ${round} times\n`);
      else await mallory.client.publishAsync(HOSTILE_TOPIC, '', { qos: 1 });
      for (let count = 0; count < NOTES_PER_ROUND; count++) {
        const number = numbers.push(numbers.length + 1);
        await ann.client.publishAsync('note', JSON.stringify({ number }), { qos: 1 });
      }
      await ann.has(numbers.length);
      if (fate === 'none') await logged(broker, round + 1, (line) => tellsOf(hostile, line));
    }

    // What becomes of the commands, and what the log says.
    const told = await logged(broker, 1, (line) => tellsOf(hostile, line));
    expect(told.handler ?? told.plugin ?? name).toBe(name);
    if (fate === 'dead') {
      await logged(broker, ROUNDS, (line) => line.handler === name && line.buried === true);
      expect(told).toMatchObject({ topic: HOSTILE_TOPIC, user: 'mallory', attempt: 1 });
    } else if (fate === 'done') {
      await logged(
        broker,
        ROUNDS,
        (line) => line.handler === name && line.message === 'handler ran',
      );
    }
    if (sends !== undefined) await mallory.has(ROUNDS * sends.count);

    // It serves to the end, and ends in good order.
    await ann.client.publishAsync('note', '{"number":0}', { qos: 1 });
    numbers.push(0);
    await ann.has(numbers.length);
    broker.signal('SIGTERM');
    expect(await broker.ended()).toBe(0);
    // Read now, for the log may tell of a letter before it is on disk.
    const list = await run(folder, ['dead', 'list', '--json']);
    expect([list.code, list.err]).toEqual([0, '']);
    const letters = list.out.split('\n').filter((line) => line !== '');
    const dead = { handler: name, attempts: 2, topic: HOSTILE_TOPIC, user: 'mallory' };
    expect(letters.map((line) => JSON.parse(line))).toMatchObject(
      new Array(fate === 'dead' ? ROUNDS : 0).fill(dead),
    );
    expect(ann.got.toSorted()).toEqual(
      numbers.map((number) => `ann_noted {"number":${number}}`).toSorted(),
    );
    const weight = sends && `mallory_${sends.name} 10000000 bytes`;
    expect(mallory.got).toEqual(new Array(ROUNDS * (sends?.count ?? 0)).fill(weight));
    using store = new Database(join(folder.path, 'data', 'store.sqlite'));
    const noted = store.query('select number from entry').values().flat().map(Number);
    expect(noted.toSorted((a, b) => a - b)).toEqual(numbers.toSorted((a, b) => a - b));
  },
);
