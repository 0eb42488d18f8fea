/** `bellhop token`: mints a development token and prints it, and nothing else, on stdout. */
import { ClaimProblem, readGrants } from '../auth/claims.ts';
import { JsonProblem, parseStrictJson } from '../auth/strict-json.ts';
import { type Arguments, type Command, UsageError } from './arguments.ts';
import { readConfiguration } from './configured.ts';
import { mint, parseDuration, roles } from './mint.ts';

export const token: Command = {
  usage: '--sub <user> [options]',
  about: `Prints a development token for a user, signed with JWT_SECRET or the secret that the first
start of the broker made in DATA_DIR. MQTT clients send it as the password, with the username JWT.`,
  options: {
    sub: { value: 'user', text: 'the user id' },
    role: { value: 'role', text: `${roles.join(', ')}; device if not given` },
    expires: { value: 'time', text: 'such as 90s, 30m, 1h, 7d, or never; 1h if not given' },
    acl: { value: 'json', text: 'the acl claim: {"pub": [filter…], "sub": [filter…]}' },
    'allow-pub': { value: 'filter', text: 'add a filter to acl.pub', several: true },
    'allow-sub': { value: 'filter', text: 'add a filter to acl.sub', several: true },
  },
  async run(given) {
    const user = given.need('sub');
    if (user === '') throw new UsageError('--sub is empty');
    const claims = {
      user,
      role: given.choice('role', roles, 'device'),
      expiresInSeconds: readExpires(given.get('expires') ?? '1h'),
      acl: readAcl(given),
    };
    process.stdout.write(`${await mint(readConfiguration(given).config, claims)}\n`);
    return 0;
  },
};

function readExpires(written: string): number | undefined {
  if (written === 'never') return undefined;
  const seconds = parseDuration(written);
  if (seconds !== undefined) return seconds;
  throw new UsageError(
    `--expires is ${JSON.stringify(written)}, but must be a time such as 90s, 30m, 1h, 7d, or never`,
  );
}

/** The acl claim; undefined where none was asked for, since an empty one would take every right away. */
function readAcl(given: Arguments): unknown {
  const publish = given.all('allow-pub');
  const subscribe = given.all('allow-sub');
  const written = given.get('acl');
  const flags = publish.length + subscribe.length > 0;
  if (written === undefined && !flags) return undefined;
  if (written !== undefined && flags) {
    throw new UsageError('--acl does not go together with --allow-pub and --allow-sub');
  }
  try {
    const acl = written === undefined ? { pub: publish, sub: subscribe } : parseStrictJson(written);
    readGrants(acl, 'acl');
    return acl;
  } catch (error) {
    if (error instanceof ClaimProblem || error instanceof JsonProblem) {
      throw new UsageError(`--acl: ${error.message}`);
    }
    throw error;
  }
}
