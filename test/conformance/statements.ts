/**
 * The numbered statements of both standards, from the two tables beside this file, and the tests that
 * name them: what `docs/conformance.md` is printed from. 5.0 is written `MQTT-…`, 3.1.1 `MQTT3-…`.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

export interface Statement {
  /** `MQTT-3.1.0-1`, or `MQTT3-3.1.0-1`. */
  readonly id: string;
  readonly binds: 'server' | 'client' | 'both';
  readonly text: string;
  /** Why there is no test; undefined where one is wanted. */
  readonly reason: string | undefined;
}

/** A test whose name begins with the statements that decide it. */
export interface NamedTest {
  /** Below `test/`. */
  readonly file: string;
  readonly statements: readonly string[];
  /** Without the statements. */
  readonly name: string;
}

const testFolder = join(import.meta.dir, '..');

function readTable(file: string): Statement[] {
  const lines = readFileSync(join(import.meta.dir, file), 'utf8').split('\n');
  return lines
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map((line) => {
      const [id = '', binds = '', text = '', reason] = line.split(' | ');
      if (!/^MQTT3?-[\d.]+-\d+$/.test(id)) throw new Error(`${file}: no statement in: ${line}`);
      if (binds !== 'server' && binds !== 'client' && binds !== 'both') {
        throw new Error(`${file}: ${id} binds neither server nor client nor both`);
      }
      return { id, binds, text, reason };
    });
}

export const mqtt5: readonly Statement[] = readTable('mqtt-5.0.txt');
export const mqtt311: readonly Statement[] = readTable('mqtt-3.1.1.txt');

/** A string that is an argument, a value or an element and begins with a statement: how tests are named here. */
const testName = /[(:,[]\s*(['"`])((?:\[MQTT3?-[\d.]+-\d+\] ?)+)((?:\\.|(?!\1)[^\\])*)\1/g;

/** The tests below `test/` that name statements, by file and in the order in which they stand there. */
export function findTests(): NamedTest[] {
  const found: NamedTest[] = [];
  for (const file of readdirSync(testFolder, { recursive: true, encoding: 'utf8' }).sort()) {
    if (!file.endsWith('.test.ts')) continue;
    const source = readFileSync(join(testFolder, file), 'utf8');
    for (const [, , statements = '', name = ''] of source.matchAll(testName)) {
      found.push({
        file,
        statements: [...statements.matchAll(/MQTT3?-[\d.]+-\d+/g)].map(([id]) => id),
        name: name.replace(/\\(.)/g, '$1').trim(),
      });
    }
  }
  return found;
}
