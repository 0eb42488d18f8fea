/** What a start with no configuration prints: how to mint a token, subscribe and publish, to be copied as it stands. */
import type { Configuration } from './configuration.ts';
import { certificatePath } from './data-folder.ts';
import { flagName, type SettingKey } from './settings.ts';
import { isExecutable } from './version.ts';

/** What is tried: one user waits for a message, another one or the same publishes a command. */
interface Trial {
  readonly command: string;
  readonly about: string;
  readonly waits: readonly [user: string, name: string];
  readonly publishes: readonly [user: string, message: string];
}

const contacts: Trial = {
  command: 'request_contact',
  about: 'as phone 2, wait for contact requests; and in a second terminal, as phone 1, make one',
  waits: ['23412', 'contact_requested'],
  publishes: ['68946', '{"to":"23412"}'],
};

/** The example of `bellhop init`. */
const hello: Trial = {
  command: 'hello',
  about: 'as a phone, wait to be greeted; and in a second terminal, say hello',
  waits: ['68946', 'greeting'],
  publishes: ['68946', '{}'],
};

/** `declares` tells whether somebody handles a command. */
export function firstSteps(
  configuration: Configuration,
  declares: (command: string) => boolean,
): string {
  const { config } = configuration;
  const token = (user: string) => `${program()} token --sub ${user}${flags(configuration)}`;
  const tls = config.mqttsPort > 0;
  const trust = tls ? ` --cafile ${quoted(certificatePath(config.dataDir))}` : '';
  const where = `-h localhost -p ${tls ? config.mqttsPort : config.mqttPort}${trust}`;
  const client = (name: string, user: string) => `${name} ${where} -u JWT -P "$(${token(user)})"`;
  const { command, about, waits, publishes } = declares(hello.command) ? hello : contacts;
  const [waiter, name] = waits;
  const [publisher, message] = publishes;
  const missing = declares(command)
    ? ''
    : `\nNo handler carries out such commands yet: \`${program()} init\` writes a first one.\n`;
  return `
Nothing is configured, so tokens are signed with a secret of our own in ${config.dataDir}. To try it, mint a
token; ${about}:

  ${token(waiter)}
  ${client('mosquitto_sub', waiter)} -t ${waiter}_${name}
  ${client('mosquitto_pub', publisher)} -q 1 -t ${command} -m '${message}'
${missing}
`;
}

/** How this program is called: the executable by its path, a clone in the way that it was started. */
function program(): string {
  if (isExecutable) return quoted(process.execPath);
  const byNpm = process.env.npm_config_user_agent?.startsWith('npm/') === true;
  return byNpm ? 'npm run -s bellhop --' : 'bun index.ts';
}

/** What was said on the command line, and has to be said again for the same secret to be found. */
function flags({ config, sources }: Configuration): string {
  const needed: readonly SettingKey[] = ['dataDir', 'jwtIssuer', 'jwtAudience'];
  return needed
    .filter((key) => sources[key] === 'command line')
    .map((key) => ` --${flagName(key)} ${quoted(String(config[key]))}`)
    .join('');
}

function quoted(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}
