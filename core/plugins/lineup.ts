/**
 * Which copy each plugin is loaded from: that of the version that is brought in, or, where it does not
 * load from there, the one that it runs from already. A plugin is taken or kept as a whole.
 */
import { topicsOf } from './catalogue.ts';
import type { PluginEvent } from './events.ts';
import type { LoadedHandler } from './exchange.ts';
import { shownPath } from './fault.ts';
import type { PluginFile } from './loader.ts';
import { changedPaths, type Version } from './version.ts';

export class Lineup {
  readonly version: Version;
  /** What runs until now. */
  readonly #running: readonly PluginFile[];
  readonly #runningPlugins: ReadonlySet<string>;
  readonly #kept = new Set<string>();
  readonly #dropped = new Set<PluginFile>();

  constructor(version: Version, running: readonly PluginFile[]) {
    this.version = version;
    this.#running = running;
    this.#runningPlugins = new Set(running.map(({ plugin }) => plugin));
  }

  /**
   * What is to be loaded. Of two that handle the same topic the first one has it, so those that are kept
   * come first, then those that run already: whoever had a topic keeps it.
   */
  get files(): readonly PluginFile[] {
    const ofVersion = this.version.files.filter(
      (file) => !this.#kept.has(file.plugin) && !this.#dropped.has(file),
    );
    return [
      ...this.#running.filter(({ plugin }) => this.#kept.has(plugin)),
      ...ofVersion.filter(({ plugin }) => this.#runningPlugins.has(plugin)),
      ...ofVersion.filter(({ plugin }) => !this.#runningPlugins.has(plugin)),
    ];
  }

  /** Files that had handlers and have nothing in them now: somebody is writing them, or could not. */
  emptied(handlers: readonly LoadedHandler[]): readonly PluginFile[] {
    const had = new Set(handlers.map(({ file }) => shownPath(file.path, file.root)));
    const { files, contents } = this.version;
    return files.filter((file) => {
      const path = shownPath(file.path, file.root);
      return had.has(path) && contents.empty.has(path);
    });
  }

  /**
   * A file of `files` does not load: its plugin is kept as it runs, or goes on without the file where it
   * does not run yet. `hopeless` where it is from what runs already, which loaded before.
   */
  refuse(file: PluginFile): 'kept' | 'dropped' | 'hopeless' {
    const own = this.version.files.find((each) => each.path === file.path);
    if (own === undefined) return 'hopeless';
    if (this.#runningPlugins.has(file.plugin)) {
      this.#kept.add(file.plugin);
      return 'kept';
    }
    this.#dropped.add(own);
    return 'dropped';
  }
}

/** What is told of a swap, plugin by plugin and as a whole; `before` is undefined at the start. */
export function describeSwap(before: Served | undefined, after: Served): PluginEvent[] {
  const events: PluginEvent[] = [];
  const changed = before ? changedPaths(before.version.contents, after.version.contents) : [];
  const earlier = new Map(before?.handlers.map(({ file }) => [file.plugin, file]));
  const now = Map.groupBy(after.handlers, ({ file }) => file.plugin);
  for (const [plugin, handlers] of now) {
    const file = earlier.get(plugin);
    const isNew = file === undefined || file.root !== before?.version.root;
    const isKept = handlers.some((handler) => handler.file.root !== after.version.root);
    const isChanged = changed.some((path) => isOf(plugin, path));
    if (isKept || !(isNew || isChanged)) continue;
    events.push({ kind: 'plugin-loaded', plugin, topics: handlers.flatMap(topicsOf) });
  }
  for (const plugin of earlier.keys()) {
    if (!now.has(plugin)) events.push({ kind: 'plugin-removed', plugin });
  }
  const { number } = after.version;
  if (before !== undefined) events.push({ kind: 'plugins-swapped', version: number, changed });
  return events;
}

export interface Served {
  readonly version: Version;
  readonly handlers: readonly LoadedHandler[];
}

function isOf(plugin: string, path: string): boolean {
  return path === `${plugin}.ts` || path === `${plugin}.js` || path.startsWith(`${plugin}/`);
}
