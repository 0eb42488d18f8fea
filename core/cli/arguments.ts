/**
 * The command line: options of a command, and every setting as a flag beside them. What is not known
 * or lacks its value is a usage error, in one line and with exit code 2.
 */
import { parseArgs } from 'node:util';
import { nearest } from '../ops/nearest.ts';
import {
  environmentName,
  flagName,
  type SettingKey,
  settingKeys,
  settings,
} from '../ops/settings.ts';

/** How the command line is wrong. */
export class UsageError extends Error {}

export interface Option {
  /** What stands for the value in `--help`; undefined where the option takes none. */
  readonly value: string | undefined;
  readonly text: string;
  readonly short?: string;
  /** Whether it may be given several times. */
  readonly several?: boolean;
}

export type Options = { readonly [name: string]: Option };

export interface Command {
  /** What follows `bellhop <name>`: `--topic <filter> [options]`. */
  readonly usage: string;
  /** A few sentences for `bellhop help <name>`. */
  readonly about: string;
  readonly options: Options;
  /** What is given without a name, in order: `['file']`. A last one with `…` behind it takes all that follow. */
  readonly operands?: readonly string[];
  /** Resolves to the exit code. */
  run(given: Arguments): Promise<number>;
}

export class Arguments {
  /** Settings that were given as flags. */
  readonly settings: ReadonlyMap<SettingKey, string>;
  readonly #values: ReadonlyMap<string, readonly string[]>;

  constructor(
    values: ReadonlyMap<string, readonly string[]>,
    given: ReadonlyMap<SettingKey, string>,
  ) {
    this.#values = values;
    this.settings = given;
  }

  has(option: string): boolean {
    return this.#values.has(option);
  }

  get(option: string): string | undefined {
    return this.#values.get(option)?.at(-1);
  }

  all(option: string): readonly string[] {
    return this.#values.get(option) ?? [];
  }

  /** The value of an operand that cannot do without. */
  needOperand(operand: string): string {
    const value = this.get(operand);
    if (value === undefined) throw new UsageError(`${operand.toUpperCase()} is missing`);
    return value;
  }

  /** The value of an option that cannot do without. */
  need(option: string): string {
    const value = this.get(option);
    if (value === undefined) throw new UsageError(`--${option} is missing`);
    return value;
  }

  /** The option as one of `choices`. */
  choice<const T extends string>(option: string, choices: readonly T[], initial: T): T {
    const value = this.get(option) ?? initial;
    const chosen = choices.find((each) => each === value);
    if (chosen !== undefined) return chosen;
    throw new UsageError(
      `--${option} is ${JSON.stringify(value)}, but must be one of ${choices.join(', ')}`,
    );
  }

  /** The option as a whole number of 1 or more. */
  count(option: string): number | undefined {
    const value = this.get(option);
    if (value === undefined) return undefined;
    if (/^[1-9]\d{0,14}$/.test(value)) return Number(value);
    throw new UsageError(`--${option} is ${JSON.stringify(value)}, but must be a number from 1`);
  }
}

const settingByFlag = new Map<string, SettingKey>(settingKeys.map((key) => [flagName(key), key]));

/** Reads what follows the name of a command. Throws `UsageError`. */
export function readArguments(
  written: readonly string[],
  options: Options,
  operands: readonly string[] = [],
): Arguments {
  const known = new Map<string, Option>(Object.entries(options));
  const { tokens } = parseArgs({
    args: [...written],
    strict: false,
    allowPositionals: true,
    tokens: true,
    options: Object.fromEntries([
      ...[...settingByFlag.keys()].map((flag) => [flag, { type: 'string' }]),
      ...[...known].map(([name, { value, short }]) => [
        name,
        { type: value === undefined ? 'boolean' : 'string', ...(short && { short }) },
      ]),
    ]),
  });

  const values = new Map<string, string[]>();
  const given = new Map<SettingKey, string>();
  for (const token of tokens) {
    if (token.kind === 'option-terminator') continue;
    if (token.kind === 'positional') {
      const operand = operands.find((each) => !values.has(each) || each.endsWith('…'));
      if (operand === undefined) throw new UsageError(`unexpected ${JSON.stringify(token.value)}`);
      values.set(operand, [...(values.get(operand) ?? []), token.value]);
      continue;
    }
    const { name, rawName, value } = token;
    const option = known.get(name);
    const setting = option === undefined ? settingByFlag.get(name) : undefined;
    if (option === undefined && setting === undefined) {
      throw new UsageError(`there is no option ${rawName}${meant(name, known)}`);
    }
    const wantsValue = setting !== undefined || option?.value !== undefined;
    if (wantsValue && value === undefined) throw new UsageError(`${rawName} needs a value`);
    if (!wantsValue && value !== undefined) throw new UsageError(`${rawName} takes no value`);
    if (setting !== undefined) {
      takeSetting(given, setting, value ?? '');
    } else if (values.has(name) && !option?.several) {
      throw new UsageError(`${rawName} is given twice`);
    } else {
      values.set(name, [...(values.get(name) ?? []), value ?? '']);
    }
  }
  return new Arguments(values, given);
}

/** Everybody on a machine can read the command lines of its processes, so secrets are refused there. */
function takeSetting(given: Map<SettingKey, string>, key: SettingKey, value: string): void {
  const flag = `--${flagName(key)}`;
  if (settings[key].secret) {
    throw new UsageError(
      `${flag} would show a secret in the process list: set ${environmentName(key)} in the environment or .env`,
    );
  }
  if (given.has(key)) throw new UsageError(`${flag} is given twice`);
  given.set(key, value);
}

function meant(name: string, known: ReadonlyMap<string, Option>): string {
  const near = nearest(name, [...known.keys(), ...settingByFlag.keys()]);
  return near === undefined ? '' : `; did you mean --${near}?`;
}
