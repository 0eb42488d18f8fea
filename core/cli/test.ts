/**
 * `bellhop test`: runs the tests of the plugins folder. The executable holds all of Bun, and acts as
 * that where BUN_BE_BUN is set; so nothing has to be installed.
 */
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { StartError } from '../ops/lifecycle.ts';
import { isExecutable } from '../ops/version.ts';
import type { Arguments, Command } from './arguments.ts';
import { readConfiguration } from './configured.ts';

export const test: Command = {
  usage: '[filter…] [options]',
  about: `Runs the tests in PLUGINS_DIR, the files that end in .test.ts or .test.js; with filters, those whose
path has one of them in it. Tests import \`bellhop/test\`, and need no broker.`,
  options: {
    name: { value: 'pattern', text: 'only tests whose name matches', short: 't' },
    watch: { value: undefined, text: 'run them again whenever a file changes' },
    bail: { value: undefined, text: 'end with the first that fails' },
  },
  operands: ['filter…'],
  async run(given) {
    const { config } = readConfiguration(given);
    const folder = resolve(config.pluginsDir);
    if (!statSync(folder, { throwIfNoEntry: false })?.isDirectory()) {
      throw new StartError(`${folder} is no folder: there are no plugins to test`);
    }
    using preload = preloadFile();
    const child = Bun.spawn([process.execPath, 'test', ...optionsOf(given, preload.path)], {
      cwd: folder,
      env: { ...process.env, BUN_BE_BUN: '1', PLUGINS_DIR: folder },
      stdio: ['inherit', 'inherit', 'inherit'],
    });
    // A terminal sends them to the tests as well, and those end first.
    for (const signal of ['SIGINT', 'SIGTERM'] as const)
      process.on(signal, () => child.kill(signal));
    return await child.exited;
  },
};

function optionsOf(given: Arguments, preload: string): readonly string[] {
  const name = given.get('name');
  return [
    `--preload=${preload}`,
    ...(name === undefined ? [] : ['--test-name-pattern', name]),
    ...(given.has('watch') ? ['--watch'] : []),
    ...(given.has('bail') ? ['--bail'] : []),
    ...given.all('filter…'),
  ];
}

interface PreloadFile extends Disposable {
  readonly path: string;
}

/**
 * The file that gives the tests their kit. In the executable it is embedded, where Bun does not find it
 * when it is told to be Bun: it is copied to a folder that only this user can look into.
 */
function preloadFile(): PreloadFile {
  if (!isExecutable) {
    const path = fileURLToPath(new URL('../plugins/test-preload.ts', import.meta.url));
    return { path, [Symbol.dispose]: () => {} };
  }
  const embedded = join(dirname(Bun.main), 'core', 'plugins', 'test-preload.js');
  const folder = mkdtempSync(join(tmpdir(), 'bellhop-test-'));
  const path = join(folder, 'preload.js');
  writeFileSync(path, readFileSync(embedded));
  return { path, [Symbol.dispose]: () => rmSync(folder, { recursive: true, force: true }) };
}
