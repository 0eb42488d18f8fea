import { expect, test } from 'bun:test';
import { defaultLimits } from '../../core/broker/limits.ts';
import { configure, defaultConfig, type Surroundings } from '../../core/ops/configuration.ts';
import {
  environmentName,
  flagName,
  limitsOf,
  type SettingKey,
  settingKeys,
  settingOf,
} from '../../core/ops/settings.ts';
import { configurationPage, configurationText } from '../../core/ops/settings-text.ts';

interface Given {
  readonly environment?: Record<string, string>;
  readonly dotenv?: string;
  readonly flags?: ReadonlyMap<SettingKey, string>;
}

/** What the runtime would have done: the file's simple lines are in the environment, behind what was there. */
function given({ environment = {}, dotenv, flags = new Map() }: Given): Surroundings {
  const fromFile = Object.fromEntries((dotenv ?? '').split('\n').map((line) => line.split('=')));
  return {
    environment: { ...fromFile, ...environment },
    started: new Set(Object.keys(environment)),
    files: dotenv === undefined ? [] : [{ name: '.env', text: dotenv }],
    flags,
  };
}

function configured(from: Given) {
  const outcome = configure(given(from));
  if (outcome.kind === 'wrong') throw new Error(outcome.detail);
  return outcome.configuration;
}

function wrong(from: Given): string {
  const outcome = configure(given(from));
  if (outcome.kind === 'configured') throw new Error('was accepted');
  return outcome.detail;
}

test('with nothing set, everything is at its default', () => {
  const { config, sources, warnings } = configured({});
  expect(config).toEqual(defaultConfig);
  expect(new Set(Object.values(sources))).toEqual(new Set(['default']));
  expect(warnings).toEqual([]);
  expect([config.mqttsPort, config.mqttPort, config.httpsPort]).toEqual([8883, 0, 8443]);
});

test('the command line goes before the environment, that before .env, that before the default', () => {
  const { config, sources } = configured({
    environment: { MQTT_PORT: '2', HTTPS_PORT: '2' },
    dotenv: 'MQTT_PORT=1\nHTTPS_PORT=1\nDATA_DIR=/x',
    flags: new Map([['httpsPort', '3']]),
  });
  expect([config.mqttPort, sources.mqttPort]).toEqual([2, 'environment']);
  expect([config.httpsPort, sources.httpsPort]).toEqual([3, 'command line']);
  expect([config.dataDir, sources.dataDir]).toEqual(['/x', '.env']);
  expect([config.mqttsPort, sources.mqttsPort]).toEqual([8883, 'default']);
});

test('the limits of the core are settings with the defaults of the core', () => {
  expect(limitsOf(defaultConfig)).toEqual(defaultLimits);
});

test.each(settingKeys)('%s prints as text that reads back, default and all', (key) => {
  const setting = settingOf(key);
  const printed = setting.print(setting.initial);
  if (printed !== '') expect(setting.parse(printed)).toEqual(setting.initial);
});

test('no two settings share a name, in the environment or as a flag', () => {
  expect(new Set(settingKeys.map(environmentName)).size).toBe(settingKeys.length);
  expect(new Set(settingKeys.map(flagName)).size).toBe(settingKeys.length);
  expect(environmentName('mqttsPort')).toBe('MQTTS_PORT');
  expect(flagName('jwtJwksUrl')).toBe('jwt-jwks-url');
});

const wrongValues = [
  [
    'MQTTS_PORT',
    '70000',
    'MQTTS_PORT is "70000" (environment), but must be an integer from 0 to 65535',
  ],
  ['MQTTS_PORT', '-1', 'MQTTS_PORT is "-1"'],
  ['MQTTS_PORT', '1e3', 'MQTTS_PORT is "1e3"'],
  ['MQTTS_PORT', '', 'MQTTS_PORT is empty (environment)'],
  ['MQTT_PORT', 'tcp://10.0.0.1:1883', 'MQTT_PORT is "tcp://10.0.0.1:1883"'],
  ['MAXIMUM_PACKET_SIZE', '1_00', 'MAXIMUM_PACKET_SIZE is "1_00"'],
  ['QUEUE_POLICY', 'drop', 'must be one of drop-oldest, drop-newest, refuse'],
  ['JWT_REQUIRE_EXP', 'no', 'must be true or false'],
  ['JWT_AUDIENCE', 'a,,b', 'must be a list with commas'],
  ['JWT_JWKS_URL', 'keys.example.com', 'must be a URL'],
  ['LOG_LEVEL', 'verbose', 'must be one of debug, info, warn, error'],
  ['DATA_DIR', '', 'DATA_DIR is empty (environment)'],
] as const;

test.each(wrongValues)('%s=%s is refused, with what it may be', (name, value, detail) => {
  expect(wrong({ environment: { [name]: value } })).toContain(detail);
});

test('a wrong flag is named as it was written, and is a usage error', () => {
  const outcome = configure(given({ flags: new Map([['mqttsPort', 'x']]) }));
  expect(outcome).toEqual({
    kind: 'wrong',
    byFlag: true,
    detail: '--mqtts-port is "x", but must be an integer from 0 to 65535',
  });
});

test('an empty secret is an error and does not mean none', () => {
  expect(wrong({ environment: { JWT_SECRET: '' } })).toContain('JWT_SECRET is empty');
});

test('integers may have their digits in groups', () => {
  expect(configured({ environment: { QUEUED_BYTES: '1_048_576' } }).config.queuedBytes).toBe(
    1_048_576,
  );
});

const unknownNames = [
  ['MQTT_PROT=1', 'there is no setting MQTT_PROT; did you mean MQTT_PORT?'],
  ['JWT_SECRT=1', 'did you mean JWT_SECRET?'],
  ['LOG_LEVL=info', 'did you mean LOG_LEVEL?'],
  ['BELLHOP_MQTTS_PORT=1', 'did you mean MQTTS_PORT?'],
  ['JWT_SOMETHING_ELSE=1', 'there is no setting JWT_SOMETHING_ELSE; `bellhop config` lists them'],
  ['A=1\nTLS_CERTS=x', '.env, line 2'],
] as const;

test.each(unknownNames)('%s in .env is refused', (dotenv, detail) => {
  expect(wrong({ dotenv })).toContain(detail);
});

test('other names in .env are left to the plugins', () => {
  const dotenv = 'STRIPE_KEY=1\nDATABASE_URL=2\nPUSH_TOKEN=3';
  expect(configured({ dotenv }).config).toEqual(defaultConfig);
});

test('in the environment, only a name that all but spells a setting is refused', () => {
  expect(wrong({ environment: { MQTTS_PROT: '1' } })).toContain('did you mean MQTTS_PORT?');
  const foreign = {
    BELLHOP_PORT: 'tcp://10.0.0.1:8883', // as Kubernetes sets for a service of that name
    BELLHOP_SERVICE_HOST: '10.0.0.1',
    MQTT_BROKER_ADDRESS: 'x',
    LOG_LEVELS: 'x',
    PORT: '80',
    BELLHOP_TOKEN: 'x',
  };
  expect(configured({ environment: foreign }).config).toEqual(defaultConfig);
});

test('a malformed .env is refused with its line', () => {
  expect(wrong({ dotenv: 'A=1\nJWT_SECRET' })).toBe('.env, line 2, has no =; write NAME=value');
});

test('names of later versions are no error, and are said to have no effect', () => {
  const { warnings } = configured({
    environment: { NATS_URL: 'nats://localhost', LOGGLY_TOKEN: 'x' },
  });
  expect(warnings).toEqual([
    expect.stringContaining('NATS_URL has no effect yet'),
    expect.stringContaining('LOGGLY_TOKEN has no effect yet'),
  ]);
});

test('what is printed of the settings has every one, and no secret', () => {
  const environment = { JWT_SECRET: 'hunter2', MQTT_PORT: '1883' };
  const printed = configurationText(configured({ environment }));
  expect(printed).not.toContain('hunter2');
  for (const key of settingKeys)
    expect(printed).toMatch(new RegExp(`^${environmentName(key)} `, 'm'));
  expect(printed).toMatch(/^MQTT_PORT +1883 +environment$/m);
  expect(printed).toMatch(/^JWT_SECRET +\*+ +environment$/m);
});

test('a wrong secret is not repeated', () => {
  expect(wrong({ environment: { JWT_ISSUERS: '' } })).not.toContain('"');
});

test('the docs page has a row for every setting', () => {
  const page = configurationPage();
  for (const key of settingKeys) expect(page).toContain(`| \`${environmentName(key)}\` |`);
});
