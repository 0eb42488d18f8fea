/**
 * `bellhop init`: what a folder needs to be a backend. Nothing that is there is overwritten, but for
 * the types of the SDK, which go with the version.
 */
import {
  type Dirent,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { StartError } from '../ops/lifecycle.ts';
import type { Command } from './arguments.ts';
import sdkTypes from './starter/bellhop.d.ts.txt' with { type: 'text' };
import env from './starter/env.txt' with { type: 'text' };
import gitignore from './starter/gitignore.txt' with { type: 'text' };
import helloTest from './starter/hello.test.ts.txt' with { type: 'text' };
import hello from './starter/hello.ts.txt' with { type: 'text' };
import tsconfig from './starter/tsconfig.json.txt' with { type: 'text' };

export const init: Command = {
  usage: '[folder]',
  about: `Makes a folder a backend: settings in .env, and plugins/ with a handler, its test, and the types that an
editor needs to complete and check handlers. What is there already is left alone; only
plugins/bellhop.d.ts is written anew, so that it is that of this version.`,
  options: {},
  operands: ['folder'],
  async run(given) {
    const folder = given.get('folder') ?? '.';
    const made = makeBackend(folder);
    const longest = Math.max(...made.map(({ path }) => path.length));
    const lines = made.map(({ path, what }) => `${path.padEnd(longest)}  ${what}\n`);
    process.stdout.write(`${lines.join('')}${nextSteps(folder, made)}`);
    return 0;
  },
};

interface Made {
  readonly path: string;
  readonly what: string;
}

export const TYPES_FILE = 'bellhop.d.ts';

/** Makes it, and tells what became of each file. Throws a `StartError` where the folder cannot be written to. */
export function makeBackend(folder: string): readonly Made[] {
  try {
    const plugins = join(folder, 'plugins');
    mkdirSync(plugins, { recursive: true });
    // One that was deleted should not come back with the next version's types.
    const example = !hasPlugins(plugins);
    const made = [
      writeNew(folder, '.env', env, 0o600),
      writeNew(folder, '.gitignore', gitignore),
      writeNew(folder, 'plugins/tsconfig.json', tsconfig),
      writeTypes(folder),
    ];
    if (!example) return made;
    return [
      ...made,
      writeNew(folder, 'plugins/hello.ts', hello),
      writeNew(folder, 'plugins/hello.test.ts', helloTest),
    ];
  } catch (error) {
    throw new StartError(`${folder} cannot be made a backend: ${(error as Error).message}`);
  }
}

function hasPlugins(folder: string): boolean {
  const isPlugin = (entry: Dirent) =>
    entry.isDirectory()
      ? !['node_modules', 'migrations'].includes(entry.name)
      : /\.[jt]s$/.test(entry.name) && !/\.d\.ts$/.test(entry.name);
  return readdirSync(folder, { withFileTypes: true }).some(isPlugin);
}

/** Writes it where there is nothing of that name, not even a symlink that leads elsewhere. */
function writeNew(folder: string, path: string, text: string, mode = 0o666): Made {
  try {
    writeFileSync(join(folder, path), text, { flag: 'wx', mode });
    return { path, what: 'written' };
  } catch (error) {
    if ((error as { code?: string }).code !== 'EEXIST') throw error;
    return { path, what: `left alone${missingLines(folder, path)}` };
  }
}

/** What a `.gitignore` that was there should have as well. */
function missingLines(folder: string, path: string): string {
  if (path !== '.gitignore') return '';
  const lines = readFileSync(join(folder, path), 'utf8').split(/\r?\n/);
  const has = (line: string) =>
    [line, `/${line}`, line.replace('/', '')].some((each) => lines.includes(each));
  const missing = gitignore.split('\n').filter((line) => line !== '' && !has(line));
  return missing.length === 0 ? '' : `; you may want ${missing.join(', ')} in it`;
}

/** Takes the place of what an earlier version wrote there, and of nothing else. */
function writeTypes(folder: string): Made {
  const path = `plugins/${TYPES_FILE}`;
  const target = join(folder, path);
  const current = existsSync(target) ? readFileSync(target, 'utf8') : undefined;
  if (current === sdkTypes) return { path, what: 'is that of this version' };
  const [firstLine = ''] = sdkTypes.split('\n', 1);
  if (current !== undefined && !current.startsWith(firstLine)) {
    return { path, what: 'left alone: it is none that Bellhop wrote' };
  }
  const next = `${target}.${process.pid}`;
  writeFileSync(next, sdkTypes, { flag: 'wx' });
  renameSync(next, target);
  return { path, what: current === undefined ? 'written' : 'written anew' };
}

function nextSteps(folder: string, made: readonly Made[]): string {
  if (!made.some(({ path }) => path === 'plugins/hello.ts')) return '';
  const enter = folder === '.' ? '' : `  cd ${folder}\n`;
  return `
Try it, each line in a terminal of its own:

${enter}  bellhop
  bellhop sub --user 68946 --topic 68946_greeting
  bellhop pub --user 68946 --topic hello --message '{}'

Then change plugins/hello.ts. \`bellhop test\` runs its test.
`;
}
