/** `bellhop pub`: publishes one message. */

import { StartError } from '../ops/lifecycle.ts';
import { type Command, UsageError } from './arguments.ts';
import { clientOptions, connect, readQos } from './client.ts';

export const pub: Command = {
  usage: '--topic <topic> [--message <text>] [options]',
  about: `Publishes one message and ends when the broker has acknowledged it. Without --message, the
message is what comes on stdin.`,
  options: {
    topic: { value: 'topic', text: 'Topic Name', short: 't' },
    message: { value: 'text', text: 'the message; stdin if not given', short: 'm' },
    retain: { value: undefined, text: 'have the broker keep the message for later subscribers' },
    ...clientOptions,
  },
  async run(given) {
    const topic = given.need('topic');
    if (topic === '' || /[+#]/.test(topic)) {
      throw new UsageError(`--topic is ${JSON.stringify(topic)}, which is no Topic Name`);
    }
    const qos = readQos(given);
    const message = given.get('message') ?? Buffer.from(await Bun.stdin.bytes());
    const client = await connect(given);
    try {
      await client.publishAsync(topic, message, { qos, retain: given.has('retain') });
    } catch (error) {
      throw new StartError(`${topic}: ${(error as Error).message}`);
    } finally {
      await client.endAsync().catch(() => {});
    }
    return 0;
  },
};
