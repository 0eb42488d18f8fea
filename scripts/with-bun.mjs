/**
 * Runs a TypeScript file of this repository with Bun, installing first what is missing: Bun itself,
 * at the version that package.json pins, and the dependencies. It is what `npm start` and `npm test`
 * call on a machine that has only Node, so it is plain JavaScript without dependencies.
 *
 *   node scripts/with-bun.mjs <file> [arguments…]
 */
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const tools = join(root, '.tools');
const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
const pinned = manifest.packageManager.replace('bun@', '');

/** The version that `bun` is, undefined where it does not run. */
function versionOf(bun) {
  const { status, stdout } = spawnSync(bun, ['--version'], { encoding: 'utf8' });
  return status === 0 ? stdout.trim() : undefined;
}

function isAtLeast(version, wanted) {
  const [have, want] = [version, wanted].map((text) => text.split(/[.-]/).map(Number));
  for (let part = 0; part < 3; part++) {
    if (have[part] !== want[part]) return have[part] > want[part];
  }
  return true;
}

/**
 * Where the `bun` npm package puts the executable. npm may have been told to run no install scripts;
 * then its own copy is a placeholder, and the real one is in the package for this platform.
 */
function bunsOfTools() {
  const platform = process.platform === 'win32' ? 'windows' : process.platform;
  const architecture = process.arch === 'arm64' ? 'aarch64' : process.arch;
  const variants = ['', '-musl', '-baseline', '-musl-baseline'];
  return [
    join(tools, 'node_modules', 'bun', 'bin', 'bun.exe'),
    ...variants.map((variant) =>
      join(
        tools,
        'node_modules',
        '@oven',
        `bun-${platform}-${architecture}${variant}`,
        'bin',
        'bun',
      ),
    ),
  ].filter(existsSync);
}

function findBun() {
  const candidates = [...(process.versions.bun ? [process.execPath] : ['bun']), ...bunsOfTools()];
  return candidates.find((bun) => {
    const version = versionOf(bun);
    return version !== undefined && isAtLeast(version, pinned);
  });
}

function fail(message, details = '') {
  if (details) process.stderr.write(`${details.trimEnd()}\n`);
  process.stderr.write(`bellhop: ${message}\n`);
  process.exit(1);
}

function installBun() {
  process.stderr.write(`Installing Bun ${pinned} into .tools/ …\n`);
  const npm = process.platform === 'win32' ? 'npm.cmd' : 'npm';
  const flags = ['--no-save', '--no-package-lock', '--no-audit', '--no-fund', '--loglevel=error'];
  const { status, stderr, error } = spawnSync(
    npm,
    ['install', '--prefix', tools, ...flags, `bun@${pinned}`],
    { encoding: 'utf8', cwd: root },
  );
  const bun = findBun();
  if (status !== 0 || bun === undefined) {
    fail(
      `Bun ${pinned} could not be installed: check the network, or install Bun yourself (https://bun.com)`,
      stderr ?? String(error),
    );
  }
  return bun;
}

function installDependencies(bun) {
  if (!existsSync(join(root, 'node_modules'))) {
    process.stderr.write('Installing dependencies …\n');
  }
  const { status, stdout, stderr } = spawnSync(bun, ['install', '--frozen-lockfile'], {
    encoding: 'utf8',
    cwd: root,
  });
  if (status !== 0) fail('the dependencies could not be installed', `${stdout}${stderr}`);
}

const [file, ...rest] = process.argv.slice(2);
if (file === undefined) fail('usage: node scripts/with-bun.mjs <file> [arguments…]');

const bun = findBun() ?? installBun();
installDependencies(bun);

const child = spawn(bun, [join(root, file), ...rest], {
  stdio: 'inherit',
  env: { ...process.env, PATH: [dirname(bun), process.env.PATH].join(delimiter) },
});
// The terminal sends SIGINT to the child as well; a second one from here would cut its drain short.
process.on('SIGINT', () => {});
for (const signal of ['SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
child.on('error', (error) => fail(`${bun} does not run: ${error.message}`));
child.on('exit', (code, signal) => {
  process.exit(signal === null ? (code ?? 1) : 1);
});
