/**
 * Stored commands between a broker's disk and a real pool, at random: batches that are under way while
 * commands come, are read, run and end; turns that hand over later what is on disk; reads that are answered
 * at any time; disks that fail; and crashes, that take what was not stored and all that the pool knew.
 *
 * What comes when is up to a seed; how far the workers have come by then is not, so a seed does not give
 * the same run each time. What must hold does not depend on it.
 */
import { Database } from 'bun:sqlite';
import { join } from 'node:path';
import type { CommandPart, StoredCommand } from '../../core/broker/changes.ts';
import type { Message } from '../../core/mqtt/packet.ts';
import type { Random } from '../sim/random.ts';
import {
  Bench,
  by,
  command,
  folderOf,
  handlerFile,
  type Note,
  plainHandlerFile,
} from './folder.ts';

const done = (handler: string) =>
  `store.run\`insert into done values (\${'${handler}'}, \${input})\`; send('x', '${handler}', input);`;
const first = 'context.invocation.attempt === 1';

/** `one` and `two` have a topic in common. */
const files = {
  'migrations/0001_done.sql': 'create table done (handler text, n integer) strict;',
  'one.ts': plainHandlerFile('both/+', done('one'), ''),
  'two.ts': plainHandlerFile('both/x', done('two'), ''),
  'plain.ts': plainHandlerFile('plain', "send('x', 'plain', input);", ''),
  'awaits.ts': handlerFile('awaits', `await new Promise(setImmediate); ${done('awaits')}`, ''),
  'fails.ts': plainHandlerFile('fails', `${done('fails')} if (${first}) throw new Error();`, ''),
  'ordered.ts': plainHandlerFile(
    'ordered',
    `${done('ordered')} if (${first} && input % 3 === 0) throw new Error();`,
    "order: 'user',",
  ),
  'dead.ts': plainHandlerFile(
    'dead',
    `${done('dead')} throw new Error();`,
    'retry: { attempts: 2 },',
  ),
  'exits.ts': plainHandlerFile('exits', `if (${first}) process.exit(); ${done('exits')}`, ''),
};

const handlersOf: { readonly [topic: string]: readonly string[] } = {
  'both/x': ['one', 'two'],
  'both/y': ['one'],
  plain: ['plain'],
  awaits: ['awaits'],
  fails: ['fails'],
  ordered: ['ordered'],
  exits: ['exits'],
};

const users = ['ada', 'eve', 'bob'];

interface Kept {
  readonly number: number;
  /** Its own for good: a number comes again where a crash took the command that had it. */
  readonly n: number;
  readonly content: Message;
  readonly parts: Map<string, CommandPart>;
}

/** What a batch has in it: commands that were kept, and what the pool told by then. */
interface Batch {
  readonly commands: readonly Kept[];
  readonly notes: readonly Note[];
  readonly position: number;
}

export class StoredCommands {
  /** How many commands end their worker: those that it had begun are tried again, and may lose their order. */
  exits = 0;
  crashes = 0;
  readonly queuedCommands: number;
  readonly #random: Random;
  readonly #folder = folderOf(files);
  readonly #storePath = join(folderOf({}), 'store.sqlite');
  #bench: Bench | undefined = undefined;
  readonly #wrong: string[] = [];
  // What is on disk, or was acknowledged when it came there.
  readonly #disk = new Map<number, Kept>();
  #lastStored = 0;
  readonly #acknowledged: Kept[] = [];
  readonly #sent: string[] = [];
  readonly #letters: number[] = [];
  // What a crash takes.
  #last = 0;
  #unstored: Kept[] = [];
  #batch: Batch | undefined = undefined;
  /** On disk, and not handed over yet. */
  #turn: Kept[] = [];
  /** How many notes of the pool went into batches. */
  #told = 0;
  /** How many there were when the disk began to fail. */
  #toldBefore = 0;
  #n = 0;

  constructor(random: Random) {
    this.#random = random;
    this.queuedCommands = random.between(1, 8);
  }

  /** Does `steps` steps, then lets everything come to an end, and tells what must hold and does not. */
  async run(steps: number): Promise<string[]> {
    await this.#start();
    for (let step = 0; step < steps; step++) {
      await this.#step();
      await new Promise(setImmediate);
    }
    await this.#finish();
    await this.#pool.pool.stop(0);
    return this.#problems();
  }

  get #pool(): Bench {
    if (this.#bench === undefined) throw new Error('it was not started');
    return this.#bench;
  }

  async #start(): Promise<void> {
    const { queuedCommands } = this;
    const options = {
      loadTimeoutMs: 60_000,
      folder: this.#folder,
      storePath: this.#storePath,
      queuedCommands,
      workers: 2,
    };
    this.#bench = new Bench({}, options, { disk: true, retriesAtOnce: false });
    this.#told = 0;
    await this.#bench.pool.start();
    this.#bench.pool.restore(this.#lastStored);
  }

  async #step(): Promise<void> {
    const kind = this.#random.weighted({
      publish: 12,
      begin: 6,
      commit: 6,
      handOver: 6,
      answer: 6,
      settle: 8,
      pass: 3,
      failing: 2,
      crash: this.crashes < 2 ? 0.5 : 0,
    });
    switch (kind) {
      case 'publish':
        return this.#publish();
      case 'begin':
        return this.#begin();
      case 'commit':
        return this.#commit();
      case 'handOver':
        return this.#handOver();
      case 'answer':
        return this.#answer();
      case 'settle':
        return this.#settle();
      case 'pass':
        return this.#pool.clock.pass(this.#random.pick([500, 5_000]));
      case 'failing':
        return this.#setFailing(!this.#pool.failing);
      case 'crash':
        return this.#crash();
      default:
        kind satisfies never;
    }
  }

  /** While nothing can be stored, nothing is taken. */
  #publish(): void {
    if (this.#pool.failing) return;
    const topic = this.#random.weighted({
      'both/x': 4,
      'both/y': 2,
      plain: 2,
      awaits: 2,
      fails: 2,
      ordered: 4,
      dead: 1,
      exits: this.exits < 2 ? 0.3 : 0,
    });
    if (topic === 'exits') this.exits++;
    const user = this.#random.pick(users);
    const n = ++this.#n;
    const content = command(topic, `${n}`, by(user));
    this.#unstored.push({ number: ++this.#last, n, content, parts: new Map() });
  }

  /** What was kept so far goes to the disk, unless something is on its way there. */
  #begin(): void {
    if (this.#batch !== undefined) return;
    const notes = this.#pool.notes.slice(this.#told);
    this.#told += notes.length;
    this.#batch = { commands: this.#unstored.splice(0), notes, position: this.#pool.position };
  }

  /** It is there. */
  #commit(): void {
    if (this.#batch === undefined || this.#pool.failing) return;
    const { position, commands } = this.#batch;
    this.#write(this.#batch);
    this.#batch = undefined;
    this.#turn.push(...commands);
    this.#pool.pool.stored(position);
  }

  #write({ commands, notes }: Batch): void {
    for (const kept of commands) {
      this.#disk.set(kept.number, kept);
      this.#acknowledged.push(kept);
      this.#lastStored = kept.number;
    }
    for (const note of notes) {
      if (note.kind === 'sent') this.#sent.push(note.text);
      else if (note.kind === 'buried') this.#letters.push(this.#disk.get(note.number)?.n ?? 0);
      else if (note.kind === 'tried') this.#part(note.number, note.handler, note.attempts, false);
      else if (note.handler !== undefined) this.#part(note.number, note.handler, 0, true);
      else if (!this.#disk.delete(note.number)) this.#wrong.push(`${note.number} ended twice`);
    }
  }

  #part(number: number, handler: string, attempts: number, done: boolean): void {
    this.#disk.get(number)?.parts.set(handler, { handler, attempts, done });
  }

  #handOver(): void {
    for (const { number, content } of this.#turn.splice(0)) {
      this.#pool.dispatch(content, number);
    }
  }

  /** A read is answered: the storage answers in the order of its requests, and has told what it stored. */
  #answer(): void {
    if (this.#pool.failing) return;
    const [after, most] = this.#pool.fetches.shift() ?? [];
    if (after === undefined || most === undefined) return;
    const behind = [...this.#disk.values()].filter(({ number }) => number > after);
    const limit = Math.min(most, this.#random.between(1, 6));
    const found: StoredCommand[] = behind.slice(0, limit).map(({ number, content, parts }) => ({
      message: number,
      content,
      state: { only: undefined, parts: [...parts.values()] },
    }));
    this.#pool.pool.fetched(found, behind.length > limit);
  }

  /** Some run is over, where one is under way. While the disk fails nothing tells so: it is given some time. */
  async #settle(): Promise<void> {
    const { notes, pool, failing } = this.#pool;
    const seen = notes.length;
    if (![...pool.handlers].some((handler) => handler.running > 0)) return;
    if (!failing) await this.#pool.until(() => notes.length > seen);
    else for (let turn = 0; turn < 500; turn++) await new Promise(setImmediate);
  }

  /** While it fails, nothing of stored commands may be told: it could not be kept. */
  #setFailing(failing: boolean): void {
    const bench = this.#pool;
    if (failing) this.#toldBefore = bench.notes.length;
    else if (bench.failing && bench.notes.length > this.#toldBefore) {
      this.#wrong.push('the pool told something while nothing could be stored');
    }
    bench.failing = failing;
    if (!failing) bench.pool.storageBack();
  }

  /** All is lost but what is on disk; the batch that is under way may just be. */
  async #crash(): Promise<void> {
    this.crashes++;
    if (this.#batch !== undefined && this.#random.chance(0.5)) this.#write(this.#batch);
    this.#batch = undefined;
    this.#unstored = [];
    this.#turn = [];
    this.#last = this.#lastStored;
    await this.#pool.pool.stop(0);
    await this.#start();
  }

  async #finish(): Promise<void> {
    this.#setFailing(false);
    while (this.#disk.size + this.#unstored.length > 0 || this.#batch !== undefined) {
      this.#begin();
      this.#commit();
      this.#handOver();
      this.#answer();
      this.#pool.clock.pass(1_000_000);
      const { notes, fetches } = this.#pool;
      const isNew = () => notes.length > this.#told || fetches.length > 0;
      if (this.#disk.size > 0) await this.#pool.until(isNew);
    }
  }

  #problems(): string[] {
    const rows = this.#rows();
    const wrong = [...this.#wrong];
    const expectCount = (what: string, count: number, wanted: number) => {
      if (count !== wanted) wrong.push(`${what}: ${count} times, not ${wanted}`);
    };
    for (const { n, content } of this.#acknowledged) {
      const { topic } = content;
      for (const handler of handlersOf[topic] ?? []) {
        const sent = this.#sent.filter((text) => text === `x_${handler} ${n}`).length;
        expectCount(`what ${handler} sent for ${n}`, sent, 1);
        const wrote = rows.filter((row) => row === `${handler} ${n}`).length;
        expectCount(`what ${handler} wrote for ${n}`, wrote, handler === 'plain' ? 0 : 1);
      }
      const letters = this.#letters.filter((each) => each === n).length;
      expectCount(`letters of ${n}`, letters, topic === 'dead' ? 1 : 0);
    }
    for (const user of users) wrong.push(...this.#outOfOrder(user));
    return wrong;
  }

  #outOfOrder(user: string): string[] {
    const of = this.#acknowledged.filter(({ content }) => content.publisher.user === user);
    // Whoever loses its worker is overtaken, unless its handler keeps the order.
    const handlers = this.exits === 0 ? ['one', 'two', 'ordered'] : ['ordered'];
    return handlers.flatMap((handler) => {
      const own = new Set(of.map(({ n }) => `x_${handler} ${n}`));
      const sent = this.#sent.filter((text) => own.has(text));
      const numbers = sent.map((text) => Number(text.split(' ')[1]));
      const sorted = numbers.toSorted((a, b) => a - b);
      return `${numbers}` === `${sorted}` ? [] : [`${user} has ${handler} as ${numbers}`];
    });
  }

  #rows(): string[] {
    const database = new Database(this.#storePath);
    try {
      database.run('pragma busy_timeout = 10000'); // workers that were stopped let go in their own time
      const all = database.query('select handler, n from done').values() as [string, number][];
      return all.map(([handler, n]) => `${handler} ${n}`);
    } finally {
      database.close();
    }
  }
}
