/**
 * Prints the types that `bellhop init` puts beside the plugins: the SDK's own, as `tsc` emits them,
 * gathered into the ambient modules `bellhop` and `bellhop/test`. Of each source only what its
 * module exports, and what that mentions, is taken; what is marked `@internal` is not.
 */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));

/** The modules, with the source that each is made of; the second imports from the first. */
const modules = [
  { name: 'bellhop', source: 'handler' },
  { name: 'bellhop/test', source: 'kit' },
] as const;

const head = `// The types of \`bellhop\` and \`bellhop/test\`, as this version has them. \`bellhop init\` writes this
// file anew; what you write here is lost.
`;

/** A top-level declaration, with the comment above it. */
interface Declaration {
  readonly name: string;
  readonly text: string;
  readonly exported: boolean;
}

export function sdkTypes(): string {
  const emitted = emit(modules.map(({ source }) => `core/plugins/${source}.ts`));
  const sdk = new Set<string>();
  const blocks = modules.map(({ name, source }) => {
    const exported = exportsOf(emitted.get(source) ?? '');
    const own = reachable(source, exported, emitted, sdk);
    const mentioned = new Set(own.flatMap(mentionsOf));
    const imported = [...sdk].filter((each) => mentioned.has(each)).sort();
    if (sdk.size === 0) for (const each of exported) sdk.add(each);
    const lines = own.map((each) => printed(each, exported));
    if (imported.length > 0)
      lines.unshift(`import type { ${imported.join(', ')} } from 'bellhop';`);
    // Without this, whatever is declared here would count as exported.
    return `declare module '${name}' {\n${[...lines, 'export {};'].join('\n\n')}\n}\n`;
  });
  return formatted([head, ...blocks].join('\n'));
}

function formatted(text: string): string {
  const { exitCode, stdout, stderr } = Bun.spawnSync(
    [join(root, 'node_modules', '.bin', 'biome'), 'format', '--stdin-file-path=bellhop.d.ts'],
    { cwd: root, stdin: Buffer.from(text) },
  );
  if (exitCode !== 0) throw new Error(`biome: ${stderr}`);
  return stdout.toString();
}

/** The declaration files of `sources` and of what they import, by name. */
function emit(sources: readonly string[]): ReadonlyMap<string, string> {
  const folder = mkdtempSync(join(tmpdir(), 'bellhop-types-'));
  try {
    const { exitCode, stdout } = Bun.spawnSync(
      [
        join(root, 'node_modules', '.bin', 'tsc'),
        ...['--ignoreConfig', '--declaration', '--emitDeclarationOnly', '--stripInternal'],
        ...['--outDir', folder, '--rootDir', join(root, 'core'), '--types', 'bun'],
        ...['--target', 'ESNext', '--module', 'Preserve', '--moduleResolution', 'bundler'],
        ...['--allowImportingTsExtensions', '--resolveJsonModule', '--noCheck'],
        ...['--strict', '--exactOptionalPropertyTypes', '--newLine', 'lf'],
        ...sources,
      ],
      { cwd: root },
    );
    if (exitCode !== 0) throw new Error(`tsc: ${stdout}`);
    const files = readdirSync(folder, { recursive: true, encoding: 'utf8' });
    return new Map(
      files
        .filter((file) => file.startsWith('plugins/') || file === 'mqtt/topic.d.ts')
        .filter((file) => file.endsWith('.d.ts'))
        .map((file) => [basename(file, '.d.ts'), readFileSync(join(folder, file), 'utf8')]),
    );
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** The names that a module exports: what it declares so, and what it passes on. */
function exportsOf(text: string): ReadonlySet<string> {
  const passedOn = [...text.matchAll(/^export (?:type )?\{([^}]*)\}/gm)].flatMap(([, names = '']) =>
    namesIn(names),
  );
  const declared = declarationsOf(text).filter(({ exported }) => exported);
  return new Set([...declared.map(({ name }) => name), ...passedOn]);
}

/** Declarations of what `file` exports and of all that they mention, but for those that are `known`. */
function reachable(
  file: string,
  names: ReadonlySet<string>,
  emitted: ReadonlyMap<string, string>,
  known: ReadonlySet<string>,
): readonly Declaration[] {
  const taken = new Map<string, Declaration & { readonly file: string }>();
  const wanted = [...names].map((name) => ({ name, file }));
  for (let next = wanted.shift(); next !== undefined; next = wanted.shift()) {
    const declared = known.has(next.name) ? undefined : resolve(next.name, next.file, emitted);
    if (declared === undefined) continue;
    const other = taken.get(next.name);
    if (other !== undefined && other.file !== declared.file) {
      throw new Error(`${next.name} is one thing in ${other.file} and another in ${declared.file}`);
    }
    if (other !== undefined) continue;
    taken.set(next.name, declared);
    wanted.push(...mentionsOf(declared).map((name) => ({ name, file: declared.file })));
  }
  const missing = [...names].filter((name) => !taken.has(name) && !known.has(name));
  if (missing.length > 0) throw new Error(`${file} exports ${missing}, which nothing declares`);
  return [...taken.values()];
}

/** What `name` is within `file`: declared there, or brought from another; undefined for names of the language. */
function resolve(
  name: string,
  file: string,
  emitted: ReadonlyMap<string, string>,
): (Declaration & { readonly file: string }) | undefined {
  const text = emitted.get(file) ?? '';
  const own = declarationsOf(text).find((declaration) => declaration.name === name);
  if (own !== undefined) return { ...own, file };
  for (const [, names = '', from = ''] of text.matchAll(bringsPattern)) {
    if (namesIn(names).includes(name)) return resolve(name, basename(from, '.ts'), emitted);
  }
  return undefined;
}

const bringsPattern = /^(?:import|export) (?:type )?\{([^}]*)\} from '([^']+)'/gm;

function namesIn(list: string): readonly string[] {
  return list
    .split(',')
    .map((name) => name.trim().replace(/^type /, ''))
    .filter((name) => name !== '');
}

/** Every name in it, comments aside. */
function mentionsOf({ text }: Declaration): readonly string[] {
  return text.replace(/\/\*[\s\S]*?\*\//g, '').match(/[A-Za-z_]\w*/g) ?? [];
}

/** Reads what `tsc` emitted: whatever begins at the left edge begins a declaration. */
function declarationsOf(text: string): readonly Declaration[] {
  const found: Declaration[] = [];
  const pattern =
    /^(?:\/\*\*(?:(?!\*\/)[\s\S])*\*\/\n)?((?:export )?(?:declare )?(?:const|function|class|interface|type) (\w+)[^\n]*(?:\n(?:[ \t}\])][^\n]*|(?=\n)))*)/gm;
  for (const match of text.matchAll(pattern)) {
    const [whole, code = '', name = ''] = match;
    found.push({ name, text: whole.trimEnd(), exported: code.startsWith('export ') });
  }
  return found;
}

/** As it stands inside of an ambient module, where everything is declared and only some of it exported. */
function printed({ name, text }: Declaration, wanted: ReadonlySet<string>): string {
  const exported = wanted.has(name) ? 'export ' : '';
  return text.replace(
    /^(?:export )?(?:declare )?(?=(?:const|function|class|interface|type) )/m,
    exported,
  );
}
