/**
 * The kinds of settings: what one accepts, how it says so, and how its value is printed. A kind turns
 * text from the environment, a `.env` file or the command line into a typed value, or says that it
 * cannot; it never guesses.
 */

export interface Setting<T> {
  /** The value where nothing is set. */
  readonly initial: T;
  /** One sentence for `--help` and the docs page. */
  readonly text: string;
  /** What a value may be, to follow "must be": `an integer from 0 to 65535`. */
  readonly expects: string;
  /** A secret is masked wherever settings are printed, and is not taken from the command line. */
  readonly secret: boolean;
  /** The value that `text` spells; undefined where it spells none. */
  parse(text: string): T | undefined;
  /** The text that `parse` reads back as `value`; empty where nothing is set. */
  print(value: T): string;
}

const asIs = (value: string | undefined): string => value ?? '';

export function integer(
  initial: number,
  minimum: number,
  maximum: number,
  text: string,
): Setting<number> {
  return {
    initial,
    text,
    expects: `an integer from ${minimum} to ${maximum}`,
    secret: false,
    parse: (written) => {
      // Digits may be grouped as in this source, 65_536: large numbers are read by people.
      if (!/^\d{1,3}(_\d{3})+$|^\d+$/.test(written)) return undefined;
      const value = Number(written.replaceAll('_', ''));
      return value >= minimum && value <= maximum ? value : undefined;
    },
    print: String,
  };
}

export function flag(initial: boolean, text: string): Setting<boolean> {
  return {
    initial,
    text,
    expects: 'true or false',
    secret: false,
    parse: (written) => (written === 'true' ? true : written === 'false' ? false : undefined),
    print: String,
  };
}

export function choice<const T extends string>(
  initial: T,
  choices: readonly T[],
  text: string,
): Setting<T> {
  return {
    initial,
    text,
    expects: `one of ${choices.join(', ')}`,
    secret: false,
    parse: (written) => choices.find((each) => each === written),
    print: asIs,
  };
}

/** A text that always has a value. */
export function text(initial: string, about: string): Setting<string> {
  return {
    initial,
    text: about,
    expects: 'a text that is not empty',
    secret: false,
    parse: (written) => (written === '' ? undefined : written),
    print: asIs,
  };
}

/** A text that may be missing; `check` tells whether one that is there will do. */
export function optional(
  about: string,
  expects = 'a text that is not empty',
  check: (written: string) => boolean = (written) => written !== '',
): Setting<string | undefined> {
  return {
    initial: undefined,
    text: about,
    expects,
    secret: false,
    parse: (written) => (check(written) ? written : undefined),
    print: asIs,
  };
}

/** An empty secret is an error and never "no secret": a variable that was lost on the way must not open the door. */
export function secret(about: string): Setting<string | undefined> {
  return { ...optional(about, 'a secret that is not empty'), secret: true };
}

/** Texts with commas between them. */
export function list(
  about: string,
  expects = 'a list with commas between its members',
  check: (member: string) => boolean = () => true,
): Setting<readonly string[]> {
  return {
    initial: [],
    text: about,
    expects,
    secret: false,
    parse: (written) => {
      const members = written.split(',').map((member) => member.trim());
      return members.every((member) => member !== '' && check(member)) ? members : undefined;
    },
    print: (value) => value.join(','),
  };
}

export function isUrl(...protocols: readonly string[]): (written: string) => boolean {
  return (written) => {
    const url = URL.parse(written);
    return url !== null && protocols.includes(url.protocol);
  };
}
