/** A broker of a script's own: in its folder, for plaintext on a port of 127.0.0.1, with the secret of `load.ts`. */
import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { SECRET } from './load.ts';

const root = new URL('..', import.meta.url).pathname;

/** How Bellhop is called: the executable at `binary`, or the sources where there is none. */
export function bellhopAt(binary: string): readonly string[] {
  return existsSync(binary) ? [resolve(binary)] : [process.execPath, join(root, 'index.ts')];
}

/** What it is started with: it keeps what it keeps in `folder`, and its plugins are in `plugins` there. */
export function environmentOf(port: number, folder: string): { readonly [name: string]: string } {
  return {
    ...(process.env as { [name: string]: string }),
    HOST: '127.0.0.1',
    MQTT_PORT: String(port),
    MQTTS_PORT: '0',
    HTTPS_PORT: '0',
    DATA_DIR: join(folder, 'data'),
    PLUGINS_DIR: join(folder, 'plugins'),
    JWT_SECRET: SECRET,
  };
}

/** One that says nothing but errors; these go to `stdout`. */
export function startBroker(
  command: readonly string[],
  port: number,
  folder: string,
  more: { readonly [name: string]: string } = {},
  stdout: 'inherit' | number = 'inherit',
): Bun.Subprocess {
  return Bun.spawn([...command, 'serve'], {
    env: { ...environmentOf(port, folder), LOG_LEVEL: 'error', ...more },
    stdout,
    stderr: 'inherit',
  });
}
