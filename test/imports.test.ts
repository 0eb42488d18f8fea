/**
 * The dependency rule of docs/architecture.md, over the import lines: a folder knows only what stands
 * to its left, the core touches nothing outside of itself, and each library stays in its files.
 */
import { expect, test } from 'bun:test';
import { dirname, join, normalize } from 'node:path';

const root = new URL('..', import.meta.url).pathname;

/**
 * Folders in the order of the rule; those of one rank do not know each other. `bench` is a client that
 * shares the codec with the broker and nothing else, so no part of the broker can come to need it.
 */
const ranks: readonly (readonly string[])[] = [
  ['mqtt'],
  ['session', 'routing', 'auth'],
  ['broker'],
  ['store', 'plugins', 'net', 'http', 'cluster'],
  ['ops'],
  ['bench'],
  ['cli'],
];

/** Within a rank, and against it: who may know whom all the same, and why. */
const exceptions: readonly { readonly from: RegExp; readonly to: RegExp; readonly why: string }[] =
  [
    {
      from: /^core\/session\//,
      to: /^core\/(auth|routing)\//,
      why: 'a subscription has its standing and its group',
    },
    { from: /^core\/auth\//, to: /^core\/broker\/outbox\.ts$/, why: 'types of time and verdict' },
    {
      from: /^core\/plugins\/mark\.ts$/,
      to: /^core\/store\/(message-form|packed)\.ts$/,
      why: 'what a run sent lies in its mark as messages lie in the file of the broker',
    },
    {
      from: /^core\/plugins\/(crew|live)\.ts$/,
      to: /^core\/store\/descriptors\.ts$/,
      why: 'a thread wants file descriptors, whoever begins it',
    },
    {
      from: /^core\/http\//,
      to: /^core\/net\//,
      why: 'the HTTPS listener carries MQTT over WebSocket, and shows what the sockets count',
    },
  ];

/** The pure part: no clock, no IO, no runtime. */
const isPure = (path: string) =>
  /^core\/(mqtt|session|routing|broker)\//.test(path) ||
  /^core\/auth\/(rights|user-topic|commands|grants|filter-levels)\.ts$/.test(path) ||
  path === 'core/plugins/handler.ts' ||
  path === 'core/cluster/bus.ts';

/** Where each library may be imported; docs/architecture.md says why it is there. */
const confined: { readonly [library: string]: RegExp } = {
  'mqtt-packet': /^core\/mqtt\/rare-packets\.ts$/,
  jose: /^core\/(auth\/(token|jwks)|cli\/mint)\.ts$/,
  cborg: /^core\/plugins\/cbor\.ts$/,
  croner: /^core\/plugins\/schedule\.ts$/,
  hono: /^core\/http\//,
  mqtt: /^core\/(cli\/|plugins\/remote\.ts$)/,
};

interface Import {
  readonly from: string;
  /** A path from the root, or the name of a package. */
  readonly to: string;
  readonly typeOnly: boolean;
}

const importLine =
  /(?:^|\n)\s*(import|export)\s+(type\s)?(?:[\w*${}\s,]+?\sfrom\s+)?['"]([^'"]+)['"]|\bimport\(\s*['"]([^'"]+)['"]\s*\)/g;

async function importsOf(path: string): Promise<Import[]> {
  const text = await Bun.file(join(root, path)).text();
  return [...text.matchAll(importLine)].map((match) => {
    const written = match[3] ?? match[4] ?? '';
    const to = written.startsWith('.') ? normalize(join(dirname(path), written)) : written;
    return { from: path, to, typeOnly: match[2] !== undefined };
  });
}

const files = [...new Bun.Glob('core/**/*.ts').scanSync(root), 'index.ts'].sort();
const imports = (await Promise.all(files.map(importsOf))).flat();

function rankOf(path: string): number {
  if (!path.startsWith('core/')) return path === 'index.ts' ? ranks.length : -1;
  const folder = path.split('/')[1] ?? '';
  const rank = ranks.findIndex((folders) => folders.includes(folder));
  if (rank < 0) throw new Error(`${path}: its folder has no place in the rule`);
  return rank;
}

const folderOf = (path: string) => path.split('/').slice(0, 2).join('/');
const shown = ({ from, to }: Import) => `${from} → ${to}`;

test('the lines are found at all', () => {
  expect(imports.length).toBeGreaterThan(files.length);
});

test('a folder knows only what stands to its left', () => {
  const against = imports.filter(({ from, to }) => {
    if (!to.startsWith('core/') || folderOf(from) === folderOf(to)) return false;
    if (rankOf(to) < rankOf(from)) return false;
    return !exceptions.some((exception) => exception.from.test(from) && exception.to.test(to));
  });
  expect(against.map(shown)).toEqual([]);
});

test('no exception to that is without use', () => {
  const unused = exceptions.filter(
    (exception) =>
      !imports.some(({ from, to }) => exception.from.test(from) && exception.to.test(to)),
  );
  expect(unused.map(({ why }) => why)).toEqual([]);
});

test('the core knows nothing of the runtime, and no library but the codec its own', () => {
  const outside = imports.filter(
    ({ from, to }) =>
      isPure(from) &&
      !to.startsWith('core/') &&
      to !== 'node:assert' &&
      !(confined[to]?.test(from) ?? false),
  );
  expect(outside.map(shown)).toEqual([]);
});

test('the core reads no clock, rolls no dice, waits for nothing', async () => {
  const found: string[] = [];
  for (const path of files.filter(isPure)) {
    const text = (await Bun.file(join(root, path)).text()).replace(/\/\*[\s\S]*?\*\/|\/\/.*/g, '');
    const use =
      /\b(Date\.now|new Date|performance\.|Math\.random|crypto\.|setTimeout|setInterval|setImmediate|queueMicrotask|Promise\b|await\s|async\s|process\.|Bun\.|console\.)/.exec(
        text,
      );
    if (use !== null) found.push(`${path}: ${use[0]}`);
  }
  expect(found).toEqual([]);
});

test('each library stays in its files', () => {
  const astray = imports.filter(({ from, to }) => {
    if (to.startsWith('core/') || to.startsWith('.') || /^(node|bun):/.test(to)) return false;
    const library = to.startsWith('@') ? to.split('/', 2).join('/') : (to.split('/')[0] ?? '');
    return library in confined ? !confined[library]?.test(from) : !isKnown(from, to);
  });
  expect(astray.map(shown)).toEqual([]);
});

/** What is neither a library nor ours: the runtime's own types, our SDK by its public name, package.json. */
function isKnown(from: string, to: string): boolean {
  if (to === 'bun' || to === 'package.json') return true;
  return to === 'bellhop' && from.startsWith('core/plugins/');
}

test('no file imports itself in a circle, types aside', () => {
  const edges = new Map<string, string[]>();
  for (const { from, to, typeOnly } of imports) {
    if (!typeOnly) edges.set(from, [...(edges.get(from) ?? []), to]);
  }
  const done = new Set<string>();
  const circles: string[] = [];
  const visit = (path: string, way: readonly string[]): void => {
    if (way.includes(path)) circles.push([...way.slice(way.indexOf(path)), path].join(' → '));
    if (done.has(path) || way.includes(path)) return;
    for (const next of edges.get(path) ?? []) visit(next, [...way, path]);
    done.add(path);
  };
  for (const path of files) visit(path, []);
  expect(circles).toEqual([]);
});
