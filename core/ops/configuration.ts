/**
 * Reads the settings: command line over environment over `.env` files over defaults. The outcome is a
 * whole configuration with the source of each value, or the first thing that is wrong with it.
 *
 * The runtime has loaded `.env` into the environment before we run. What the process was started
 * with, and the files themselves, tell where a value came from.
 */
import { readFileSync } from 'node:fs';
import { type Dotenv, readDotenv } from './dotenv.ts';
import { nearest } from './nearest.ts';
import {
  type Config,
  environmentName,
  flagName,
  reservedNames,
  type SettingKey,
  settingKeys,
  settingOf,
  settings,
} from './settings.ts';

export type Source = 'default' | 'environment' | 'command line' | DotenvName;
export type DotenvName = `.env${string}`;

export interface Configuration {
  readonly config: Config;
  readonly sources: { readonly [K in SettingKey]: Source };
  /** What does not stop the start but should be said at it. */
  readonly warnings: readonly string[];
}

export type ConfigurationOutcome =
  | { readonly kind: 'configured'; readonly configuration: Configuration }
  /** `byFlag`: the mistake is on the command line. */
  | { readonly kind: 'wrong'; readonly detail: string; readonly byFlag: boolean };

/** Everything that a configuration is read from. */
export interface Surroundings {
  /** The environment, with what the runtime loaded into it. */
  readonly environment: { readonly [name: string]: string | undefined };
  /** Names in the environment that the process was started with; undefined where that cannot be told. */
  readonly started: ReadonlySet<string> | undefined;
  /** The `.env` files that exist, the one that wins first. */
  readonly files: readonly { readonly name: DotenvName; readonly text: string }[];
  /** Values of settings on the command line. */
  readonly flags: ReadonlyMap<SettingKey, string>;
}

/** Names that no setting has, but that belong to the commands. */
const commandNames = ['BELLHOP_TOKEN', 'BELLHOP_URL'];
const knownNames = [...settingKeys.map(environmentName), ...reservedNames, ...commandNames];
/** Whoever writes one of these in a `.env` beside the broker means the broker. */
const ownPrefix = /^(BELLHOP|MQTT|MQTTS|HTTPS|JWT|TLS)_/;

export function configure(from: Surroundings): ConfigurationOutcome {
  const files: { name: DotenvName; dotenv: Dotenv }[] = [];
  for (const { name, text } of from.files) {
    const dotenv = readDotenv(text, (each) => from.environment[each] !== undefined);
    if (dotenv.problem !== undefined) {
      return wrong(`${name}, line ${dotenv.problem.line}, ${dotenv.problem.detail}`);
    }
    files.push({ name, dotenv });
  }
  const unknown = unknownName(files, from.started ?? new Set(Object.keys(from.environment)));
  if (unknown !== undefined) return wrong(unknown);

  const sourceOf = (key: SettingKey): Source => {
    const name = environmentName(key);
    if (from.flags.has(key)) return 'command line';
    if (from.environment[name] === undefined) return 'default';
    if (from.started?.has(name)) return 'environment';
    const file = files.find(({ dotenv }) => dotenv.entries.some((entry) => entry.name === name));
    return file?.name ?? 'environment';
  };

  const values: Record<string, unknown> = {};
  const sources: Record<string, Source> = {};
  for (const key of settingKeys) {
    const setting = settingOf(key);
    const source = sourceOf(key);
    const written = from.flags.get(key) ?? from.environment[environmentName(key)];
    const value = written === undefined ? setting.initial : setting.parse(written);
    if (written !== undefined && value === undefined) {
      const shown =
        written === '' ? 'empty' : setting.secret ? 'not that' : JSON.stringify(written);
      if (source === 'command line') {
        return wrong(`--${flagName(key)} is ${shown}, but must be ${setting.expects}`, true);
      }
      return wrong(
        `${environmentName(key)} is ${shown} (${source}), but must be ${setting.expects}`,
      );
    }
    values[key] = value;
    sources[key] = source;
  }
  const warnings = reservedNames
    .filter((name) => from.environment[name] !== undefined)
    .map((name) => `${name} has no effect yet: this version does not have what it is for`);
  return {
    kind: 'configured',
    configuration: {
      config: values as Config,
      sources: sources as Configuration['sources'],
      warnings,
    },
  };
}

/** The defaults, for tests and for what runs without a configuration. */
export const defaultConfig = Object.fromEntries(
  settingKeys.map((key) => [key, settings[key].initial]),
) as Config;

/**
 * What is wrong with a name that looks like a setting and is none. A `.env` beside the broker is the
 * broker's, but plugins find their secrets there as well; the environment is full of names of others.
 */
function unknownName(
  files: readonly { name: DotenvName; dotenv: Dotenv }[],
  environment: ReadonlySet<string>,
): string | undefined {
  for (const { name: file, dotenv } of files) {
    for (const { name, line } of dotenv.entries) {
      if (knownNames.includes(name)) continue;
      const meant = nearest(name.replace(/^BELLHOP_/, ''), knownNames);
      if (meant === undefined && !ownPrefix.test(name)) continue;
      const hint = meant === undefined ? '`bellhop config` lists them' : `did you mean ${meant}?`;
      return `${file}, line ${line}: there is no setting ${name}; ${hint}`;
    }
  }
  for (const name of environment) {
    if (!ownPrefix.test(name) || knownNames.includes(name)) continue;
    const meant = nearest(name.replace(/^BELLHOP_/, ''), knownNames);
    if (meant !== undefined)
      return `there is no setting ${name} (environment); did you mean ${meant}?`;
  }
  return undefined;
}

function wrong(detail: string, byFlag = false): ConfigurationOutcome {
  return { kind: 'wrong', detail, byFlag };
}

/** The surroundings of this process. Throws where a `.env` file is there but cannot be read. */
export function surroundings(flags: ReadonlyMap<SettingKey, string>): Surroundings {
  const environment = process.env;
  return {
    environment,
    started: startedWith(),
    files: dotenvNames(environment.NODE_ENV).flatMap((name) => {
      const text = textOf(name);
      return text === undefined ? [] : [{ name, text }];
    }),
    flags,
  };
}

/** The files that the runtime loads, the one that wins first. */
function dotenvNames(mode: string | undefined): readonly DotenvName[] {
  if (mode === 'test') return ['.env.test.local', '.env.test', '.env'];
  const stage = mode === 'production' ? mode : 'development';
  return [`.env.${stage}.local`, '.env.local', `.env.${stage}`, '.env'];
}

/** Linux keeps the environment that a process began with; elsewhere it cannot be told from what `.env` added. */
function startedWith(): ReadonlySet<string> | undefined {
  const written = textOf('/proc/self/environ');
  if (written === undefined) return undefined;
  return new Set(written.split('\0').map((entry) => entry.slice(0, entry.indexOf('='))));
}

function textOf(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if ((error as { code?: string }).code === 'ENOENT') return undefined;
    throw new Error(`${path} cannot be read: ${(error as Error).message}`);
  }
}
