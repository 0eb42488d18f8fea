/** `bellhop new`: adds a handler to the plugins folder, to be filled in. */
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { StartError } from '../ops/lifecycle.ts';
import { type Arguments, type Command, UsageError } from './arguments.ts';
import { readConfiguration } from './configured.ts';

export const create: Command = {
  usage: 'handler <name> [options]',
  about: `Adds a handler to PLUGINS_DIR: \`bellhop new handler place-order\` writes plugins/place-order.ts, which
carries out the command place_order. The name may have a folder in front: orders/place-order.`,
  options: {
    schedule: { value: 'cron', text: "run at these times instead, as in '0 3 * * *'" },
    on: { value: 'event', text: 'run on connect, disconnect or undelivered instead' },
  },
  operands: ['handler', 'name'],
  async run(given) {
    if (given.needOperand('handler') !== 'handler') {
      throw new UsageError('what can be made anew is a handler: bellhop new handler NAME');
    }
    const name = readName(given.needOperand('name'));
    const text = handlerText(readTrigger(name, given));
    const { config } = readConfiguration(given);
    const path = join(config.pluginsDir, `${name}.ts`);
    writeHandler(config.pluginsDir, name, path, text);
    process.stdout.write(`${path} written\n`);
    return 0;
  },
};

const word = '[a-z][a-z0-9]*(?:-[a-z0-9]+)*';
const namePattern = new RegExp(`^(?:${word}/)?${word}$`);

/** The name of the file: `place_order` and `place-order` are one. */
function readName(written: string): string {
  const name = written.replaceAll('_', '-');
  const [first] = name.split('/');
  if (namePattern.test(name) && first !== 'migrations') return name;
  throw new UsageError(
    `${JSON.stringify(written)} is no name for a handler: use small letters, digits and -, as in place-order`,
  );
}

interface Trigger {
  readonly line: string;
  readonly about: string;
  readonly context: string;
  readonly todo: string;
}

function readTrigger(name: string, given: Arguments): Trigger {
  const schedule = given.get('schedule');
  const event = given.get('on');
  if (schedule !== undefined && event !== undefined) {
    throw new UsageError('--schedule and --on do not go together');
  }
  if (schedule !== undefined) {
    return {
      line: `schedule: ${quoted(schedule)},`,
      about: `Run at ${schedule}, in UTC.`,
      context: '{ input, log }',
      todo: "log.info('run', { due: input.due, missed: input.missed });",
    };
  }
  if (event !== undefined) {
    const events = ['connect', 'disconnect', 'undelivered'] as const;
    const chosen = given.choice('on', events, 'connect');
    const undelivered = chosen === 'undelivered';
    return {
      line: `on: '${chosen}',`,
      about: undelivered
        ? 'Run when a message finds none of its user’s devices connected.'
        : `Run when a device has ${chosen}ed.`,
      context: undelivered ? '{ input, log }' : '{ user, client, log }',
      todo: undelivered
        ? "log.info('nobody there', { to: input.to, name: input.name });"
        : `log.info('${chosen}ed', { user: user.id, client: client.id });`,
    };
  }
  const topic = topicOf(name);
  return {
    line: `topic: '${topic}',\n  reply: '${topic}_done',`,
    about: `A phone publishes to \`${topic}\`, and is answered on \`<user>_${topic}_done\`.`,
    context: '{ input, user, log }',
    todo: `log.info('${topic}', { user: user.id });\n    return { received: input };`,
  };
}

function topicOf(name: string): string {
  return name.slice(name.lastIndexOf('/') + 1).replaceAll('-', '_');
}

function handlerText({ line, about, context, todo }: Trigger): string {
  return `import { defineHandler } from 'bellhop';

/** ${about} */
export default defineHandler({
  ${line}
  run(${context}) {
    ${todo}
  },
});
`;
}

function quoted(text: string): string {
  return `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;
}

function writeHandler(pluginsFolder: string, name: string, path: string, text: string): void {
  const folder = dirname(path);
  const index = ['index.ts', 'index.js'].find((each) => existsSync(join(folder, each)));
  if (index !== undefined && name.includes('/')) {
    throw new StartError(
      `${folder} is loaded by its ${index} alone: export the handler from there`,
    );
  }
  const others = [`${name}.js`, `${name}/index.ts`, `${name}/index.js`, name];
  const other = others.map((each) => join(pluginsFolder, each)).find((each) => existsSync(each));
  if (other !== undefined) throw new StartError(`${other} is there already`);
  try {
    mkdirSync(folder, { recursive: true });
    writeFileSync(path, text, { flag: 'wx' });
  } catch (error) {
    const { code, message } = error as Error & { code?: string };
    throw new StartError(code === 'EEXIST' ? `${path} is there already` : message);
  }
}
