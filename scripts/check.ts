/**
 * Every check there is, as `npm test` and the CI run them: format and lint, types, pages that are
 * printed from the code, the executable, and all tests, those of the executable included. The last
 * line is `N passed, N failed`; a check that is no test counts as one.
 */
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
process.chdir(root);
const binary = join(root, 'dist', 'bellhop');
const scratch = mkdtempSync(join(tmpdir(), 'bellhop-check-'));
let passed = 0;
let failed = 0;

function run(command: readonly string[], env: { readonly [name: string]: string } = {}): boolean {
  const { exitCode } = Bun.spawnSync([...command], {
    stdio: ['ignore', 'inherit', 'inherit'],
    env: { ...process.env, ...env },
  });
  return exitCode === 0;
}

/** Runs a check that is no test. */
function check(title: string, command: readonly string[]): void {
  console.log(`\n— ${title}`);
  if (run(command)) passed++;
  else failed++;
}

/** Runs tests and adds up what they report; whatever else goes wrong counts as one failure. */
function test(title: string, options: readonly string[]): void {
  console.log(`\n— ${title}`);
  const report = join(scratch, 'tests.xml');
  const reporter = ['--reporter=junit', `--reporter-outfile=${report}`];
  const fine = run(
    [process.execPath, 'test', '--timeout=30000', '--only-failures', ...reporter, ...options],
    {
      BELLHOP_BIN: binary,
    },
  );
  const counts = countsOf(existsSync(report) ? readFileSync(report, 'utf8') : '');
  passed += counts.passed;
  failed += fine ? counts.failed : Math.max(1, counts.failed);
}

/** Reads the totals of a JUnit report. */
function countsOf(report: string): { passed: number; failed: number } {
  const totals = /<testsuites\b[^>]*>/.exec(report)?.[0] ?? '';
  const total = (name: string) => Number(new RegExp(`\\b${name}="(\\d+)"`).exec(totals)?.[1] ?? 0);
  const unsuccessful = total('failures');
  return { passed: total('tests') - unsuccessful - total('skipped'), failed: unsuccessful };
}

const packages = join(root, 'node_modules', '.bin');
const startedAt = performance.now();
check('format and lint', [join(packages, 'biome'), 'ci', '--error-on-warnings', '--colors=off']);
check('types', [join(packages, 'tsc'), '--noEmit']);
check('pages printed from the code', [process.execPath, 'scripts/docs.ts', '--check']);
check('the executable', [process.execPath, 'scripts/build.ts', 'host']);
for (const script of ['crash', 'crash-handlers']) {
  const kills = ['--cycles', '25', '--seed', '1'];
  check(`25 kills: ${script}`, [process.execPath, `scripts/${script}.ts`, ...kills]);
}
test('tests', process.argv.slice(2));
rmSync(scratch, { recursive: true });

console.log(`\n${((performance.now() - startedAt) / 1_000).toFixed(0)} s`);
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed === 0 ? 0 : 1;
