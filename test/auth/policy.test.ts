import { describe, expect, test } from 'bun:test';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { defaultPolicy, loadPolicy, PolicyProblem, parsePolicy } from '../../core/auth/policy.ts';
import type { TopicFilter } from '../../core/mqtt/topic.ts';

describe('a policy file', () => {
  test('gives commands and grants by role', () => {
    const text = `{
      "commands": ["request_contact", "orders/+/cancel"],
      "roles": {
        "device": { "pub": ["chat/\${user}/#"], "sub": ["chat/#"], "retain": false, "share": false },
        "admin": { "sub": ["$SYS/#"] }
      }
    }`;
    expect(parsePolicy(text, 'policy.json', '/')).toEqual({
      commands: ['request_contact', 'orders/+/cancel'] as TopicFilter[],
      roles: {
        device: {
          publish: ['chat/${user}/#'],
          subscribe: ['chat/#'],
          retain: false,
          share: false,
        },
        admin: { publish: [], subscribe: ['$SYS/#'], retain: true, share: true },
      },
      separator: '/',
    });
  });

  test('that is {} changes nothing', () => {
    expect(parsePolicy('{}', 'policy.json', '_')).toEqual(defaultPolicy('_'));
  });

  test.each([
    ['nothing', '', 'the file is empty'],
    ['blanks', ' \n\t', 'the file is empty'],
    ['half a file', '{"roles": {', 'line 1, column 12'],
    ['a comment', '{} // open', 'line 1, column 4'],
    ['a list', '[]', 'the file must be an object'],
    ['null', 'null', 'the file must be an object'],
    ['an unknown member', '{"role": {}}', 'the file has "role"; it may have commands, roles'],
    ['an unknown role', '{"roles": {"devices": {}}}', 'roles has "devices"'],
    ['a member twice', '{"roles": {}, "roles": {}}', '"roles" stands twice'],
    ['null for a role', '{"roles": {"device": null}}', 'roles.device must be an object'],
    ['null for roles', '{"roles": null}', 'roles must be an object'],
    ['null for commands', '{"commands": null}', 'commands must be a list'],
    ['a misspelt grant', '{"roles": {"device": {"publish": []}}}', 'roles.device may have pub'],
    [
      'a filter for a list',
      '{"roles": {"device": {"sub": "#"}}}',
      'roles.device.sub must be a list',
    ],
    ['no filter', '{"roles": {"device": {"sub": ["a", "a#"]}}}', 'roles.device.sub[1]: no Topic'],
    ['text for a boolean', '{"roles": {"device": {"retain": "no"}}}', 'roles.device.retain must'],
    ['$share', '{"roles": {"device": {"sub": ["$share/g/x"]}}}', 'without $share'],
    ['$SYS for handlers', '{"roles": {"handler": {"sub": ["$SYS/#"]}}}', '$SYS is for admins'],
    ['another placeholder', '{"roles": {"device": {"sub": ["${sub}_x"]}}}', 'only ${user}'],
    ['a number for a command', '{"commands": [1]}', 'commands[0] must be a string'],
    ['a command that is none', '{"commands": ["a+"]}', 'commands[0]: no Topic Filter'],
    ['a command on all', '{"commands": ["x", "#"]}', 'commands[1]: the first level'],
    ['a command under $', '{"commands": ["$x"]}', 'commands[0]: the first level'],
  ])('with %s is refused, with its name and the place', (_, text, place) => {
    expect(() => parsePolicy(text, '/etc/policy.json', '_')).toThrow(PolicyProblem);
    expect(() => parsePolicy(text, '/etc/policy.json', '_')).toThrow('/etc/policy.json: ');
    expect(() => parsePolicy(text, '/etc/policy.json', '_')).toThrow(place);
  });

  test('is read from disk; one that is not there or not UTF-8 is refused', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'bellhop-policy-'));
    try {
      const path = join(folder, 'policy.json');
      await expect(loadPolicy(path, '_')).rejects.toThrow(`${path}: cannot be read`);
      await Bun.write(path, '{"commands": ["x"]}');
      expect(await loadPolicy(path, '_')).toMatchObject({ commands: ['x'] });
      await Bun.write(path, new Uint8Array([0x7b, 0xff, 0x7d]));
      await expect(loadPolicy(path, '_')).rejects.toThrow('cannot be read: not UTF-8');
      await expect(loadPolicy(folder, '_')).rejects.toThrow(`${folder}: cannot be read`);
    } finally {
      await rm(folder, { recursive: true });
    }
  });
});
