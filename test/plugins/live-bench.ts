/** A bench whose plugins change while it runs: a folder that is watched. */
import { mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { PluginEvent } from '../../core/plugins/events.ts';
import type { PoolOptions } from '../../core/plugins/pool.ts';
import { Bench, type Files, folderOf } from './folder.ts';

const open: Live[] = [];

/** For `afterEach` of the file that opens them. */
export async function stopAll(): Promise<void> {
  for (const live of open.splice(0)) await live.pool.stop(0);
}

export class Live extends Bench {
  readonly copies: string;

  private constructor(files: Files, copies: string, options: Partial<PoolOptions>) {
    super(files, { copies, watched: true, ...options });
    this.copies = copies;
  }

  static async open(files: Files, options: Partial<PoolOptions> = {}): Promise<Live> {
    const live = new Live(files, join(folderOf({}), 'copies'), options);
    open.push(live);
    await live.pool.start();
    return live;
  }

  /** Writes by rename, as many editors do. */
  write(path: string, text: string): void {
    const to = join(this.folder, path);
    mkdirSync(dirname(to), { recursive: true });
    writeFileSync(join(this.folder, '.written'), text);
    renameSync(join(this.folder, '.written'), to);
  }

  remove(path: string): void {
    rmSync(join(this.folder, path), { recursive: true });
  }

  /** Does something to the folder, and resolves to what is told until an event of this kind. */
  async until1(kind: PluginEvent['kind'], change: () => void): Promise<PluginEvent[]> {
    const seen = this.events.length;
    const holds = () => this.events.slice(seen).some((event) => event.kind === kind);
    change();
    await this.until(holds);
    return this.events.slice(seen);
  }

  /** Resolves when a change has been swapped in. */
  swapped(change: () => void): Promise<PluginEvent[]> {
    return this.until1('plugins-swapped', change);
  }

  get topics(): string[] {
    return [...this.pool.topics].sort();
  }
}
