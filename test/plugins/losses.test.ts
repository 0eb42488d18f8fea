/** What a worker held when it ended: which of its runs failed, which are for others, and which had been done. */
import { Database } from 'bun:sqlite';
import { afterAll, describe, expect, test } from 'bun:test';
import { join } from 'node:path';
import type { TopicName } from '../../core/mqtt/topic.ts';
import { CommandQueue } from '../../core/plugins/command-queue.ts';
import { Conclusions } from '../../core/plugins/conclusion.ts';
import { newPluginCounters, type PluginEvent } from '../../core/plugins/events.ts';
import { Route } from '../../core/plugins/exchange.ts';
import { fault } from '../../core/plugins/fault.ts';
import { Losses } from '../../core/plugins/losses.ts';
import { PROCESSED_TABLE, packSends } from '../../core/plugins/mark.ts';
import { Marks } from '../../core/plugins/marks.ts';
import type { PoolHost } from '../../core/plugins/pool-host.ts';
import type { PoolWorker } from '../../core/plugins/pool-worker.ts';
import { Retries } from '../../core/plugins/retries.ts';
import { Redactor } from '../../core/plugins/secrets.ts';
import type { Waiting } from '../../core/plugins/waiting.ts';
import { command, folderOf, removeFolders, TestClock } from './folder.ts';
import { entryOf, handlerState } from './waiting.ts';

afterAll(removeFolders);

const crashed = fault('worker-lost', 'exit code 3');
const position = 5;

/** A queue whose entries a worker has taken, with what is told of them. */
class Scene {
  readonly storePath = join(folderOf({}), 'store.sqlite');
  readonly told: string[] = [];
  readonly marks = new Marks();
  readonly handler = handlerState('h');
  readonly queue = new CommandQueue(100, 1_000_000);
  readonly taker = { retired: false, lost: false, has: () => true };
  readonly #losses: Losses;

  constructor() {
    this.handler.pace.durationMs = 0.1;
    const host: Partial<PoolHost> = {
      now: () => 0,
      declares: () => false,
      storageFails: () => false,
      sent: ({ topic }) => void this.told.push(`sent ${topic}`),
      handled: (number) => {
        this.told.push(`handled ${number}`);
        return position;
      },
      tried: (number, _handler, attempts) => void this.told.push(`tried ${number} ${attempts}`),
      report: (event: PluginEvent) => {
        if (event.kind === 'run-failed') this.told.push(event.fault.detail);
      },
    };
    const retries = new Retries<Waiting>(new TestClock(), () => {});
    const parts = [this.queue, retries, this.marks, newPluginCounters(), new Redactor()] as const;
    const conclusions = new Conclusions(host as PoolHost, ...parts);
    this.#losses = new Losses(this.storePath, this.queue, conclusions);
  }

  /** The stored command `number`, in the worker; of a user of its own, unless said otherwise. */
  given(number: number, user = `user${number}`): Waiting {
    this.queue.add(entryOf(user, this.handler, '', number));
    return this.queue.take(this.taker) as Waiting;
  }

  /** What a run of the command `number` that was committed leaves in the handlers' database. */
  mark(number: number): void {
    const sent = { ...command('ada_done'), topic: 'ada_done' as TopicName };
    const database = new Database(this.storePath);
    database.run(PROCESSED_TABLE);
    database.run('insert into bellhop_processed values (?, ?, ?)', [
      number,
      'h',
      packSends([{ route: Route.Send, message: sent }], 0),
    ]);
    database.close();
  }

  /** The worker ends, and held these. */
  lose(held: Partial<Parameters<Losses['take']>[1]>): void {
    this.taker.lost = true;
    const worker = this.taker as unknown as PoolWorker;
    this.#losses.take(
      worker,
      { running: undefined, begun: [], unheard: [], rest: [], ...held },
      crashed,
    );
  }

  /** The numbers of what somebody else is given now. */
  next(): number[] {
    const other = { retired: false, lost: false, has: () => true };
    const numbers: number[] = [];
    for (let entry = this.queue.take(other); entry; entry = this.queue.take(other)) {
      numbers.push(entry.receipt.number);
    }
    return numbers;
  }
}

describe('a run that was committed and not heard of', () => {
  test('is done: what it sent is in its mark, which goes once that is on disk', () => {
    const scene = new Scene();
    const entry = scene.given(7);
    scene.mark(7);
    scene.lose({ unheard: [entry] });
    expect(scene.told).toEqual(['sent ada_done', 'handled 7']);
    expect(scene.queue.size).toBe(0);
    scene.marks.stored(position - 1);
    expect(scene.marks.takeUseless()).toEqual([]);
    scene.marks.stored(position);
    expect(scene.marks.takeUseless()).toEqual([{ message: 7, handler: 'h' }]);
  });

  test('and left no mark of its own had written nothing: it is tried again', () => {
    const scene = new Scene();
    const entry = scene.given(7);
    scene.mark(8);
    scene.lose({ unheard: [entry] });
    expect(scene.told).toEqual(['tried 7 1', 'it was done, but what it sent is lost']);
    expect(scene.queue.size).toBe(1);
  });

  test('where the database cannot be read, is tried again, and its mark will tell', () => {
    const scene = new Scene();
    const entry = scene.given(7);
    // No database, but a file all the same.
    new Database(scene.storePath).run('create table bellhop_processed (other text)');
    scene.lose({ unheard: [entry] });
    expect(scene.told[0]).toBe('tried 7 1');
  });
});

describe('what had begun', () => {
  test('fails with its worker, and the one that had the thread is to blame', () => {
    const scene = new Scene();
    const [one, two] = [scene.given(1), scene.given(2)];
    scene.lose({ running: two, begun: [one, two] });
    expect(scene.told).toEqual([
      'tried 1 1',
      'another run ended its worker: exit code 3',
      'tried 2 1',
      'exit code 3',
    ]);
  });

  test('is to blame where it was alone, though it had left the thread', () => {
    const scene = new Scene();
    const entry = scene.given(1);
    scene.lose({ begun: [entry] });
    expect(scene.told).toEqual(['tried 1 1', 'exit code 3']);
  });
});

test('what had not begun is for others, in its order, and no attempt is counted', () => {
  const scene = new Scene();
  const [one, two] = [scene.given(1, 'ada'), scene.given(2, 'ada')];
  scene.lose({ rest: [two, one] });
  expect(scene.told).toEqual([]);
  expect(scene.next()).toEqual([1, 2]);
});
