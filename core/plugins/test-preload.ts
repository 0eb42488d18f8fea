/** What `bellhop test` has Bun load before the tests: `bellhop` and `bellhop/test`, for whatever imports them. */
import * as kit from './kit.ts';
import { provideSdk } from './module.ts';

provideSdk();
Bun.plugin({
  name: 'bellhop/test',
  setup(build) {
    build.module('bellhop/test', () => ({ exports: kit, loader: 'object' }));
  },
});
