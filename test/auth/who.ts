/** Rights for tests: who somebody is in a line, and what they may do by plain text. */
import { DeclaredCommands } from '../../core/auth/commands.ts';
import { compileRights, type Grants, type Policy, type Role } from '../../core/auth/rights.ts';
import type { TopicFilter, TopicName } from '../../core/mqtt/topic.ts';

const noPolicy: Policy = { commands: [], roles: {}, separator: '_' };
/** Explicit grants, open where nothing is said. */
export const grant = (grants: Partial<Grants>): Grants => ({
  publish: [],
  subscribe: [],
  retain: true,
  share: true,
  ...grants,
});

export interface Who {
  user?: string;
  role?: Role;
  client?: string;
  grants?: Grants;
  policy?: Partial<Policy>;
  commands?: readonly string[];
}

/** The rights of a device that is user 1 unless `who` says otherwise, while `request_contact` is a command. */
export function rightsOf(who: Who) {
  const commands = new DeclaredCommands();
  for (const command of who.commands ?? ['request_contact']) commands.add(command as TopicFilter);
  const rights = compileRights(
    {
      user: who.user ?? '1',
      role: who.role ?? 'device',
      expiresAtMs: Number.POSITIVE_INFINITY,
      grants: who.grants,
    },
    who.client ?? 'phone',
    { ...noPolicy, ...who.policy },
    commands,
  );
  return {
    rights,
    commands,
    publish: (topic: string) => rights.mayPublish(topic as TopicName),
    subscribe: (filter: string, shared = false) =>
      rights.maySubscribe(filter as TopicFilter, shared),
    receive: (topic: string, reach: 0 | 1 | 2) => rights.mayReceive(topic as TopicName, reach),
  };
}
