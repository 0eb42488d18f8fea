/** Which copies of the plugins folder are in use: by what is loaded next, or by a worker that lives. */
import type { PluginFile } from './loader.ts';
import type { Version } from './version.ts';

export class Copies<User extends object> {
  readonly #versions = new Set<Version>();
  readonly #users = new Map<User, readonly PluginFile[]>();

  add(version: Version): void {
    this.#versions.add(version);
  }

  /** `user` imports these until `leave`, lazily too. */
  use(user: User, files: readonly PluginFile[]): void {
    this.#users.set(user, files);
  }

  leave(user: User): void {
    this.#users.delete(user);
  }

  /** Takes out those that nobody uses, beside `files` and `versions`. */
  takeUnused(files: readonly PluginFile[], versions: readonly (Version | undefined)[]): Version[] {
    const used = new Set(files.map(({ root }) => root));
    for (const its of this.#users.values()) for (const { root } of its) used.add(root);
    const unused = [...this.#versions].filter(
      (version) => !used.has(version.root) && !versions.includes(version),
    );
    for (const version of unused) this.#versions.delete(version);
    return unused;
  }

  /** Takes out all. */
  takeAll(): Version[] {
    const all = [...this.#versions];
    this.#versions.clear();
    return all;
  }
}
