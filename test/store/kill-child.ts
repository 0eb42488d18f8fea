/**
 * A process that is to be killed: it goes on with the history of `kill-history.ts` where the data
 * folder ends, and says which turns are stored as soon as it is told so.
 */
import { writeSync } from 'node:fs';
import { openStorage } from '../../core/store/storage.ts';
import { turnOf } from './kill-history.ts';
import { joinSnapshot } from './ledger.ts';

const [folder = '', durability] = process.argv.slice(2);
/** How many changes the turns up to each come to, the first being the turn behind `last`. */
const positions: { readonly turn: number; readonly position: number }[] = [];
let position = 0;

const { storage, snapshot } = await openStorage({
  folder,
  durability: durability === 'fsync' ? 'fsync' : 'os',
  stored(count) {
    while (positions[0] !== undefined && positions[0].position <= count) {
      writeSync(1, `${positions.shift()?.turn}\n`);
    }
  },
  fetched() {},
  status(status) {
    if (!status.ok) throw new Error(status.reason);
  },
  fault(detail) {
    throw new Error(detail);
  },
});
let turn = joinSnapshot(snapshot).lastSequence;
writeSync(1, `${turn}\n`);

function goOn(): void {
  for (let burst = turn % 50; burst >= 0; burst--) {
    turn++;
    for (const change of turnOf(turn)) {
      storage.keep(change);
      position++;
    }
    positions.push({ turn, position });
  }
  storage.post();
  setTimeout(goOn, 0);
}
goOn();
