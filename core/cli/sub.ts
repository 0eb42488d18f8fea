/** `bellhop sub`: subscribes, and prints each message as a line. */
import type { MqttClient } from 'mqtt';
import { StartError } from '../ops/lifecycle.ts';
import { escapeControls } from '../ops/log-format.ts';
import type { Command } from './arguments.ts';
import { clientOptions, connect, readQos } from './client.ts';

export const sub: Command = {
  usage: '--topic <filter> [options]',
  about: `Subscribes, and prints a line for each message: its topic, a space and its payload. It says
"subscribed" on stderr once the broker has agreed, and ends with SIGINT or after --count messages.`,
  options: {
    topic: {
      value: 'filter',
      text: 'Topic Filter; may be given several times',
      short: 't',
      several: true,
    },
    count: { value: 'number', text: 'end after so many messages' },
    ...clientOptions,
  },
  async run(given) {
    given.need('topic');
    const count = given.count('count') ?? Number.POSITIVE_INFINITY;
    const qos = readQos(given);
    const client = await connect(given);
    const printed = printMessages(client, count);
    printed.catch(() => {}); // heard below, once the subscription stands
    try {
      await subscribe(client, given.all('topic'), qos);
      await printed;
    } finally {
      await client.endAsync().catch(() => {});
    }
    return 0;
  },
};

async function subscribe(
  client: MqttClient,
  filters: readonly string[],
  qos: 0 | 1 | 2,
): Promise<void> {
  const answers = await client.subscribeAsync([...filters], { qos }).catch((error: Error) => {
    throw new StartError(`${filters.join(', ')}: ${error.message}`);
  });
  const refused = answers.filter((answer) => answer.qos >= 0x80).map((answer) => answer.topic);
  if (refused.length > 0) {
    throw new StartError(`${refused.join(', ')}: the broker refused the subscription`);
  }
  process.stderr.write(`subscribed to ${filters.join(', ')}\n`);
}

/** Resolves after `count` messages or a signal; rejects where the connection ends before that. */
function printMessages(client: MqttClient, count: number): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  let left = count;
  let reason = '';
  client.on('message', (topic, payload) => {
    if (left-- <= 0) return;
    process.stdout.write(lineOf(topic, payload));
    if (left === 0) resolve();
  });
  client.on('disconnect', (packet) => {
    reason = `: ${packet.properties?.reasonString ?? `Reason Code 0x${packet.reasonCode?.toString(16)}`}`;
  });
  client.on('close', () => reject(new StartError(`the connection was closed${reason}`)));
  process.once('SIGINT', () => resolve());
  process.once('SIGTERM', () => resolve());
  return promise;
}

/** The payload as it is, so that it can be piped on; on a terminal without what would make that act. */
function lineOf(topic: string, payload: Buffer): Uint8Array | string {
  if (process.stdout.isTTY) return `${escapeControls(`${topic} ${payload.toString()}`)}\n`;
  return Buffer.concat([Buffer.from(`${topic} `), payload, Buffer.from('\n')]);
}
