/**
 * Reads a page of docs/ as something to be done: its fenced blocks with a language and a word behind it.
 *
 *     ```console phone      a terminal called phone; ```console alone is the first one
 *     $ bellhop sub …       what is typed there
 *     subscribed to …       what is to be read there; `…` stands for anything, alone on a line for any lines
 *
 *     ```ts plugins/a.ts    a file to be saved
 */

export type Step =
  | { readonly kind: 'save'; readonly line: number; readonly path: string; readonly text: string }
  | {
      readonly kind: 'type';
      readonly line: number;
      readonly terminal: string;
      readonly command: string;
      readonly expected: readonly string[];
    }
  | {
      readonly kind: 'read';
      readonly line: number;
      readonly terminal: string;
      readonly expected: readonly string[];
    };

/** The terminal of blocks that name none. */
export const FIRST_TERMINAL = '';

/** What there is to do in the part of the page under `heading`, up to the next heading of its level. */
export function stepsOf(page: string, heading: string): readonly Step[] {
  const lines = page.split('\n');
  const from = lines.indexOf(heading);
  if (from < 0) throw new Error(`the page has no heading ${heading}`);
  const level = heading.slice(0, heading.indexOf(' ') + 1);
  const steps: Step[] = [];
  for (let index = from + 1; index < lines.length; index++) {
    const line = lines[index] ?? '';
    if (line.startsWith(level)) break;
    const [, language, word = ''] = /^```(\w*) ?(.*)$/.exec(line) ?? [];
    if (language === undefined) continue;
    const end = lines.indexOf('```', index + 1);
    const body = lines.slice(index + 1, end);
    if (language === 'console') steps.push(...consoleSteps(body, word, index + 2));
    else if (word !== '') {
      steps.push({ kind: 'save', line: index + 1, path: word, text: `${body.join('\n')}\n` });
    }
    index = end;
  }
  return steps;
}

function consoleSteps(body: readonly string[], terminal: string, firstLine: number): Step[] {
  const steps: Step[] = [];
  let expected: string[] = [];
  for (const [index, text] of body.entries()) {
    const line = firstLine + index;
    if (text.startsWith('$ ')) {
      expected = [];
      steps.push({ kind: 'type', line, terminal, command: text.slice(2), expected });
      continue;
    }
    if (steps.length === 0) steps.push({ kind: 'read', line, terminal, expected });
    expected.push(text);
  }
  return steps;
}

/** Whether `line` is what the page says. An ellipsis with blanks around it may stand for nothing, and then so do they. */
export function isLine(said: string, line: string): boolean {
  const pattern = said
    .replace(/[\\^$.*+?()[\]{}|]/g, '\\$&')
    .replace(/^… /, '(?:.* )?')
    .replace(/ …$/, '(?: .*)?')
    .replaceAll(' … ', ' (?:.* )?')
    .replaceAll('…', '.*');
  return new RegExp(`^${pattern}$`).test(line);
}

/** Whether `lines` are what the page says, from the first to the last. */
export function areLines(said: readonly string[], lines: readonly string[]): boolean {
  const [first, ...rest] = said;
  if (first === undefined) return lines.length === 0;
  if (first !== '…') {
    const [line, ...others] = lines;
    return line !== undefined && isLine(first, line) && areLines(rest, others);
  }
  for (let skipped = 0; skipped <= lines.length; skipped++) {
    if (areLines(rest, lines.slice(skipped))) return true;
  }
  return false;
}
