/**
 * Commands on their way to the plugins of this process: kept before they are acknowledged, until all
 * their handlers are done with them. What a handler gives up becomes a dead letter, which keeps the
 * message; it is not held here, and is read from disk by whoever asks.
 */
import type { Message } from '../mqtt/packet.ts';
import type { CommandState, DeadLetter, LetterNumber, MessageNumber } from './changes.ts';
import type { Position } from './ledger.ts';
import { Publication } from './publication.ts';
import type { State } from './state.ts';

/** So much of an error is kept in a letter, in UTF-16 code units: a handler may throw anything. */
const LONGEST_DETAIL = 4 * 1024;
const LONGEST_STACK = 16 * 1024;

/**
 * A command that is kept, and not on disk yet. A run of it would commit what it did with the mark of a
 * command that nobody knows of after a crash, and the publisher sends it again.
 */
export interface UnstoredCommand {
  readonly position: Position;
  readonly publication: Publication;
  readonly number: MessageNumber;
  readonly only: string | undefined;
}

/**
 * Hands `publication` to the plugins; one of QoS 1 or 2 once it is on disk, where it waits until they are
 * done with it. One of QoS 0 goes at once and may overtake those: order is that of one topic and QoS. [MQTT-4.6.0-5]
 * While nothing can be stored, hooks and Wills go at once too: nobody is there who could send them again,
 * and they would pile up in memory. They overtake those that wait for the disk, and are lost with the process.
 */
export function handle(state: State, publication: Publication): void {
  state.counters.commandsHandled++;
  const unkept = publication.qos === 0 || state.ledger.failure !== undefined;
  const number = unkept ? 0 : keep(state, publication, undefined);
  handOver(state, publication.keep(), number, undefined);
}

function handOver(
  state: State,
  publication: Publication,
  number: MessageNumber,
  only: string | undefined,
): void {
  if (number === 0) return state.outbox.handle(publication, 0, stateOf(only));
  state.unstored.push({ position: state.ledger.kept, publication, number, only });
}

/** More is on disk: commands that waited for it go to the plugins. */
export function releaseCommands(state: State): void {
  const { unstored, ledger, outbox } = state;
  let released = 0;
  for (const { position, publication, number, only } of unstored) {
    if (position > ledger.stored) break;
    outbox.handle(publication, number, stateOf(only));
    released++;
  }
  unstored.splice(0, released);
}

/**
 * Those that `wanted` says among the commands that wait for the disk go to the plugins now, in their order,
 * and are kept no longer.
 */
export function releaseUnkept(state: State, wanted: (command: Message) => boolean): void {
  const { unstored, outbox } = state;
  for (const command of unstored.splice(0)) {
    const { publication, number, only } = command;
    if (wanted(publication)) {
      outbox.handle(publication, 0, stateOf(only));
      finish(state, number, undefined);
    } else unstored.push(command);
  }
}

function stateOf(only: string | undefined): CommandState | undefined {
  return only === undefined ? undefined : { only, parts: [] };
}

/** A command from within: kept whatever its QoS. Returns its number, 0 where there is no storage. */
export function enqueue(state: State, command: Message, only: string | undefined): MessageNumber {
  state.counters.commandsHandled++;
  const publication = Publication.adopt(command, command.reach);
  const number = keep(state, publication, only);
  handOver(state, publication, number, only);
  return number;
}

function keep(state: State, publication: Publication, only: string | undefined): MessageNumber {
  const { ledger } = state;
  if (!ledger.enabled) return 0;
  publication.lasting = true;
  const message = ledger.numberOf(publication);
  ledger.keep({ kind: 'command', message, only });
  return message;
}

/** `handler`, or with undefined everybody, is done with the command. */
export function finish(
  state: State,
  message: MessageNumber,
  handler: string | undefined,
): Position {
  const { ledger } = state;
  if (message === 0 || !ledger.enabled) return 0;
  if (handler === undefined) ledger.keep({ kind: 'command-done', message });
  else ledger.keep({ kind: 'command-part-done', message, handler });
  return ledger.kept;
}

export function retried(
  state: State,
  message: MessageNumber,
  handler: string,
  attempts: number,
): void {
  if (message !== 0) state.ledger.keep({ kind: 'command-tried', message, handler, attempts });
}

/**
 * Keeps `letter`. Without storage there is nowhere to keep it; and while nothing can be stored, what
 * was not stored before would pile up in memory.
 */
export function bury(state: State, letter: DeadLetter): void {
  const { ledger, counters } = state;
  const stored = letter.message !== 0;
  counters.deadLetters++;
  if (!ledger.enabled || (!stored && ledger.failure !== undefined)) {
    counters.deadLettersLost++;
    return;
  }
  const { content } = letter;
  const message = stored
    ? letter.message
    : ledger.numberOf(Publication.adopt(content, content.reach));
  const detail = letter.detail.slice(0, LONGEST_DETAIL);
  const stack = letter.stack?.slice(0, LONGEST_STACK);
  const number = ledger.nextMessage();
  ledger.keep({ kind: 'dead', number, letter: { ...letter, message, detail, stack } });
}

export function drop(state: State, letter: LetterNumber): Position {
  state.ledger.keep({ kind: 'dead-dropped', number: letter });
  return state.ledger.enabled ? state.ledger.kept : 0;
}
