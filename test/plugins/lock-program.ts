/** A worker that waits for the right to write, and tells. */
import { WriteLock } from '../../core/plugins/write-lock.ts';

addEventListener('message', ({ data }) => {
  new WriteLock(data, 2, (waiting) => {
    if (waiting) postMessage('waits');
  }).take();
  postMessage('taken');
});
