/**
 * The storage thread: it alone writes the broker's file. Work is done strictly in the order in which
 * it came; what fails stays at the head of the line, is rolled back, and is tried again until it
 * succeeds, so nothing is ever passed over or reported too early.
 */
import { type Batch, BrokerFile, type Durability, type FetchRequest } from './broker-file.ts';
import type { CommandRequest } from './commands.ts';
import type { LetterBounds, LetterTally } from './letter-box.ts';
import { describeProblem, type StorageStatus } from './problem.ts';

/** What the event loop asks for. */
export type Request =
  | {
      readonly kind: 'open';
      readonly path: string;
      readonly durability: Durability;
      readonly letters: LetterBounds;
    }
  | ({ readonly kind: 'batch' } & Batch)
  | ({ readonly kind: 'fetch' } & FetchRequest)
  | ({ readonly kind: 'commands' } & CommandRequest)
  | { readonly kind: 'close' };

/** What it is told. */
export type Report =
  | { readonly kind: 'opened'; readonly letters: LetterTally }
  | {
      readonly kind: 'committed';
      readonly number: number;
      readonly seconds: number;
      readonly faults: readonly string[];
      /** Dead letters that went because they were too many, and those that there are. */
      readonly lettersDropped: number;
      readonly letters: LetterTally;
      /** The room that the batch came in, to be filled again. */
      readonly room: ArrayBuffer;
    }
  | {
      readonly kind: 'fetched';
      readonly session: number;
      readonly deliveries: Uint8Array;
      readonly more: boolean;
    }
  | { readonly kind: 'commands'; readonly commands: Uint8Array; readonly more: boolean }
  | { readonly kind: 'status'; readonly status: StorageStatus }
  /** Undefined where all is in the file, else why it is not. */
  | { readonly kind: 'closed'; readonly problem: string | undefined };

declare const self: Worker;

const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 2_000;
/** How long a close waits for what fails before it. */
const CLOSE_PATIENCE_MS = 2_000;
/** Rows of ended sessions that go at once, so that a batch never waits long for them. */
const SWEEP_ROWS = 500;

let file: BrokerFile | undefined;
let settings: Extract<Request, { kind: 'open' }> | undefined;
const line: Request[] = [];
/** 0 while all goes well. */
let pauseMs = 0;
let retry: ReturnType<typeof setTimeout> | undefined;
/** The code of the trouble that was reported. */
let told: string | undefined;
let closeBy = Number.POSITIVE_INFINITY;
let sweeping = false;

self.onmessage = ({ data }: MessageEvent<Request>) => {
  line.push(data);
  if (data.kind === 'close') closeBy = performance.now() + CLOSE_PATIENCE_MS;
  // Behind something that failed the line waits for its next attempt.
  if (retry === undefined) work();
};

function report(message: Report, transfer: ArrayBuffer[] = []): void {
  self.postMessage(message, transfer);
}

/** Reports that something was done, and first that it can be, where that was in doubt. */
function answer(message: Report, transfer: ArrayBuffer[] = []): void {
  pauseMs = 0;
  if (told !== undefined) report({ kind: 'status', status: { ok: true } });
  told = undefined;
  report(message, transfer);
}

/** Does what stands in the line, up to the end or the first failure. */
function work(): void {
  retry = undefined;
  for (let request = line[0]; request !== undefined; request = line[0]) {
    try {
      carryOut(request);
    } catch (error) {
      return fail(error);
    }
    line.shift();
  }
}

function carryOut(request: Request): void {
  if (request.kind === 'open') settings = request;
  const open = openFile();
  switch (request.kind) {
    case 'open':
      answer({ kind: 'opened', letters: open.letters });
      startSweeping();
      return;
    case 'batch': {
      const startedAt = performance.now();
      const applied = open.apply(request);
      const seconds = (performance.now() - startedAt) / 1_000;
      const room = request.operations.buffer as ArrayBuffer;
      const { number } = request;
      const { letters } = open;
      answer({ kind: 'committed', number, seconds, ...applied, letters, room }, [room]);
      // Behind the report, so that nobody waits for it but the next batch, which is being gathered.
      open.checkpoint();
      startSweeping();
      return;
    }
    case 'fetch': {
      const { deliveries, more } = open.fetch(request);
      const room = deliveries.release();
      const bytes = new Uint8Array(room, 0, deliveries.length);
      answer({ kind: 'fetched', session: request.session, deliveries: bytes, more }, [room]);
      return;
    }
    case 'commands': {
      const { commands, more } = open.fetchCommands(request);
      const room = commands.release();
      const bytes = new Uint8Array(room, 0, commands.length);
      answer({ kind: 'commands', commands: bytes, more }, [room]);
      return;
    }
    case 'close':
      open.close();
      file = undefined;
      answer({ kind: 'closed', problem: undefined });
      return;
    default:
      request satisfies never;
  }
}

function openFile(): BrokerFile {
  if (file === undefined) {
    if (settings === undefined) throw new Error('the storage thread was not told its file');
    file = new BrokerFile(settings.path, settings.durability, settings.letters);
  }
  return file;
}

function fail(error: unknown): void {
  const { reason, code } = describeProblem(error);
  if (performance.now() > closeBy) {
    line.length = 0;
    return report({ kind: 'closed', problem: reason });
  }
  if (told !== code) report({ kind: 'status', status: { ok: false, reason, code } });
  told = code;
  prepareRetry(code);
  pauseMs = pauseMs === 0 ? FIRST_PAUSE_MS : Math.min(2 * pauseMs, LONGEST_PAUSE_MS);
  const untilClose = Math.max(closeBy - performance.now(), 0) + 1;
  retry = setTimeout(work, Math.min(pauseMs, untilClose));
}

/** What may help before the next attempt. */
function prepareRetry(code: string): void {
  if (code === 'SQLITE_FULL') {
    file?.emptyLog(); // which may be all the room that it takes
  } else if (code !== 'FILE_REMOVED' && !code.startsWith('SQLITE_BUSY')) {
    // A handle that met a failing disk may not find back. One whose file was removed is all there is of it.
    reopen();
  }
}

function reopen(): void {
  try {
    file?.close();
  } catch {
    // It is of no more use either way.
  }
  file = undefined;
}

/** Between two requests, and again as long as there is something: what ended sessions left behind. */
function startSweeping(): void {
  if (sweeping) return;
  sweeping = true;
  setTimeout(sweep, 0);
}

function sweep(): void {
  sweeping = false;
  try {
    if (file?.sweep(SWEEP_ROWS)) startSweeping();
  } catch {
    // The next batch meets the same trouble and tells of it; sweeping goes on behind it.
  }
}
