/** Hostile attempts with a good token: each row is who tries what, and what comes of it. */
import { grant, type Who } from './who.ts';

type Attempt =
  | readonly ['subscribe', filter: string]
  | readonly ['share', filter: string]
  | readonly ['publish', topic: string]
  | readonly ['receive', topic: string, reach: 0 | 1 | 2]
  | readonly ['retain'];

export interface RightsCase {
  readonly name: string;
  readonly who: Who;
  readonly attempt: Attempt;
  readonly outcome: 0 | 1 | 2 | boolean | undefined;
}

const row = (
  name: string,
  who: Who,
  attempt: Attempt,
  outcome: 0 | 1 | 2 | boolean | undefined = undefined,
): RightsCase => ({ name, who, attempt, outcome });

const slash: Who = { policy: { separator: '/' } };
const granted = (...subscribe: string[]): Who => ({ grants: grant({ subscribe }) });

const userIds: readonly RightsCase[] = [
  row('user 1_2 has no topic that is spelled as user 1’s', { user: '1_2' }, ['subscribe', '1_2_x']),
  row('user 1 has no topic of user 1_2', { user: '1' }, ['subscribe', '1%5F2_x']),
  row('user 1_2 has its own', { user: '1_2' }, ['subscribe', '1%5F2_x'], 2),
  row('user 1%5F2 is not user 1_2', { user: '1%5F2' }, ['subscribe', '1%5F2_x']),
  row('user 1 is not user 12', { user: '1' }, ['subscribe', '12_x']),
  row('user a is not user A', { user: 'a' }, ['subscribe', 'A_x']),
  row('user é composed is not user é decomposed', { user: '\u00e9' }, ['subscribe', 'e\u0301_x']),
  row('user + owns no wildcard', { user: '+' }, ['subscribe', '+']),
  row('user + owns no wildcard level', { user: '+', ...slash }, ['subscribe', '+/x']),
  row('user # owns no wildcard', { user: '#', ...slash }, ['subscribe', '#']),
  row('user +/+ owns no two levels', { user: '+/+', ...slash }, ['subscribe', '+/+/x']),
  row('user a/b has no topic of user a', { user: 'a/b', ...slash }, ['subscribe', 'a/b/x']),
  row('user a/b has its own', { user: 'a/b', ...slash }, ['subscribe', 'a%2Fb/#'], 2),
  row('user $SYS owns no $SYS', { user: '$SYS', ...slash }, ['subscribe', '$SYS/#']),
  row('user $share owns no shared group', { user: '$share', ...slash }, [
    'subscribe',
    '$share/g/x',
  ]),
  row('user % reads no encoded neighbour', { user: '%' }, ['subscribe', '%25_x'], 2),
  row('user a\\x01 is not user a', { user: 'a\u0001' }, ['subscribe', 'a_x']),
  row('user _ owns no topic without a user', { user: '_' }, ['subscribe', '__x']),
];

const collisions: readonly RightsCase[] = [
  row(
    'user request on request_contact hears no device',
    { user: 'request' },
    ['receive', 'request_contact', 0],
    false,
  ),
  row(
    'user request on request_contact hears no handler either',
    { user: 'request' },
    ['receive', 'request_contact', 1],
    false,
  ),
  row(
    'a handler’s message on a command stops at Reach 1',
    { role: 'handler' },
    ['publish', 'request_contact'],
    1,
  ),
  row(
    'a device’s message on a command stops at Reach 0',
    { user: 'request' },
    ['publish', 'request_contact'],
    0,
  ),
  row('user request owns no command under /', { user: 'request', ...slash }, [
    'subscribe',
    'request_contact',
  ]),
  row(
    'user shop on shop/# under / hears no command',
    { user: 'shop', ...slash, commands: ['shop/buy'] },
    ['receive', 'shop/buy', 0],
    false,
  ),
];

const reading: readonly RightsCase[] = [
  ...['#', '+', '+/x', '+/+', '/#', '/1_x', '+/#', '1', '1_', '1/#', '2_x', '2_#'].map((filter) =>
    row(`a device on ${filter}`, {}, ['subscribe', filter]),
  ),
  row('a device on a command', {}, ['subscribe', 'request_contact']),
  row('a device on $SYS', {}, ['subscribe', '$SYS/#']),
  row('a device on $token', {}, ['subscribe', '$token']),
  row('a device on $share/g/#', {}, ['share', '#']),
  row('a device in the handlers’ group', {}, ['share', 'request_contact']),
  row('a device on $share of another’s topic', {}, ['share', '2_x']),
  row('a device on $share of its own topic', {}, ['share', '1_x']),
  row('a device on $share within $share', {}, ['share', '$share/g/1_x']),
  row('a device is handed another’s queued message', {}, ['receive', '2_x', 2], false),
  row('a device is handed a device’s message', {}, ['receive', '1_x', 0], false),
  row('a device is handed a granted device’s message', {}, ['receive', '1_x', 1], false),
  row('a handler on $SYS/#', { role: 'handler' }, ['subscribe', '$SYS/#']),
  row('a handler on $share/g/$SYS/#', { role: 'handler' }, ['share', '$SYS/#']),
  row('a handler on $SYS', { role: 'handler' }, ['subscribe', '$SYS']),
  row(
    'a handler is handed $SYS',
    { role: 'handler' },
    ['receive', '$SYS/broker/version', 2],
    false,
  ),
];

const writing: readonly RightsCase[] = [
  ...['1_x', '2_x', 'x', '$SYS/x', '$token', 'request_contact/', '/request_contact'].map((topic) =>
    row(`a device to ${topic}`, {}, ['publish', topic]),
  ),
  row('a device to a command in capitals', {}, ['publish', 'REQUEST_CONTACT']),
  row('a device to $share/g/request_contact', {}, ['publish', '$share/g/request_contact']),
  row('a device to what an auditor on # hears', { commands: ['#'] }, ['publish', '2_x']),
  row('a device to what an auditor on +/# hears', { commands: ['+/#'] }, ['publish', 'x/y']),
  row('a device to what a handler on $x declares', { commands: ['$x'] }, ['publish', '$x']),
  row('a device retains', {}, ['retain'], false),
  row('a handler to $SYS', { role: 'handler' }, ['publish', '$SYS/broker/version']),
  row('an admin to $SYS', { role: 'admin' }, ['publish', '$SYS/broker/version']),
  row('an admin to $share', { role: 'admin' }, ['publish', '$share/g/x']),
];

const grants: readonly RightsCase[] = [
  row('client + in ${client}', { ...granted('c/${client}'), client: '+' }, ['subscribe', 'c/+']),
  row('client # in ${client}', { ...granted('c/${client}'), client: '#' }, ['subscribe', 'c/#']),
  row('client a/# in ${client}', { ...granted('c/${client}'), client: 'a/#' }, [
    'subscribe',
    'c/a/#',
  ]),
  row('client ${user} in ${client}', { ...granted('c/${client}'), client: '${user}' }, [
    'subscribe',
    'c/1',
  ]),
  row('user + in ${user}', { ...granted('u/${user}'), user: '+' }, ['subscribe', 'u/+']),
  row('user ${client} in ${user}', { ...granted('u/${user}'), user: '${client}' }, [
    'subscribe',
    'u/phone',
  ]),
  row('user $& in ${user}', { ...granted('u/${user}'), user: '$&' }, ['subscribe', 'u/${user}']),
  row('a filter matched as if it were a topic', granted('a/+'), ['subscribe', 'a/#']),
  row('+ under a grant of one level', granted('a'), ['subscribe', '+']),
  row('$SYS under a grant of #', granted('#'), ['subscribe', '$SYS/#']),
  row('$SYS under a grant of $SYS', granted('$SYS/#'), ['subscribe', '$SYS/#']),
  row('$SYS under a handler’s grant of $SYS', { ...granted('$SYS/#'), role: 'handler' }, [
    'subscribe',
    '$SYS/x',
  ]),
  row('$SYS received under a grant of $SYS', granted('$SYS/#'), ['receive', '$SYS/x', 2], false),
  row('own topics beside a grant', granted('a'), ['subscribe', '1_x']),
  row('commands beside a grant', granted('#'), ['publish', 'request_contact']),
  row(
    'a command heard under a grant of it',
    granted('request_contact'),
    ['receive', 'request_contact', 0],
    false,
  ),
  row('$share where the grant says no', { grants: grant({ subscribe: ['#'], share: false }) }, [
    'share',
    'a',
  ]),
  row(
    'RETAIN where the grant says no',
    { grants: grant({ publish: ['#'], retain: false }) },
    ['retain'],
    false,
  ),
  row(
    'a device with # reaches no device by its own right',
    { grants: grant({ publish: ['#'] }) },
    ['publish', '2_x'],
    1,
  ),
  row('an admin with an empty acl', { role: 'admin', grants: grant({}) }, ['subscribe', '$SYS/#']),
];

export const rightsCases = [userIds, collisions, reading, writing, grants].flat();
