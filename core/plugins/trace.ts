/** The trace that a command belongs to, and how it is carried on (W3C Trace Context). */
import { randomBytes } from 'node:crypto';
import type { Message } from '../mqtt/packet.ts';

/** The user property that carries it. */
export const TRACE_PROPERTY = 'traceparent';

/** Version, trace id, parent id and flags; an id of zeroes is none. W3C Trace Context section 3.2 */
const traceParent = /^[\da-f]{2}-(?!0{32})([\da-f]{32})-(?!0{16})[\da-f]{16}-([\da-f]{2})/;

/** The trace id that a command carries, 32 hexadecimal digits; undefined where it carries none. */
export function traceOf(command: Message): string | undefined {
  return parentOf(command)?.[1];
}

/** What a run of `command` gives what it sends, under the same trace id; undefined where the command carried none. */
export function childOf(command: Message, name: { readonly trace: string }): string | undefined {
  const flags = parentOf(command)?.[2];
  return flags && `00-${name.trace}-${randomBytes(8).toString('hex')}-${flags}`;
}

function parentOf({ properties }: Message): RegExpExecArray | undefined {
  const given = properties?.userProperties?.find(([name]) => name === TRACE_PROPERTY)?.[1];
  return (given && traceParent.exec(given)) || undefined;
}
