/** Imports plugin files into a worker, with `bellhop` at hand for them. */
import { readFileSync } from 'node:fs';
import { type Handler, isHandler } from './definition.ts';
import { describeThrown, type Fault, fault, type Roots, shownPath } from './fault.ts';
import * as sdk from './handler.ts';
import type { PluginFile } from './loader.ts';
import { checkSchedule } from './schedule.ts';

/** Makes `import … from 'bellhop'` find the SDK of this very program, wherever the plugin lies. */
export function provideSdk(): void {
  Bun.plugin({
    name: 'bellhop',
    setup(build) {
      build.module('bellhop', () => ({ exports: { ...sdk }, loader: 'object' }));
    },
  });
}

/** The handlers in a file's default export: one, a list, or none where it has no default export. Rejects with a `LoadProblem`. */
export async function importHandlers(file: PluginFile, roots: Roots): Promise<readonly Handler[]> {
  let module: { readonly default?: unknown };
  try {
    module = await import(file.path);
  } catch (thrown) {
    // A file with several mistakes is told by the first.
    const error = thrown instanceof AggregateError ? (thrown.errors[0] ?? thrown) : thrown;
    throw new LoadProblem(located(describeThrown('load', error, roots), error, file, roots));
  }
  const exported = module.default;
  if (exported === undefined) return [];
  const handlers = Array.isArray(exported) ? exported : [exported];
  if (handlers.every(isHandler)) {
    for (const handler of handlers) checkTrigger(handler, file, roots);
    return handlers;
  }
  const detail = 'its default export must be what defineHandler returns, or a list of that';
  const at = placeOf(file.path, /export\s+default|module\.exports/, roots);
  throw new LoadProblem(fault('load', detail, at));
}

/** Throws a `LoadProblem` where its schedule is none. */
function checkTrigger({ rules }: Handler, file: PluginFile, roots: Roots): void {
  const { trigger } = rules;
  const detail = trigger.kind === 'schedule' ? checkSchedule(trigger) : undefined;
  if (detail !== undefined) {
    throw new LoadProblem(fault('load', detail, placeOf(file.path, /\bschedule\b/, roots)));
  }
}

export class LoadProblem extends Error {
  readonly fault: Fault;

  constructor(fault: Fault) {
    super(fault.detail);
    this.fault = fault;
  }
}

/** An import that leads nowhere has no line of its own: it is looked for. */
function located(fault: Fault, error: unknown, file: PluginFile, roots: Roots): Fault {
  if (fault.at !== undefined) return fault;
  const { specifier, referrer } = error as { specifier?: string; referrer?: string };
  const wanted = specifier ?? /^Export named '(.+?)'/.exec(fault.detail)?.[1];
  const pattern = new RegExp(`\\bimport\\b.*${RegExp.escape(wanted ?? '')}|\\brequire\\(`);
  return { ...fault, at: placeOf(referrer || file.path, pattern, roots), stack: undefined };
}

/** The file and the first line that `pattern` is found on; the file alone where it is not. */
function placeOf(path: string, pattern: RegExp, roots: Roots): string {
  const shown = shownPath(path, roots);
  try {
    const index = readFileSync(path, 'utf8')
      .split('\n')
      .findIndex((line) => pattern.test(line));
    return index === -1 ? shown : `${shown}:${index + 1}`;
  } catch {
    return shown;
  }
}
