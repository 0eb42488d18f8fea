/** The thread that takes one version while the broker serves: copies, hashes and migrates beside the loop. */
import { type TakeRequest, takeVersion } from './version.ts';

addEventListener('message', ({ data }: MessageEvent<TakeRequest>) => {
  postMessage(takeVersion(data));
});
