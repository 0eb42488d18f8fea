/**
 * What went wrong in a plugin, as plain data that a worker can hand over: what was thrown, and the
 * plugin's own file and line, which is what its author wants to know first.
 */

export const faultKinds = [
  'load', // a file did not load
  'input', // the payload could not be read, or did not fit the schema
  'failed', // the handler threw or rejected
  'timeout', // it took too long
  'worker-lost', // it ended its worker
  'store', // what it wrote could not be committed
  'stray', // something that a handler left behind threw when no run could be blamed
  'no-handler', // a stored command whose plugin is gone
] as const;
export type FaultKind = (typeof faultKinds)[number];

/** Thrown by a handler, or as a cause of what it throws: the command is not tried again. */
export class NonRetryableError extends Error {
  override readonly name = 'NonRetryableError';
}

/** Folders whose paths are shown from there on: the plugins folder and copies of it, as real paths. */
export type Roots = string | readonly string[];

export interface Fault {
  readonly kind: FaultKind;
  readonly detail: string;
  /** The plugin's file, from the plugins folder on, and the line: `contacts/accept.ts:14`. */
  readonly at: string | undefined;
  readonly stack: string | undefined;
  /** Whether trying again could help. */
  readonly retry: boolean;
}

/** Whether a fault of this kind may pass: what does not fit the schema will not fit it later. */
function mayPass(kind: FaultKind): boolean {
  return kind !== 'load' && kind !== 'input' && kind !== 'no-handler';
}

/** Something the runtime itself says of a run, where nothing was thrown. */
export function fault(kind: FaultKind, detail: string, at?: string): Fault {
  return { kind, detail, at, stack: undefined, retry: mayPass(kind) };
}

/** Also where it was thrown by another copy of the SDK. */
function forbidsRetry(thrown: unknown): boolean {
  let error = thrown;
  for (let depth = 0; error instanceof Error && depth < 10; depth++) {
    if (error.name === 'NonRetryableError') return true;
    error = error.cause;
  }
  return false;
}

/** Describes what was thrown. */
export function describeThrown(kind: FaultKind, thrown: unknown, roots: Roots): Fault {
  if (!(thrown instanceof Error)) {
    return fault(kind, `${Bun.inspect(thrown, { depth: 2 }).slice(0, 500)} was thrown`);
  }
  const detail = thrown.message === '' ? thrown.name : thrown.message;
  const stack = withoutRuntime(thrown.stack ?? '', roots);
  const at = positionOf(thrown, roots) ?? placeIn(stack, roots);
  const retry = mayPass(kind) && !forbidsRetry(thrown);
  return {
    kind,
    detail: withoutRoots(detail, roots),
    at,
    stack: withoutRoots(stack, roots),
    retry,
  };
}

/** A path as it is shown: from the plugins folder on where it lies in it. */
export function shownPath(path: string, roots: Roots): string {
  const root = rootOf(path, roots);
  return root === undefined ? path : path.slice(root.length + 1);
}

function rootOf(path: string, roots: Roots): string | undefined {
  return [roots].flat().find((root) => path.startsWith(`${root}/`));
}

/** Paths in a text as they are shown. */
function withoutRoots(text: string, roots: Roots): string {
  let shown = text;
  for (const root of [roots].flat()) if (root !== '') shown = shown.replaceAll(`${root}/`, '');
  return shown;
}

/** A syntax error has no stack, but a position. */
function positionOf(error: Error, roots: Roots): string | undefined {
  const { position } = error as { position?: { file?: string; line?: number } | null };
  if (position?.file === undefined || position.file === '') return undefined;
  return `${shownPath(position.file, roots)}:${position.line}`;
}

const frame = /^\s+at (?:.*\()?(\/[^\n]*?):(\d+)(?::\d+)?\)?$/;

/** The innermost frame in the plugin's own code, else in a package of it. */
function placeIn(stack: string, roots: Roots): string | undefined {
  let inPackage: string | undefined;
  for (const line of stack.split('\n')) {
    const [, path, number] = frame.exec(line) ?? [];
    if (path === undefined || rootOf(path, roots) === undefined) continue;
    const place = `${shownPath(path, roots)}:${number}`;
    if (!path.includes('/node_modules/')) return place;
    inPackage ??= place;
  }
  return inPackage;
}

/** The stack up to where the runtime called the plugin. Whole where nothing of the plugin is in it. */
function withoutRuntime(stack: string, roots: Roots): string {
  const lines = stack.split('\n');
  const last = lines.findLastIndex((line) => {
    const path = frame.exec(line)?.[1];
    return path !== undefined && rootOf(path, roots) !== undefined;
  });
  return last === -1 ? stack : lines.slice(0, last + 1).join('\n');
}
