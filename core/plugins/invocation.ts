/**
 * What a command is called at one handler, in logs, in the handler and for other services, to whom it tells a
 * repetition. It is the same for each attempt: for a stored command it follows from what is stored, so
 * that this holds after a restart as well.
 */
import { randomBytes } from 'node:crypto';
import type { MessageNumber } from '../broker/changes.ts';
import type { Message } from '../mqtt/packet.ts';
import { traceOf } from './trace.ts';

export interface Name {
  readonly invocation: string;
  /** 32 hexadecimal digits: a trace id of W3C Trace Context. */
  readonly trace: string;
}

export class Names {
  readonly #prefix = randomBytes(4).toString('hex');
  readonly #tracePrefix = randomBytes(10).toString('hex');

  /** `sequence` is never used twice in the life of a process. */
  nameOf(message: Message, number: MessageNumber, handler: string, sequence: number): Name {
    const given = traceOf(message);
    if (number === 0) {
      return {
        invocation: `${this.#prefix}-${sequence.toString(36)}`,
        trace: given ?? this.#tracePrefix + sequence.toString(16).padStart(12, '0').slice(-12),
      };
    }
    const { topic, payload, publisher } = message;
    // A number is used once in a data folder; the content tells data folders apart.
    const whole = Bun.hash.wyhash(
      `${handler}\0${topic}\0${publisher.user}\0${publisher.clientIdentifier}`,
      Bun.hash.wyhash(payload),
    );
    const invocation = `${number.toString(36)}-${whole.toString(36)}`;
    return { invocation, trace: given ?? hexOf(whole) + hexOf(Bun.hash.wyhash(invocation)) };
  }
}

function hexOf(value: bigint): string {
  return value.toString(16).padStart(16, '0');
}
