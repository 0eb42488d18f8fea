/**
 * A member in another process: each step is a line of JSON to it, and its answer a line back. File
 * descriptors are limited by process, and so is what one core can do.
 */
import type { Counts, Member, MemberResult } from './member.ts';

export type Step =
  | { readonly do: 'connect'; readonly who: 'receivers' | 'publishers' }
  | { readonly do: 'begin' | 'measure' | 'stop' | 'ping' | 'counts' | 'finish' };

export type Answer = { readonly done: unknown } | { readonly failed: string };

/** A process that takes lines and gives lines. */
export interface Pipe {
  write(line: string): void;
  /** The next line; undefined once the process has ended. */
  read(): Promise<string | undefined>;
  /** Has the process end. */
  close(): void;
}

export class RemoteMember implements Member {
  readonly #pipe: Pipe;
  /** Steps are taken one after the other. */
  #last: Promise<unknown> = Promise.resolve();

  constructor(pipe: Pipe) {
    this.#pipe = pipe;
  }

  async connect(who: 'receivers' | 'publishers'): Promise<void> {
    await this.#take({ do: 'connect', who });
  }

  async begin(): Promise<void> {
    await this.#take({ do: 'begin' });
  }

  async measure(): Promise<void> {
    await this.#take({ do: 'measure' });
  }

  async stop(): Promise<void> {
    await this.#take({ do: 'stop' });
  }

  async ping(): Promise<void> {
    await this.#take({ do: 'ping' });
  }

  async counts(): Promise<Counts> {
    return (await this.#take({ do: 'counts' })) as Counts;
  }

  async finish(): Promise<MemberResult> {
    return (await this.#take({ do: 'finish' })) as MemberResult;
  }

  end(): void {
    this.#pipe.close();
  }

  #take(step: Step): Promise<unknown> {
    const taken = this.#last.then(async () => {
      this.#pipe.write(`${JSON.stringify(step)}\n`);
      const line = await this.#pipe.read();
      if (line === undefined) throw new Error('a process of the load test ended');
      const answer = JSON.parse(line) as Answer;
      if ('failed' in answer) throw new Error(answer.failed);
      return answer.done;
    });
    this.#last = taken.catch(() => {});
    return taken;
  }
}

/** The other side: takes the steps that `lines` brings, until there are no more. */
export async function serveMember(
  member: Member,
  lines: AsyncIterable<string>,
  write: (line: string) => void,
): Promise<void> {
  for await (const line of lines) {
    const step = JSON.parse(line) as Step;
    let answer: Answer;
    try {
      answer = { done: (await takeStep(member, step)) ?? null };
    } catch (error) {
      answer = { failed: (error as Error).message };
    }
    write(`${JSON.stringify(answer)}\n`);
  }
  member.end();
}

function takeStep(member: Member, step: Step): Promise<unknown> {
  switch (step.do) {
    case 'connect':
      return member.connect(step.who);
    case 'begin':
      return member.begin();
    case 'measure':
      return member.measure();
    case 'stop':
      return member.stop();
    case 'ping':
      return member.ping();
    case 'counts':
      return member.counts();
    case 'finish':
      return member.finish();
    default:
      return step satisfies never;
  }
}
