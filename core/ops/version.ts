/** Which Bellhop this is. A build replaces BUILD_COMMIT; from a clone there is none. */
import manifest from '../../package.json' with { type: 'json' };

declare const BUILD_COMMIT: string | undefined;

/** `0.1.0`. */
export const version: string = manifest.version;

/** Whether this is the executable, and not the sources run by Bun. */
export const isExecutable = typeof BUILD_COMMIT !== 'undefined';

/** `0.1.0 (3f2c1ab, Bun 1.4.5)`. */
export function programVersion(): string {
  const commit = typeof BUILD_COMMIT === 'undefined' ? 'from source' : BUILD_COMMIT;
  return `${version} (${commit}, Bun ${Bun.version})`;
}
