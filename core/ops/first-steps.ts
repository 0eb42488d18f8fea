/** What a start with no configuration prints: how to mint a token, subscribe and publish, to be copied as it stands. */
import type { Configuration } from './configuration.ts';
import { certificatePath } from './data-folder.ts';
import { flagName, type SettingKey } from './settings.ts';
import { isExecutable } from './version.ts';

export function firstSteps(configuration: Configuration): string {
  const { config } = configuration;
  const token = (user: string) => `${program()} token --sub ${user}${flags(configuration)}`;
  const tls = config.mqttsPort > 0;
  const trust = tls ? ` --cafile ${quoted(certificatePath(config.dataDir))}` : '';
  const where = `-h localhost -p ${tls ? config.mqttsPort : config.mqttPort}${trust}`;
  const client = (name: string, user: string) => `${name} ${where} -u JWT -P "$(${token(user)})"`;
  return `
Nothing is configured, so tokens are signed with a secret of our own in ${config.dataDir}. To try it, mint a
token; as phone 2, wait for contact requests; and in a second terminal, as phone 1, make one:

  ${token('23412')}
  ${client('mosquitto_sub', '23412')} -t 23412_contact_requested
  ${client('mosquitto_pub', '68946')} -q 1 -t request_contact -m '{"to":"23412"}'

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
