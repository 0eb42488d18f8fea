/**
 * What the allocator of the runtime is told. mimalloc, as Bun 1.4.5 has it, reads its options from the
 * environment before any of our code runs: so a process that is to last begins anew, under the same
 * process id, where nobody has told it yet.
 *
 * Up to ten times a second, when the loop has nothing to do for a moment, it gives back to the system
 * what is free within pages in use. A broker takes the same memory again with the next batch: giving and
 * taking was up to a third of all processor time of small messages. Every ten seconds is soon enough.
 * See docs/decisions/0034-memory-is-given-back-every-ten-seconds.md.
 */
import { isUtf8 } from 'node:buffer';
import { readFileSync } from 'node:fs';

const OPTION = 'MIMALLOC_PURGE_HOLES_MIN_INTERVAL';
const INTERVAL_MS = 10_000;

/** What is added to the environment. */
export const toldVariables = { [OPTION]: String(INTERVAL_MS) } as const;

/**
 * Begins this process anew where its allocator was not told yet, and does not return then. Where the
 * system does not let it, as only Linux is known to, all goes on as it is: it is a matter of speed alone.
 * And where the runtime was given options: its profiler sends signals to this process, and one on its way
 * would end the next.
 */
export function tellAllocator(): void {
  if (process.execArgv.length > 0) return;
  try {
    const environment = toldEnvironment(readFileSync('/proc/self/environ'));
    if (environment === undefined) return;
    // In a compiled executable the first two say how it was called, and are made up anew.
    const args = process.argv.slice(Bun.isStandaloneExecutable ? 2 : 1);
    process.execve?.(process.execPath, [process.execPath, ...args], environment);
  } catch {
    // No such file, or the system refuses.
  }
}

/**
 * `written`, the environment that a process began with as Linux shows it, with the option; undefined where it
 * is there, and where something is not UTF-8 and would be another afterwards. What `.env` files add is
 * not among it, so that it is still known where each setting came from.
 */
export function toldEnvironment(
  written: Uint8Array,
): { readonly [name: string]: string } | undefined {
  if (!isUtf8(written)) return undefined;
  const environment: { [name: string]: string } = {};
  for (const entry of new TextDecoder().decode(written).split('\0')) {
    const equals = entry.indexOf('=');
    if (equals > 0) environment[entry.slice(0, equals)] ??= entry.slice(equals + 1);
  }
  if (environment[OPTION] !== undefined) return undefined;
  return { ...environment, ...toldVariables };
}
