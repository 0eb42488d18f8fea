/** Gives the handlers of a file what they ask for before they can run: their secrets, and what `setup` makes. */
import type { Handler } from './definition.ts';
import { describeThrown, fault, type Roots } from './fault.ts';
import { handlerName, type PluginFile } from './loader.ts';
import { LoadProblem } from './module.ts';
import type { Source } from './run.ts';
import { type Redactor, readSecrets } from './secrets.ts';
import { Speaker, speaking, type Voice } from './speaker.ts';

export interface Equipping {
  readonly roots: Roots;
  readonly voice: Voice;
  readonly redactor: Redactor;
  /** For handlers that say nothing else. */
  readonly timeoutMs: number;
  readonly environment: { readonly [name: string]: string | undefined };
}

/** The handlers of one file, ready to run. Rejects with a `LoadProblem`; then none of them is left set up. */
export async function equip(
  file: PluginFile,
  shown: string,
  handlers: readonly Handler[],
  equipping: Equipping,
): Promise<Source[]> {
  const sources: Source[] = [];
  for (const [position, handler] of handlers.entries()) {
    const name = handlerName(file, position);
    try {
      sources.push(await equipOne(file, shown, name, handler, equipping));
    } catch (error) {
      await tearDown(sources, equipping);
      throw error;
    }
  }
  return sources;
}

async function equipOne(
  { plugin }: PluginFile,
  shown: string,
  name: string,
  handler: Handler,
  { roots, voice, redactor, timeoutMs, environment }: Equipping,
): Promise<Source> {
  const { values: secrets, missing } = readSecrets(handler.secrets, environment);
  if (missing.length > 0) {
    const detail = `the environment lacks its secrets ${missing.join(', ')}`;
    throw new LoadProblem(fault('load', detail, shown));
  }
  redactor.add(secrets);
  const limitMs = handler.rules.timeoutMs ?? timeoutMs;
  const speaker = new Speaker(voice, { handler: name, invocation: '', trace: '' });
  let resources: unknown;
  if (handler.setup !== undefined) {
    const { setup } = handler;
    try {
      resources = await within(limitMs, 'setup', () =>
        speaking.run({ speaker }, () => setup({ log: speaker.log, secrets })),
      );
    } catch (error) {
      const why = describeThrown('load', error, roots);
      throw new LoadProblem(
        redactor.fault({ ...why, detail: `setup: ${why.detail}`, at: why.at ?? shown }),
      );
    }
  }
  const habits = { locksFirst: false, waits: false };
  return { handler, plugin, name, shown, timeoutMs: limitMs, secrets, resources, habits };
}

/** Tears down, the last first. What fails is logged, and the others have their turn. */
export async function tearDown(sources: readonly Source[], equipping: Equipping): Promise<void> {
  for (const { handler, name, resources, timeoutMs } of [...sources].reverse()) {
    const { teardown } = handler;
    if (teardown === undefined) continue;
    const speaker = new Speaker(equipping.voice, { handler: name, invocation: '', trace: '' });
    try {
      await within(timeoutMs, 'teardown', () =>
        speaking.run({ speaker }, () => teardown(resources as never)),
      );
    } catch (error) {
      const why = describeThrown('failed', error, equipping.roots);
      speaker.say('error', `teardown failed: ${why.detail}`, { at: why.at });
    }
  }
}

/** Rejects where `work` does not come to an end in time. */
async function within(limitMs: number, what: string, work: () => unknown): Promise<unknown> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      reject(new Error(`${what} does not come to an end within ${limitMs} ms`));
    }, limitMs);
  });
  try {
    return await Promise.race([work(), late]);
  } finally {
    clearTimeout(timer);
  }
}
