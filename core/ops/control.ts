/** The control socket of a broker, tied to its parts. */
import { join } from 'node:path';
import { CONTROL_NAME, createControl, type LetterDesk, listenForControl } from '../http/control.ts';
import type { Lifecycle } from './lifecycle.ts';
import type { Log } from './log.ts';
import { fieldsOfError } from './observe.ts';

/** A broker whose socket cannot be had serves all the same, and says what does not work. */
export async function openControl(
  folder: string,
  letters: LetterDesk,
  log: Log,
  lifecycle: Lifecycle,
): Promise<void> {
  const app = createControl({
    letters,
    report: (error) => log.error('our fault', fieldsOfError(error)),
  });
  const open = () => {
    try {
      return listenForControl(folder, app);
    } catch (error) {
      log.warn(
        'no control socket: commands such as `bellhop dead replay` cannot reach this broker',
        {
          path: join(folder, CONTROL_NAME),
          detail: (error as Error).message,
        },
      );
      return undefined;
    }
  };
  await lifecycle.open('control socket', open, (listener) => listener?.stop());
}
