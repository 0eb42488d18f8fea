/** Hooks and schedules in the broker as it is run, over a kill as well, with a client that this project did not write. */
import { expect, setDefaultTimeout, test } from 'bun:test';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { connect } from './connect.ts';
import { Broker, Folder } from './executable.ts';

setDefaultTimeout(60_000);

const plugins = {
  'presence.ts': `import { defineHandler } from 'bellhop';
export default defineHandler({
  on: ['connect', 'disconnect'],
  run({ input, user, client, log }) {
    log.info('presence', { ...input, who: user.id + '/' + client.id });
  },
});
`,
  'push.ts': `import { defineHandler } from 'bellhop';
export default [
  defineHandler({
    on: 'undelivered',
    run({ input, log, send }) {
      log.info('push', { to: input.to, name: input.name, payload: JSON.stringify(input.payload) });
      send(input.to, 'pushed');
    },
  }),
  defineHandler({ topic: 'greet', run: ({ input, send }) => send(String(input), 'greeting', { hello: true }) }),
];
`,
  'clock.ts': `import { defineHandler } from 'bellhop';
export default defineHandler({
  schedule: { cron: '* * * * * *', timeZone: 'Europe/Berlin' },
  run: ({ input, topic, log }) => log.info('tick', { ...input, about: topic }),
});
`,
  'mistaken.ts': `import { defineHandler } from 'bellhop';
export default defineHandler({
  schedule: '0 25 * * *',
  run() {},
});
`,
};

/** The line that a plugin wrote, as an object. */
async function logged(
  broker: Broker,
  message: string,
  ...parts: string[]
): Promise<Record<string, unknown>> {
  const wanted = `"message":"${message}"`;
  return JSON.parse(
    await broker.line((line) => [wanted, ...parts].every((part) => line.includes(part))),
  );
}

test('devices that come and go, messages for those who are away, and due times, over a kill', async () => {
  using folder = new Folder();
  mkdirSync(join(folder.path, 'plugins'));
  for (const [name, text] of Object.entries(plugins)) folder.write(join('plugins', name), text);
  const first = await Broker.start(folder);
  expect(await logged(first, 'plugin does not load')).toMatchObject({
    plugin: 'mistaken',
    at: 'mistaken.ts:3',
    detail: 'the schedule "0 25 * * *" cannot be read: Invalid value for hour: 25',
  });

  const phone = await connect(first, '68946', { clientId: 'phone' });
  const came = await logged(first, 'presence');
  expect(came).toMatchObject({ event: 'connect', who: '68946/phone', takeover: false });
  const again = await connect(first, '68946', { clientId: 'phone' });
  for (const client of [phone, again]) client.on('error', () => {});
  const gaveWay = await logged(first, 'presence', '"event":"disconnect"');
  const tookOver = await logged(
    first,
    'presence',
    `"event":"connect","number":${Number(gaveWay.number) + 1}`,
  );
  expect(gaveWay).toMatchObject({ takeover: true, who: '68946/phone' });
  expect(tookOver).toMatchObject({ takeover: true, who: '68946/phone' });
  expect(Number(gaveWay.number)).toBeGreaterThan(Number(came.number));
  await phone.endAsync(true);

  await again.publishAsync('greet', '"23412"', { qos: 1 });
  await again.publishAsync('greet', '"68946"', { qos: 1 });
  expect(await logged(first, 'push')).toMatchObject({
    ...{ to: '23412', name: 'greeting', payload: '{"hello":true}' },
  });
  const tick = await logged(first, 'tick');
  expect(tick).toMatchObject({ about: '$hook/schedule/clock' });
  expect(Number(tick.due) % 1_000).toBe(0);

  process.kill(first.pid, 'SIGKILL');
  await first.ended();
  // Neither what the push handler sent, nor what reached a device, was undelivered.
  expect(first.lines.filter((line) => line.includes('"message":"push"'))).toHaveLength(1);
  await again.endAsync(true);

  await using second = await Broker.start(folder);
  const lost = await logged(second, 'presence', '"event":"disconnect"', '"takeover":false');
  expect(lost).toMatchObject({ who: '68946/phone' });
  expect(Number(lost.number)).toBeGreaterThan(Number(tookOver.number));
  // The first one may be a run that the kill cut off; due times in between have one run together.
  const dues = first.lines.filter((line) => line.includes('"message":"tick"'));
  const last = Number(JSON.parse(dues.at(-1) ?? '{}').due);
  const caughtUp = await logged(second, 'tick');
  expect(Number(caughtUp.due)).toBeGreaterThanOrEqual(last);
});
