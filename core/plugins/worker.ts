/**
 * Inside a worker: loads the plugins, then runs what it is given until it is to end.
 */
import { DeclaredCommands } from '../auth/commands.ts';
import { type Equipping, equip, tearDown } from './equipment.ts';
import type { Load, LoadedHandler, LogLine, ToWorker } from './exchange.ts';
import { describeThrown, type Fault, fault, shownPath } from './fault.ts';
import type { PluginFile } from './loader.ts';
import { importHandlers, LoadProblem, provideSdk } from './module.ts';
import { post } from './outcomes.ts';
import type { Source, Surroundings } from './run.ts';
import { Runner } from './runner.ts';
import { Redactor } from './secrets.ts';
import { Speaker, takeConsole } from './speaker.ts';
import { Standing } from './standing.ts';
import { HandlerStore, openDatabase } from './store.ts';
import { WriteLock } from './write-lock.ts';

/** How long it waits for others than workers that write to the store: a backup, a migration. */
const BUSY_TIMEOUT_MS = 5_000;

const redactor = new Redactor();
const voice = { redactor, post: (line: LogLine) => post(line) };

const nobody = new Speaker(voice, { handler: '', invocation: '', trace: '' });
/** Who speaks outside of runs. */
const aside = { speaker: nobody };

class HandlerWorker {
  readonly #surroundings: Surroundings;
  readonly #equipping: Equipping;
  /** The commands of the plugins here. */
  readonly #declared = new DeclaredCommands();
  readonly #sources: Source[] = [];
  readonly #runner: Runner;

  constructor({ storePath, separator, timeoutMs, progress, writeLock, worker }: Load) {
    const standing = new Standing(progress);
    const lock = new WriteLock(writeLock, worker, (waiting) => standing.waits(waiting));
    this.#surroundings = {
      roots,
      separator,
      rules: { separator, declares: (topic) => this.#declared.declares(topic) },
      store: new HandlerStore(() => openDatabase(storePath, BUSY_TIMEOUT_MS), lock),
      voice,
      redactor,
    };
    this.#equipping = { roots, voice, redactor, timeoutMs, environment: process.env };
    this.#runner = new Runner(this.#sources, standing, this.#surroundings);
  }

  get runner(): Runner {
    return this.#runner;
  }

  async load(files: readonly PluginFile[]): Promise<void> {
    const handlers: LoadedHandler[] = [];
    const faults: [PluginFile, Fault][] = [];
    /** Which file handles a topic already. */
    const handled = new Map<string, string>();
    for (const [index, file] of files.entries()) {
      post({ kind: 'loading', index });
      try {
        const sources = await this.#loadFile(file, handled);
        for (const [position, source] of sources.entries()) {
          const { name, handler } = source;
          this.#sources.push(source);
          const { rules, secrets } = handler;
          handlers.push({ name, file, position, rules, secrets });
        }
      } catch (error) {
        const described =
          error instanceof LoadProblem ? error.fault : describeThrown('load', error, roots);
        faults.push([file, redactor.fault(described)]);
      }
    }
    aside.speaker = nobody;
    post({ kind: 'loaded', handlers, faults });
  }

  /** Ends in good order. */
  async retire(): Promise<void> {
    await this.#runner.finish();
    this.#surroundings.store.forgetNow();
    await tearDown(this.#sources, this.#equipping);
    post({ kind: 'retired' });
  }

  async #loadFile(file: PluginFile, handled: Map<string, string>): Promise<readonly Source[]> {
    const shown = shownPath(file.path, file.root);
    // What a module says while it is evaluated is in nobody's context.
    aside.speaker = new Speaker(voice, { handler: file.plugin, invocation: '', trace: '' });
    const found = await importHandlers(file, roots);
    const topics = found.flatMap(({ rules: { trigger } }) =>
      trigger.kind === 'command' ? trigger.topics : [],
    );
    const twice = topics.find((topic, at) => handled.has(topic) || topics.indexOf(topic) !== at);
    if (twice !== undefined) {
      const detail = `the topic ${twice} is handled by ${handled.get(twice) ?? shown} already`;
      throw new LoadProblem(fault('load', detail, shown));
    }
    const sources = await equip(file, shown, found, this.#equipping);
    for (const topic of topics) {
      handled.set(topic, shown);
      this.#declared.add(topic);
    }
    return sources;
  }
}

let worker: HandlerWorker | undefined;
let roots: readonly string[] = [];

/** So many are told in a second: a timer that is left behind can throw thousands of times, for ever. */
const MOST_STRAYS = 100;
let strays = 0;
let straysSinceMs = Number.NEGATIVE_INFINITY;

function stray(thrown: unknown): void {
  const now = performance.now();
  if (now - straysSinceMs >= 1_000) {
    straysSinceMs = now;
    strays = 0;
  }
  if (strays > MOST_STRAYS) return;
  const why =
    strays++ === MOST_STRAYS
      ? fault('stray', 'further errors within this second are left out')
      : describeThrown('stray', thrown, roots);
  post({ kind: 'stray', fault: redactor.fault(why) });
}

process.on('uncaughtException', stray);
process.on('unhandledRejection', stray);

addEventListener('message', ({ data }: MessageEvent<ToWorker>) => {
  switch (data.kind) {
    case 'commands':
      return worker?.runner.take(data);
    case 'retire':
      return void worker?.retire();
    case 'load':
      roots = [...new Set([...data.files.map(({ root }) => root), data.source])].filter(Boolean);
      provideSdk();
      takeConsole(aside);
      worker = new HandlerWorker(data);
      return void worker.load(data.files);
    default:
      data satisfies never;
  }
});
