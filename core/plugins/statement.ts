/** What a handler may run on the store: one statement, and none that ends or leaves the run's transaction. */

/** Strings, quoted names and comments as wholes, then words, then every other character. */
const token =
  /'(?:[^']|'')*'|"(?:[^"]|"")*"|`[^`]*`|\[[^\]]*\]|--[^\n]*|\/\*[\s\S]*?(?:\*\/|$)|\w+|\S/g;

const refused = new Set(
  'attach begin commit detach end pragma release rollback savepoint vacuum'.split(' '),
);

/** Throws where `sql` is more than one statement, which SQLite would silently cut off, or not for a run. */
export function checkStatement(sql: string): void {
  let first: string | undefined;
  let ended = false;
  for (const [text] of sql.matchAll(token)) {
    if (text.startsWith('--') || text.startsWith('/*')) continue;
    first ??= text.toLowerCase();
    if (text === ';') ended = true;
    // The body of a trigger is made of statements.
    else if (ended && first !== 'create') throw new Error('one statement at a time');
  }
  if (first === undefined) throw new Error('there is no statement');
  if (refused.has(first)) {
    throw new Error(`a run is one transaction already, and cannot ${first}`);
  }
}

/** Throws where `value` cannot be bound. */
export function checkValue(value: unknown, index: number): void {
  if (value === null || value instanceof Uint8Array) return;
  if (['string', 'number', 'bigint', 'boolean'].includes(typeof value)) return;
  const what = value === undefined ? 'undefined; write null where that is meant' : typeof value;
  throw new TypeError(`value ${index + 1} of the statement is ${what}`);
}
