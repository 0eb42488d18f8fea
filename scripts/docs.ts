/**
 * Prints the pages under docs/ that come from the code, and the types that `bellhop init` writes. With
 * `--check` it writes nothing, and fails where a page is not what it would be.
 */
import { configurationPage } from '../core/ops/settings-text.ts';
import { conformancePage } from './conformance.ts';
import { sdkTypes } from './sdk-types.ts';

const pages: { readonly [path: string]: () => string } = {
  'docs/configuration.md': configurationPage,
  'docs/conformance.md': conformancePage,
  'core/cli/starter/bellhop.d.ts.txt': sdkTypes,
};

const check = process.argv.includes('--check');
const root = new URL('..', import.meta.url);
for (const [path, print] of Object.entries(pages)) {
  const file = Bun.file(new URL(path, root));
  const current = (await file.exists()) ? await file.text() : '';
  const wanted = print();
  if (current === wanted) continue;
  if (check) {
    console.error(`${path} is out of date: run \`bun run docs\``);
    process.exitCode = 1;
  } else {
    await Bun.write(file, wanted);
    console.log(`${path} written`);
  }
}
