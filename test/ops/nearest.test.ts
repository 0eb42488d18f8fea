import { expect, test } from 'bun:test';
import { nearest } from '../../core/ops/nearest.ts';

const names = ['HOST', 'MQTT_PORT', 'MQTTS_PORT', 'JWT_SECRET', 'LOG_LEVEL'];

const cases = [
  { written: 'MQTT_PORT', meant: 'MQTT_PORT', how: 'as it is' },
  { written: 'MQTT_PROT', meant: 'MQTT_PORT', how: 'with two letters swapped' },
  { written: 'JWT_SECRETS', meant: 'JWT_SECRET', how: 'with a letter more' },
  { written: 'LOG_LEVL', meant: 'LOG_LEVEL', how: 'with a letter less' },
  { written: 'LOG-LEVEL', meant: 'LOG_LEVEL', how: 'with another letter' },
  { written: 'HOSTS', meant: 'HOST', how: 'short, with one letter more' },
  { written: 'PORT', meant: undefined, how: 'short, with two letters changed' },
  { written: 'SECRET', meant: undefined, how: 'in part only' },
  { written: '', meant: undefined, how: 'not at all' },
];

test.each(cases)('$written is nearest to $meant: written $how', ({ written, meant }) => {
  expect(nearest(written, names)).toBe(meant);
});
