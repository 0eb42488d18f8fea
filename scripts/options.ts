/** The command lines of scripts. What is wrong with one is told in a line, and the exit code is 2. */
import { basename } from 'node:path';
import { type ParseArgsConfig, parseArgs } from 'node:util';

export function optionsOf<const T extends ParseArgsConfig>(
  config: T,
): ReturnType<typeof parseArgs<T>> {
  try {
    return parseArgs(config);
  } catch (error) {
    return giveUp(
      `${(error as Error).message}; ${basename(Bun.main)} begins with the options that there are`,
    );
  }
}

/** The number that `name` was given, which is more than 0. */
export function numberOf<Name extends string>(
  values: { readonly [name in Name]?: string | undefined },
  name: Name,
): number {
  const value = Number(values[name]);
  if (value > 0 && Number.isFinite(value)) return value;
  return giveUp(`--${name} wants a number above 0, and not ${values[name]}`);
}

export function giveUp(why: string, code: 1 | 2 = 2): never {
  console.error(why);
  process.exit(code);
}
