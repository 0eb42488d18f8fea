/**
 * A reading of `.env` files that checks them. The runtime loads them itself, before any of our code
 * runs, and is lenient: a line without `=` is skipped, an unclosed quote becomes part of the value,
 * and a `#` or `$` in a password silently takes the rest of it away. Here each of these is an error
 * with its line. Values are not taken from here.
 */

/** A name that the file sets, and where. */
export interface DotenvEntry {
  readonly name: string;
  readonly line: number;
}

export interface DotenvProblem {
  readonly line: number;
  readonly detail: string;
}

export interface Dotenv {
  readonly entries: readonly DotenvEntry[];
  readonly problem: DotenvProblem | undefined;
}

const namePattern = /^[A-Za-z_][A-Za-z0-9_.]*$/;

/**
 * Reads until the first problem. `isKnown` tells whether a variable that a value refers to exists
 * outside of this file.
 */
export function readDotenv(text: string, isKnown: (name: string) => boolean): Dotenv {
  const lines = text.replace(/^\uFEFF/, '').split(/\r\n|\n|\r/);
  const entries: DotenvEntry[] = [];
  const known = (name: string) => isKnown(name) || entries.some((entry) => entry.name === name);

  for (let index = 0; index < lines.length; index++) {
    const line = index + 1;
    const written = (lines[index] ?? '').trim().replace(/^export\s+/, '');
    if (written === '' || written.startsWith('#')) continue;
    const equals = written.search(/[=:]/);
    if (equals < 0) {
      return { entries, problem: { line, detail: 'has no =; write NAME=value' } };
    }
    const name = written.slice(0, equals).trim();
    if (!namePattern.test(name)) {
      return {
        entries,
        problem: { line, detail: 'does not begin with a name of letters, digits and _' },
      };
    }
    const value = written.slice(equals + 1).trim();
    const quote = /^["'`]/.exec(value)?.[0];
    let content = value;
    if (quote !== undefined) {
      let end = closingQuote(value, quote, 1);
      while (end < 0 && ++index < lines.length) {
        const length = content.length;
        content += `\n${lines[index]}`;
        end = closingQuote(content, quote, length);
      }
      if (end < 0) {
        return { entries, problem: { line, detail: `opens a ${quote} that is never closed` } };
      }
      if (!/^\s*(#.*)?$/.test(content.slice(end + 1))) {
        return { entries, problem: { line, detail: `has text behind the closing ${quote}` } };
      }
      content = content.slice(1, end);
    } else {
      content = value.replace(/(^|\s)#.*$/, '');
      if (content.includes('#')) {
        return {
          entries,
          problem: {
            line,
            detail: 'has a # that would cut the value off; put the value in quotes',
          },
        };
      }
    }
    const missing = unknownReference(content, known);
    if (missing !== undefined) {
      return {
        entries,
        problem: {
          line,
          detail: `refers to $${missing}, which is not set; a plain $ is written \\$`,
        },
      };
    }
    entries.push({ name, line });
  }
  return { entries, problem: undefined };
}

/** Where `quote` closes in `text`, at `from` or later; -1 where it does not. */
function closingQuote(text: string, quote: string, from: number): number {
  for (let at = from; at < text.length; at++) {
    if (text[at] === '\\') at++;
    else if (text[at] === quote) return at;
  }
  return -1;
}

/** The first `$NAME` or `${NAME}` in `content` that nothing defines; the runtime replaces it even in single quotes. */
function unknownReference(content: string, known: (name: string) => boolean): string | undefined {
  for (const match of content.matchAll(
    /(?<!\\)\$(?:\{([A-Za-z0-9_]+)(:-[^}]*)?\}|([A-Za-z0-9_]+))/g,
  )) {
    const name = match[1] ?? match[3] ?? '';
    if (match[2] === undefined && !known(name)) return name;
  }
  return undefined;
}
