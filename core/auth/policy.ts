/**
 * The policy file: declared commands beside those of plugins and remote handlers, and grants that
 * replace a role's default rights. Anything in it that is not understood stops the start: a file that
 * opens nothing by mistake is repaired within minutes, one that opens everything stays for years
 * (CVE-2018-12550, CVE-2018-12551).
 *
 *     { "commands": ["request_contact", "orders/+/cancel"],
 *       "roles": { "device": { "pub": ["chat/${user}/#"], "sub": ["chat/#"], "retain": false } } }
 */
import { parseTopicFilter, type TopicFilter } from '../mqtt/topic.ts';
import { ClaimProblem, readGrants } from './claims.ts';
import { isSystemFilter } from './grants.ts';
import type { Grants, Policy, Role } from './rights.ts';
import { JsonProblem, parseStrictJson, readObject } from './strict-json.ts';
import type { Separator } from './user-topic.ts';

/** What holds without a policy file. */
export function defaultPolicy(separator: Separator): Policy {
  return { commands: [], roles: {}, separator };
}

/** Names the file, the place in it and the remedy: ready to be shown. */
export class PolicyProblem extends Error {}

/** Reads the file at `path`. Rejects with a `PolicyProblem` where it is not there or not understood. */
export async function loadPolicy(path: string, separator: Separator): Promise<Policy> {
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(await Bun.file(path).bytes());
  } catch (error) {
    const why = error instanceof TypeError ? 'not UTF-8' : (error as Error).message;
    throw new PolicyProblem(`${path}: cannot be read: ${why}`);
  }
  return parsePolicy(text, path, separator);
}

/** Reads the text of a policy file; `path` is for the message. Throws `PolicyProblem`. */
export function parsePolicy(text: string, path: string, separator: Separator): Policy {
  try {
    if (text.trim() === '') throw new JsonProblem('the file is empty; {} means no policy');
    return readPolicy(parseStrictJson(text), separator);
  } catch (error) {
    if (error instanceof JsonProblem || error instanceof ClaimProblem) {
      throw new PolicyProblem(`${path}: ${error.message}`);
    }
    throw error;
  }
}

function readPolicy(value: unknown, separator: Separator): Policy {
  const file = readObject(value, 'the file', ['commands', 'roles']);
  const { commands = [], roles: wanted = {} } = file;
  const roles = readObject(wanted, 'roles', ['device', 'handler', 'admin']);
  const grants: { [role in Role]?: Grants } = {};
  for (const role of ['device', 'handler', 'admin'] as const) {
    if (roles[role] !== undefined) grants[role] = readRoleGrants(roles[role], role);
  }
  return { commands: readCommands(commands), roles: grants, separator };
}

function readRoleGrants(value: unknown, role: Role): Grants {
  const place = `roles.${role}`;
  const grants = readGrants(value, place);
  const index = grants.subscribe.findIndex(isSystemFilter);
  if (index !== -1 && role !== 'admin') {
    throw new ClaimProblem(`${place}.sub[${index}]: $SYS is for admins alone`);
  }
  return grants;
}

function readCommands(value: unknown): readonly TopicFilter[] {
  if (!Array.isArray(value)) throw new ClaimProblem('commands must be a list of Topic Filters');
  return value.map((text: unknown, index) => {
    const place = `commands[${index}]`;
    if (typeof text !== 'string') throw new ClaimProblem(`${place} must be a string`);
    const filter = text.isWellFormed() ? parseTopicFilter(text) : undefined;
    if (filter === undefined) throw new ClaimProblem(`${place}: no Topic Filter`);
    if (/^[+#$]/.test(filter)) {
      throw new ClaimProblem(`${place}: the first level of a command is spelled out, without $`);
    }
    return filter;
  });
}
