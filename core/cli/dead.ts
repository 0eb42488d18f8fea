/**
 * `bellhop dead`: commands that a handler gave up, looked at, replayed and dropped. They are read from
 * the broker's file whether a broker runs or not; changes go through a broker that runs, or into the
 * file itself where none does.
 */
import { join } from 'node:path';
import {
  askControl,
  CONTROL_NAME,
  type LetterAction,
  type LetterSelection,
} from '../http/control.ts';
import { actOnFile } from '../ops/letter-desk.ts';
import { StartError } from '../ops/lifecycle.ts';
import { DeadLetters } from '../store/dead-letters.ts';
import { StorageRefused } from '../store/problem.ts';
import { type Arguments, type Command, UsageError } from './arguments.ts';
import { readConfiguration } from './configured.ts';
import { letterJson, letterTable, letterText, summaryJson } from './dead-text.ts';

const ACTIONS = ['list', 'show', 'replay', 'drop'] as const;
const INITIAL_LIMIT = 100;

export const dead: Command = {
  usage: 'list | show NUMBER | replay NUMBER… | drop NUMBER… [options]',
  about: `Commands that a handler gave up after its last attempt, kept in DATA_DIR with what went wrong.
list shows the newest first, show tells all of one. replay makes them commands again, for that handler
alone and with its attempts from the start; drop forgets them. Both take numbers, --handler or --all,
and work while the broker runs and while it does not.`,
  options: {
    handler: { value: 'name', text: 'those of one handler, such as contacts/accept-contact' },
    all: { value: undefined, text: 'all there are (replay and drop)' },
    limit: { value: 'number', text: `how many are listed, ${INITIAL_LIMIT} where not given` },
    json: { value: undefined, text: 'JSON: one object for each, on a line of its own' },
  },
  operands: ['action', 'number…'],
  async run(given) {
    process.umask(0o077); // where a file of the data folder is made or brought up to date
    const name = given.needOperand('action');
    const action = ACTIONS.find((each) => each === name);
    if (action === undefined) {
      throw new UsageError(`${JSON.stringify(name)} is none of ${ACTIONS.join(', ')}`);
    }
    refuseOthers(given, action);
    const { config } = readConfiguration(given);
    try {
      if (action === 'list') return list(given, config.dataDir);
      if (action === 'show') return show(given, config.dataDir);
      return await act(action, selectionOf(given), config.dataDir);
    } catch (error) {
      if (error instanceof StorageRefused) throw new StartError(error.message);
      throw error;
    }
  },
};

/** What an action has no use for is a mistake, and never passed over. */
function refuseOthers(given: Arguments, action: (typeof ACTIONS)[number]): void {
  const known: { readonly [action: string]: readonly string[] } = {
    list: ['handler', 'limit', 'json'],
    show: ['number…', 'json'],
    replay: ['number…', 'handler', 'all'],
    drop: ['number…', 'handler', 'all'],
  };
  for (const option of ['number…', 'handler', 'all', 'limit', 'json']) {
    if (!given.has(option) || known[action]?.includes(option)) continue;
    const shown = option === 'number…' ? JSON.stringify(given.get(option)) : `--${option}`;
    throw new UsageError(`dead ${action} takes no ${shown}`);
  }
}

function list(given: Arguments, folder: string): number {
  const handler = given.get('handler');
  const limit = given.count('limit') ?? INITIAL_LIMIT;
  const { letters, count } = DeadLetters.read(folder, (found) => {
    const counts = found.count();
    const all = [...counts.values()].reduce((sum, each) => sum + each, 0);
    return {
      letters: found.list(handler, limit),
      count: handler === undefined ? all : (counts.get(handler) ?? 0),
    };
  });
  if (given.has('json')) {
    process.stdout.write(letters.map((letter) => `${summaryJson(letter)}\n`).join(''));
    return 0;
  }
  if (count === 0) {
    const whose = handler === undefined ? '' : ` of ${JSON.stringify(handler)}`;
    process.stdout.write(`there are no dead letters${whose}\n`);
    return 0;
  }
  process.stdout.write(letterTable(letters));
  if (letters.length < count) {
    process.stdout.write(`the newest ${letters.length} of ${count}; --limit shows more\n`);
  }
  return 0;
}

function show(given: Arguments, folder: string): number {
  const [number, ...more] = numbersOf(given);
  if (number === undefined) throw new UsageError('NUMBER is missing');
  if (more.length > 0) throw new UsageError('dead show takes one NUMBER');
  const letter = DeadLetters.read(folder, (letters) => letters.get(number));
  if (letter === undefined) throw new StartError(`there is no dead letter ${number}`);
  process.stdout.write(given.has('json') ? `${letterJson(letter)}\n` : letterText(letter));
  return 0;
}

async function act(
  action: LetterAction,
  selection: LetterSelection,
  folder: string,
): Promise<number> {
  const count =
    (await actOnBroker(action, selection, folder)) ?? (await actAlone(action, selection, folder));
  const done = action === 'replay' ? 'replayed' : 'dropped';
  process.stdout.write(`${done} ${count} dead ${count === 1 ? 'letter' : 'letters'}\n`);
  return 0;
}

/** How many it were; undefined where no broker listens. */
async function actOnBroker(
  action: LetterAction,
  selection: LetterSelection,
  folder: string,
): Promise<number | undefined> {
  const answer = await askControl(folder, `/dead/${action}`, bodyOf(selection)).catch(
    (error: Error) => {
      throw new StartError(`${join(folder, CONTROL_NAME)}: ${error.message}`);
    },
  );
  if (answer.kind === 'nobody') return undefined;
  const { count, error } = answer.body as { readonly count?: number; readonly error?: string };
  if (count === undefined) throw new StartError(error ?? `the broker answered ${answer.status}`);
  return count;
}

async function actAlone(
  action: LetterAction,
  selection: LetterSelection,
  folder: string,
): Promise<number> {
  const answer = await actOnFile(folder, action, selection);
  if (answer.kind === 'done') return answer.count;
  throw new StartError(answer.detail);
}

function bodyOf(selection: LetterSelection): unknown {
  switch (selection.kind) {
    case 'numbers':
      return { numbers: selection.numbers };
    case 'handler':
      return { handler: selection.handler };
    case 'all':
      return { all: true };
    default:
      return selection satisfies never;
  }
}

function selectionOf(given: Arguments): LetterSelection {
  const numbers = numbersOf(given);
  const handler = given.get('handler');
  const ways = [numbers.length > 0, handler !== undefined, given.has('all')];
  if (ways.filter(Boolean).length !== 1) {
    throw new UsageError('this wants one of NUMBER…, --handler and --all');
  }
  if (handler !== undefined) return { kind: 'handler', handler };
  return numbers.length > 0 ? { kind: 'numbers', numbers } : { kind: 'all' };
}

function numbersOf(given: Arguments): number[] {
  return given.all('number…').map((text) => {
    if (/^[1-9]\d{0,14}$/.test(text)) return Number(text);
    throw new UsageError(`${JSON.stringify(text)} is no number of a dead letter`);
  });
}
