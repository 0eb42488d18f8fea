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

/** What tells the names of one pool from those of another. */
export interface Origin {
  readonly invocation: string;
  readonly trace: string;
}

/** The name of a command that is not stored, which is written out when somebody asks: most runs are over before. */
export class FleetingName implements Name {
  readonly origin: Origin;
  readonly sequence: number;

  /** `sequence` is never used twice with one `origin`. */
  constructor(origin: Origin, sequence: number) {
    this.origin = origin;
    this.sequence = sequence;
  }

  get invocation(): string {
    return `${this.origin.invocation}-${this.sequence.toString(36)}`;
  }

  get trace(): string {
    return this.origin.trace + this.sequence.toString(16).padStart(12, '0').slice(-12);
  }
}

export class Names {
  readonly #origin: Origin = {
    invocation: randomBytes(4).toString('hex'),
    trace: randomBytes(10).toString('hex'),
  };

  /** `sequence` is never used twice. */
  nameOf(message: Message, number: MessageNumber, handler: string, sequence: number): Name {
    const given = traceOf(message);
    if (number === 0) {
      const name = new FleetingName(this.#origin, sequence);
      return given === undefined ? name : { invocation: name.invocation, trace: given };
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
