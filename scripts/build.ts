/**
 * Builds the executables into dist/: `bellhop` for this machine, and with no argument those for Linux
 * on x64 and arm64 as well. `bun scripts/build.ts host` builds only the first.
 *
 * The runtime of another architecture is fetched from the npm registry by Bun, once.
 */
import { mkdirSync, rmSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
process.chdir(root);

/** The program, what its threads begin with, and what `bellhop test` gives to the tests. */
const entryPoints = [
  'index.ts',
  'core/plugins/test-preload.ts',
  ...[...new Bun.Glob('core/*/{worker,*-thread}.ts').scanSync()].sort(),
];

const targets = {
  host: { outfile: 'dist/bellhop', target: undefined },
  'linux-x64': { outfile: 'dist/bellhop-linux-x64', target: 'bun-linux-x64' },
  'linux-arm64': { outfile: 'dist/bellhop-linux-arm64', target: 'bun-linux-arm64' },
} as const;
type Target = keyof typeof targets;

function run(command: readonly string[]): string {
  const { exitCode, stdout, stderr } = Bun.spawnSync([...command], { stderr: 'pipe' });
  if (exitCode !== 0) throw new Error(`${command.join(' ')}\n${stdout}${stderr}`);
  return stdout.toString().trim();
}

/** The commit that is built, with a `+` where files differ from it. */
function commit(): string {
  const fromOutside = process.env.BUILD_COMMIT;
  if (fromOutside !== undefined && fromOutside !== '') return fromOutside.slice(0, 12);
  try {
    const id = run(['git', 'rev-parse', '--short=12', 'HEAD']);
    return run(['git', 'status', '--porcelain', '--untracked-files=no']) === '' ? id : `${id}+`;
  } catch {
    return 'unknown commit';
  }
}

function build(name: Target, buildCommit: string): void {
  const { outfile, target } = targets[name];
  const startedAt = performance.now();
  run([
    process.execPath,
    'build',
    '--compile',
    // A bunfig.toml where the broker happens to be started could preload code into it.
    '--no-compile-autoload-bunfig',
    // Plugins on disk resolve their packages and paths as under Bun, by the manifests that lie beside them.
    '--compile-autoload-package-json',
    '--compile-autoload-tsconfig',
    // Smaller, and stack traces still name our files, lines and functions.
    '--minify-syntax',
    '--minify-whitespace',
    '--sourcemap',
    '--define',
    `BUILD_COMMIT=${JSON.stringify(buildCommit)}`,
    ...(target === undefined ? [] : [`--target=${target}`]),
    ...entryPoints,
    '--outfile',
    outfile,
  ]);
  const megabytes = (Bun.file(outfile).size / 1e6).toFixed(0);
  const seconds = ((performance.now() - startedAt) / 1_000).toFixed(1);
  console.log(`${outfile}  ${megabytes} MB  ${seconds} s`);
}

const wanted = process.argv.slice(2);
const known = Object.keys(targets) as Target[];
const unknown = wanted.find((name) => !known.includes(name as Target));
if (unknown !== undefined) {
  console.error(`there is no target ${unknown}; choose from ${known.join(', ')}`);
  process.exit(2);
}
mkdirSync('dist', { recursive: true });
const buildCommit = commit();
for (const name of wanted.length > 0 ? (wanted as Target[]) : known) build(name, buildCommit);
// The executables hold their source maps; Bun leaves copies beside them.
for (const map of new Bun.Glob('dist/*.map').scanSync()) rmSync(map);
