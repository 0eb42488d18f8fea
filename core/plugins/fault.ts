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
] as const;
export type FaultKind = (typeof faultKinds)[number];

/** Thrown by a handler, or as a cause of what it throws: the command is not tried again. */
export class NonRetryableError extends Error {
  override readonly name = 'NonRetryableError';
}

export interface Fault {
  readonly kind: FaultKind;
  readonly detail: string;
  /** The plugin's file, from the plugins folder on, and the line: `contacts/accept.ts:14`. */
  readonly at: string | undefined;
  readonly stack: string | undefined;
}

/** Something the runtime itself says of a run, where nothing was thrown. */
export function fault(kind: FaultKind, detail: string, at?: string): Fault {
  return { kind, detail, at, stack: undefined };
}

/** Describes what was thrown; `root` is the plugins folder, as a real path. */
export function describeThrown(kind: FaultKind, thrown: unknown, root: string): Fault {
  if (!(thrown instanceof Error)) {
    return fault(kind, `${Bun.inspect(thrown, { depth: 2 }).slice(0, 500)} was thrown`);
  }
  const detail = thrown.message === '' ? thrown.name : thrown.message;
  const stack = withoutRuntime(thrown.stack ?? '', root);
  return { kind, detail, at: positionOf(thrown, root) ?? placeIn(stack, root), stack };
}

/** A path as it is shown: from the plugins folder on where it lies in it. */
export function shownPath(path: string, root: string): string {
  return path.startsWith(`${root}/`) ? path.slice(root.length + 1) : path;
}

/** A syntax error has no stack, but a position. */
function positionOf(error: Error, root: string): string | undefined {
  const { position } = error as { position?: { file?: string; line?: number } | null };
  if (position?.file === undefined || position.file === '') return undefined;
  return `${shownPath(position.file, root)}:${position.line}`;
}

const frame = /^\s+at (?:.*\()?(\/[^\n]*?):(\d+)(?::\d+)?\)?$/;

/** The innermost frame in the plugin's own code, else in a package of it. */
function placeIn(stack: string, root: string): string | undefined {
  let inPackage: string | undefined;
  for (const line of stack.split('\n')) {
    const [, path, number] = frame.exec(line) ?? [];
    if (path === undefined || !path.startsWith(`${root}/`)) continue;
    const place = `${shownPath(path, root)}:${number}`;
    if (!path.includes('/node_modules/')) return place;
    inPackage ??= place;
  }
  return inPackage;
}

/** The stack up to where the runtime called the plugin. Whole where nothing of the plugin is in it. */
function withoutRuntime(stack: string, root: string): string {
  const lines = stack.split('\n');
  const last = lines.findLastIndex((line) => frame.exec(line)?.[1]?.startsWith(`${root}/`));
  return last === -1 ? stack : lines.slice(0, last + 1).join('\n');
}
