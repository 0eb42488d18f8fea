/** Where a remote handler process has its token from, and when it needs the next one. */
import { readFile } from 'node:fs/promises';

/** Gives the token as it is now. Rejects with an `Error` that says why it cannot. */
export type TokenSource = () => Promise<string>;

/** How long before its end a token is replaced: a fifth of its life, but no more than this. */
const LONGEST_LEAD_MS = 10 * 60_000;
const COMMAND_TIMEOUT_MS = 30_000;
const MOST_BYTES = 64 * 1024;

export function tokenFromFile(path: string): TokenSource {
  return async () => {
    const text = await readFile(path, 'utf8').catch((error: Error) => {
      throw new Error(`${path} cannot be read: ${error.message}`);
    });
    if (text.trim() === '') throw new Error(`${path} is empty`);
    return text.trim();
  };
}

/** Runs `command` in a shell; the token is what it prints. */
export function tokenFromCommand(command: string): TokenSource {
  return async () => {
    const child = Bun.spawn(['/bin/sh', '-c', command], {
      stdin: 'ignore',
      stdout: 'pipe',
      stderr: 'inherit',
      timeout: COMMAND_TIMEOUT_MS,
    });
    const [text, code] = await Promise.all([child.stdout.text(), child.exited]);
    if (child.signalCode !== null)
      throw new Error(`the token command was ended by ${child.signalCode}`);
    if (code !== 0) throw new Error(`the token command ended with ${code}`);
    const token = text.trim();
    if (token === '' || token.length > MOST_BYTES)
      throw new Error('the token command gave no token');
    return token;
  };
}

/**
 * When `token` expires, in milliseconds since the epoch; undefined where it does not say, or is none.
 * Read and not checked: that is for the broker.
 */
export function expiryOf(token: string): number | undefined {
  try {
    const claims: unknown = JSON.parse(
      Buffer.from(token.split('.')[1] ?? '', 'base64url').toString(),
    );
    if (typeof claims !== 'object' || claims === null || !('exp' in claims)) return undefined;
    return typeof claims.exp === 'number' ? claims.exp * 1_000 : undefined;
  } catch {
    return undefined;
  }
}

/** When a token that is taken at `now` and expires then is to be replaced. */
export function renewalTime(now: number, expiresAtMs: number | undefined): number {
  if (expiresAtMs === undefined) return Number.POSITIVE_INFINITY;
  return expiresAtMs - Math.min(LONGEST_LEAD_MS, (expiresAtMs - now) / 5);
}
