/**
 * Finds the command that was asked for and runs it. Commands are loaded only when they run, so that
 * the broker does not carry the client's code.
 */
import { StartError } from '../ops/lifecycle.ts';
import { programVersion } from '../ops/version.ts';
import { type Command, readArguments, UsageError } from './arguments.ts';
import { helpOfCommand, helpOfProgram } from './help.ts';

export interface Entry {
  readonly summary: string;
  readonly load: () => Promise<Command>;
  /** Whether it runs for long and moves many messages. */
  readonly lasts?: true;
}

export const commands: { readonly [name: string]: Entry } = {
  serve: {
    summary: 'run the broker (what happens without a command)',
    load: async () => (await import('./serve.ts')).serve,
    lasts: true,
  },
  init: {
    summary: 'make a folder a backend: settings, a handler, its test, and types for the editor',
    load: async () => (await import('./init.ts')).init,
  },
  new: {
    summary: 'add a handler to the plugins folder',
    load: async () => (await import('./new.ts')).create,
  },
  test: {
    summary: 'run the tests of the plugins folder',
    load: async () => (await import('./test.ts')).test,
  },
  token: {
    summary: 'mint a development token',
    load: async () => (await import('./token.ts')).token,
  },
  pub: {
    summary: 'publish a message',
    load: async () => (await import('./pub.ts')).pub,
  },
  sub: {
    summary: 'subscribe, and print what comes',
    load: async () => (await import('./sub.ts')).sub,
  },
  handlers: {
    summary: 'run the handlers of a folder against a broker elsewhere',
    load: async () => (await import('./handlers.ts')).handlers,
    lasts: true,
  },
  bench: {
    summary: 'put load on an MQTT broker, and measure it',
    load: async () => (await import('./bench.ts')).bench,
    lasts: true,
  },
  config: {
    summary: 'print every setting, its value and where it came from',
    load: async () => (await import('./config.ts')).config,
  },
  dead: {
    summary: 'list, show, replay and drop commands that a handler gave up',
    load: async () => (await import('./dead.ts')).dead,
  },
  backup: {
    summary: 'copy what the broker keeps to a file, while it runs or not',
    load: async () => (await import('./backup.ts')).backup,
  },
  health: {
    summary: 'ask the broker on this machine whether it is well, for container health checks',
    load: async () => (await import('./health.ts')).health,
  },
};

/**
 * Runs `bellhop <written…>` and resolves to its exit code: 0, 1 for a failure, 2 for a usage error. Calls
 * `prepare` before a command that lasts: it may make another process of this one.
 */
export async function runCommandLine(
  written: readonly string[],
  prepare: () => void = () => {},
): Promise<number> {
  try {
    return await run(written, prepare);
  } catch (error) {
    if (error instanceof UsageError) {
      process.stderr.write(`bellhop: ${error.message} (see ${whereToRead(written)})\n`);
      return 2;
    }
    if (error instanceof StartError) {
      process.stderr.write(`bellhop: ${error.message}\n`);
      return 1;
    }
    throw error;
  }
}

function whereToRead([name = '']: readonly string[]): string {
  return Object.hasOwn(commands, name) ? `bellhop help ${name}` : 'bellhop --help';
}

async function run(written: readonly string[], prepare: () => void): Promise<number> {
  const [first, ...rest] = written;
  if (first === '--version' || first === '-V') return print(`bellhop ${programVersion()}\n`);
  if (first === '--help' || first === '-h') return print(helpOfProgram(commands));
  if (first === 'help') return help(rest);
  if (first === undefined || first.startsWith('-')) return runCommand('serve', written, prepare);
  return runCommand(first, rest, prepare);
}

async function runCommand(
  name: string,
  written: readonly string[],
  prepare: () => void,
): Promise<number> {
  if (written.includes('--help') || written.includes('-h')) return help([name]);
  const { load, lasts } = entryOf(name);
  if (lasts) prepare();
  const command = await load();
  return command.run(readArguments(written, command.options, command.operands));
}

async function help([name, ...more]: readonly string[]): Promise<number> {
  if (more.length > 0) throw new UsageError('help takes the name of one command');
  if (name === undefined) return print(helpOfProgram(commands));
  return print(helpOfCommand(name, await entryOf(name).load()));
}

function entryOf(name: string): Entry {
  const entry = Object.hasOwn(commands, name) ? commands[name] : undefined;
  if (entry === undefined) throw new UsageError(`there is no command ${JSON.stringify(name)}`);
  return entry;
}

function print(text: string): number {
  process.stdout.write(text);
  return 0;
}
