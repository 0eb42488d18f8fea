/** The trace that a command belongs to, and how it is carried on (W3C Trace Context). */
import { randomBytes } from 'node:crypto';
import type { Message } from '../mqtt/packet.ts';

/** The user property that carries it. */
export const TRACE_PROPERTY = 'traceparent';

/** Version, trace id, parent id and flags. */
const traceParent = /^[\da-f]{2}-(?!0{32})[\da-f]{32}-(?!0{16})[\da-f]{16}-([\da-f]{2})/;

/** What a run of `command` gives what it sends, under the same trace id; undefined where the command carried none. */
export function childOf({ properties }: Message, trace: string): string | undefined {
  const given = properties?.userProperties?.find(([name]) => name === TRACE_PROPERTY)?.[1];
  const flags = given && traceParent.exec(given)?.[1];
  return flags ? `00-${trace}-${randomBytes(8).toString('hex')}-${flags}` : undefined;
}
