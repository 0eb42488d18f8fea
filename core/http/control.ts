/**
 * The control socket: what commands on this machine ask of a broker that runs, over HTTP on a Unix
 * socket in the data folder that only its owner can open. The routes know nothing of the socket, so
 * that another listener can mount them behind a check of its own.
 */
import { chmodSync, closeSync, existsSync, lstatSync, openSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { type Context, Hono } from 'hono';
import { bodyLimit } from 'hono/body-limit';

export const CONTROL_NAME = 'control.sock';
const LONGEST_BODY_BYTES = 1_048_576;

/** Which dead letters are meant. */
export type LetterSelection =
  | { readonly kind: 'numbers'; readonly numbers: readonly number[] }
  | { readonly kind: 'handler'; readonly handler: string }
  | { readonly kind: 'all' };

/** What can be done about dead letters. */
export type LetterAction = 'replay' | 'drop';

export type LetterAnswer =
  /** So many were replayed or dropped, and that is on disk. */
  | { readonly kind: 'done'; readonly count: number }
  /** Nothing has happened, or nothing further. */
  | { readonly kind: 'refused'; readonly detail: string }
  /** The disk fails. */
  | { readonly kind: 'failing'; readonly detail: string };

export interface LetterDesk {
  /** Replays or drops what is selected: all of it, or with a refusal nothing. */
  act(action: LetterAction, selection: LetterSelection): Promise<LetterAnswer>;
}

export interface ControlOptions {
  readonly letters: LetterDesk;
  /** Takes what a route threw. */
  readonly report: (error: Error) => void;
}

export function createControl({ letters, report }: ControlOptions): Hono {
  const app = new Hono();
  app.use(bodyLimit({ maxSize: LONGEST_BODY_BYTES, onError: (c) => problem(c, 413, 'too large') }));
  app.route('/dead', letterRoutes(letters));
  app.notFound((c) => problem(c, 404, 'not found'));
  app.onError((error, c) => {
    report(error);
    return problem(c, 500, 'internal error');
  });
  return app;
}

/** `POST /replay` and `POST /drop`, each with `{"numbers": [7]}`, `{"handler": "name"}` or `{"all": true}`. */
export function letterRoutes(desk: LetterDesk): Hono {
  const app = new Hono();
  for (const action of ['replay', 'drop'] as const) {
    app.post(`/${action}`, async (c) => {
      const selection = readSelection(await c.req.json().catch(() => undefined));
      if (selection === undefined) {
        return problem(c, 400, 'this wants one of numbers, handler and all');
      }
      const answer = await desk.act(action, selection);
      switch (answer.kind) {
        case 'done':
          return c.json({ count: answer.count });
        case 'refused':
          return problem(c, 409, answer.detail);
        case 'failing':
          return problem(c, 503, answer.detail);
        default:
          return answer satisfies never;
      }
    });
  }
  return app;
}

function readSelection(body: unknown): LetterSelection | undefined {
  if (typeof body !== 'object' || body === null || Object.keys(body).length !== 1) return undefined;
  const { numbers, handler, all } = body as { [name: string]: unknown };
  if (all === true) return { kind: 'all' };
  if (typeof handler === 'string') return { kind: 'handler', handler };
  if (!Array.isArray(numbers) || numbers.length === 0) return undefined;
  const valid = numbers.every((each) => Number.isSafeInteger(each) && each > 0);
  return valid ? { kind: 'numbers', numbers } : undefined;
}

function problem(c: Context, status: 400 | 404 | 409 | 413 | 500 | 503, error: string): Response {
  return c.json({ error }, status);
}

/** The longest path of a socket that every system takes: 103 bytes on macOS, 107 on Linux. */
const LONGEST_PATH_BYTES = 103;

interface SocketPath {
  readonly path: string;
  /** Lets go of what the path leads through. */
  release(): void;
}

/** A path to the socket in `folder` that is short enough for one: where its own is not, it leads through a handle. */
function socketPath(folder: string): SocketPath {
  const path = join(folder, CONTROL_NAME);
  if (Buffer.byteLength(path) <= LONGEST_PATH_BYTES || !existsSync('/proc/self/fd')) {
    return { path, release() {} };
  }
  const handle = openSync(folder, 'r');
  return {
    path: `/proc/self/fd/${handle}/${CONTROL_NAME}`,
    release: () => closeSync(handle),
  };
}

export interface ControlListener {
  /** Accepts no more, and lets go of the socket. */
  stop(): void;
}

/**
 * Opens the control socket in `folder`, which this process has the lock of: a socket that is there
 * already was left behind by one that is gone. Throws where it cannot be had.
 */
export function listenForControl(folder: string, app: Hono): ControlListener {
  const path = join(folder, CONTROL_NAME);
  const left = lstatSync(path, { throwIfNoEntry: false });
  if (left !== undefined) {
    if (!left.isSocket()) throw new Error('there is something in its place that is no socket');
    rmSync(path);
  }
  const socket = socketPath(folder);
  try {
    const server = Bun.serve({
      unix: socket.path,
      development: false,
      maxRequestBodySize: LONGEST_BODY_BYTES,
      // An answer waits for the disk. The types do not know it for a Unix socket, where it works all the same.
      ...({ idleTimeout: 0 } as object),
      fetch: (request) => app.fetch(request),
    });
    chmodSync(path, 0o600);
    return {
      stop() {
        void server.stop(false);
        rmSync(path, { force: true });
        socket.release();
      },
    };
  } catch (error) {
    socket.release();
    throw error;
  }
}

/** What a broker answered, or that none listens. */
export type ControlAnswer =
  | { readonly kind: 'answered'; readonly status: number; readonly body: unknown }
  | { readonly kind: 'nobody' };

/** Asks the broker that runs on `folder`. Rejects where there is a socket that cannot be used. */
export async function askControl(
  folder: string,
  path: string,
  body: unknown,
): Promise<ControlAnswer> {
  let socket: SocketPath | undefined;
  try {
    socket = socketPath(folder);
    const response = await fetch(`http://localhost${path}`, {
      unix: socket.path,
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify(body),
    });
    return { kind: 'answered', status: response.status, body: await response.json() };
  } catch (error) {
    const { code } = error as { code?: string };
    if (code === 'ENOENT' || code === 'ECONNREFUSED') return { kind: 'nobody' };
    throw error;
  } finally {
    socket?.release();
  }
}
