/** What `bellhop bench` needs of its terminal and of the processes that share its load. */
import type { Counts } from '../bench/member.ts';
import type { Share } from '../bench/plan.ts';
import type { Pipe } from '../bench/remote-member.ts';
import { number } from '../bench/report-text.ts';
import { isExecutable } from '../ops/version.ts';
import { UsageError } from './arguments.ts';

/** Reads `2/4/123`: the second of four parts of run 123. */
export function readShare(written: string | undefined): (Share & { run: number }) | undefined {
  if (written === undefined) return undefined;
  const match = /^([1-9]\d{0,3})\/([1-9]\d{0,3})\/(\d{1,10})$/.exec(written);
  const [index, count, run] = (match ?? []).slice(1).map(Number);
  if (index === undefined || count === undefined || run === undefined || index > count) {
    throw new UsageError(`--share is ${JSON.stringify(written)}, but must be such as 2/4/123`);
  }
  return { index: index - 1, count, run };
}

/** Begins `count` processes with the options of this one. They end when their stdin does. */
export function spawnMembers(count: number, run: number): Pipe[] {
  const program = isExecutable ? [process.execPath] : [process.execPath, Bun.main];
  return Array.from({ length: count }, (_, index) => {
    const child = Bun.spawn(
      [...program, ...process.argv.slice(2), '--share', `${index + 1}/${count}/${run}`],
      { stdin: 'pipe', stdout: 'pipe', stderr: 'inherit' },
    );
    const lines = linesOf(child.stdout);
    return {
      write(line) {
        child.stdin.write(line);
        void child.stdin.flush();
      },
      async read() {
        const { value, done } = await lines.next();
        return done ? undefined : value;
      },
      close() {
        void child.stdin.end();
      },
    };
  });
}

export async function* linesOf(stream: ReadableStream<Uint8Array>): AsyncGenerator<string, void> {
  let rest = '';
  const decoder = new TextDecoder();
  for await (const bytes of stream) {
    const parts = (rest + decoder.decode(bytes, { stream: true })).split('\n');
    rest = parts.pop() ?? '';
    yield* parts;
  }
}

/** One line on a terminal that is written over each second; nothing elsewhere. */
export function progressLine(): {
  show(phase: string, counts: Counts): void;
  clear(): void;
} {
  const { stderr } = process;
  let received = 0;
  return {
    show(phase, counts) {
      if (!stderr.isTTY) return;
      const perSecond = Math.max(0, counts.received - received);
      received = counts.received;
      const under = Math.max(0, counts.expected - counts.received);
      stderr.write(
        `\r\x1b[K${phase}: ${number(counts.connected)} connections, ${number(perSecond)} messages/s, ${number(under)} under way`,
      );
    },
    clear() {
      if (stderr.isTTY) stderr.write('\r\x1b[K');
    },
  };
}
