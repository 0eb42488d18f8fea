/**
 * JSON (RFC 8259) for files that people write by hand and security rests on: it says where a mistake
 * is, and takes a name that stands twice in an object for one. `JSON.parse` does neither: it would
 * keep the last of two `"roles"` without a word.
 */

/** Where and what, as `line 3, column 7: expected a comma`. */
export class JsonProblem extends Error {}

/** Deeper than any file of ours, and far from what recursion can bear. */
const MAXIMUM_DEPTH = 32;

// RFC 8259 section 7 forbids the control characters of ASCII in strings, and neither DEL nor C1.
const token =
  /[ \t\n\r]*([{}[\],:]|"(?:[^"\\\p{Cc}]|[\u007f-\u009f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?\b|(?:true|false|null)\b)/uy;

/** Reads the whole of `text` as one value. Throws `JsonProblem`. */
export function parseStrictJson(text: string): unknown {
  const reader = new Reader(text);
  const value = reader.value(0);
  reader.end();
  return value;
}

/**
 * `value` as an object that has no other members than `names`. `place` is what it is called in the
 * message. Throws `JsonProblem`.
 */
export function readObject(
  value: unknown,
  place: string,
  names: readonly string[],
): Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new JsonProblem(`${place} must be an object`);
  }
  for (const name of Object.keys(value)) {
    if (!names.includes(name)) {
      throw new JsonProblem(
        `${place} has ${JSON.stringify(name)}; it may have ${names.join(', ')}`,
      );
    }
  }
  return { ...value };
}

class Reader {
  readonly #text: string;
  /** Behind the current token, and where it begins. */
  #at = 0;
  #start = 0;

  constructor(text: string) {
    this.#text = text;
  }

  value(depth: number): unknown {
    const next = this.#next('a value');
    if (next === '{') return this.#object(depth + 1);
    if (next === '[') return this.#array(depth + 1);
    if (/^[\]},:]/.test(next)) this.#fail(`expected a value, not ${next}`);
    return JSON.parse(next);
  }

  end(): void {
    this.#start = this.#skipSpace();
    if (this.#start < this.#text.length) this.#fail('expected nothing more');
  }

  #object(depth: number): Record<string, unknown> {
    this.#checkDepth(depth);
    const members = new Map<string, unknown>();
    let next = this.#next('a name or }');
    while (next !== '}') {
      if (!next.startsWith('"')) this.#fail(`expected a name in quotes, not ${next}`);
      const name = JSON.parse(next) as string;
      if (members.has(name)) this.#fail(`${next} stands twice`);
      if (this.#next('a colon') !== ':') this.#fail('expected a colon');
      members.set(name, this.value(depth));
      next = this.#next('a comma or }');
      if (next === '}') break;
      if (next !== ',') this.#fail(`expected a comma or }, not ${next}`);
      next = this.#next('a name');
      if (next === '}') this.#fail('a comma without a member behind it');
    }
    return Object.fromEntries(members);
  }

  #array(depth: number): unknown[] {
    this.#checkDepth(depth);
    const items: unknown[] = [];
    const start = this.#at;
    if (this.#next('a value or ]') === ']') return items;
    this.#at = start;
    for (;;) {
      items.push(this.value(depth));
      const next = this.#next('a comma or ]');
      if (next === ']') return items;
      if (next !== ',') this.#fail(`expected a comma or ], not ${next}`);
    }
  }

  #next(wanted: string): string {
    token.lastIndex = this.#at;
    const found = token.exec(this.#text)?.[1];
    if (found === undefined) {
      this.#start = this.#skipSpace();
      const isEnd = this.#start === this.#text.length;
      this.#fail(isEnd ? `expected ${wanted}, found the end` : `expected ${wanted}`);
    }
    this.#at = token.lastIndex;
    this.#start = this.#at - found.length;
    return found;
  }

  /** Where the next thing begins: JSON knows four kinds of space, JavaScript many more. */
  #skipSpace(): number {
    let at = this.#at;
    while (' \t\n\r'.includes(this.#text[at] ?? 'x')) at++;
    return at;
  }

  #checkDepth(depth: number): void {
    if (depth > MAXIMUM_DEPTH) this.#fail(`more than ${MAXIMUM_DEPTH} levels`);
  }

  #fail(what: string): never {
    const lines = this.#text.slice(0, this.#start).split('\n');
    throw new JsonProblem(
      `line ${lines.length}, column ${(lines.at(-1) ?? '').length + 1}: ${what}`,
    );
  }
}
