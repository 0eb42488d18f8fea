/**
 * Phones for the stories: each is one user's device, over MQTTS, by a client that this project did
 * not write. A phone is subscribed once `subscribe` resolves, and what it receives can be awaited.
 */
import { join } from 'node:path';
import mqtt from 'mqtt';
import type { Broker } from './executable.ts';

export interface Login {
  readonly broker: Broker;
  readonly user: string;
  readonly token: string;
  readonly cafile: string;
}

export interface Phone extends AsyncDisposable {
  /** What it received and nobody took yet, as `topic payload`. */
  readonly inbox: Inbox;
  subscribe(topic: string): Promise<void>;
  /** With QoS 1; resolves once it is acknowledged. */
  publish(topic: string, message: string): Promise<void>;
}

export interface PhoneMaker {
  readonly name: string;
  open(login: Login): Promise<Phone>;
}

/** What came, to be taken in order. */
export class Inbox {
  readonly #lines: string[] = [];
  #arrived: () => void = () => {};

  put(line: string): void {
    this.#lines.push(line);
    this.#arrived();
  }

  async next(): Promise<string> {
    for (;;) {
      const line = this.#lines.shift();
      if (line !== undefined) return line;
      await new Promise<void>((resolve) => {
        this.#arrived = resolve;
      });
    }
  }

  /** The next line that `pattern` matches; those before it are dropped. */
  async match(pattern: RegExp): Promise<string> {
    for (;;) {
      const line = await this.next();
      if (pattern.test(line)) return line;
    }
  }
}

/** MQTT.js, in all that it speaks. */
function mqttJs(name: string, protocolVersion: 3 | 4 | 5): PhoneMaker {
  return {
    name: `MQTT.js ${name}`,
    async open({ broker, user, token, cafile }) {
      const client = await mqtt.connectAsync(`mqtts://localhost:${broker.mqttsPort}`, {
        username: 'JWT',
        password: token,
        protocolVersion,
        ...(protocolVersion === 3 && { protocolId: 'MQIsdp' as const }),
        clientId: `${user}-phone`,
        ca: await Bun.file(cafile).text(),
        reconnectPeriod: 0,
      });
      const inbox = new Inbox();
      client.on('message', (topic, payload) => inbox.put(`${topic} ${payload}`));
      return {
        inbox,
        subscribe: async (topic) => {
          const [granted] = await client.subscribeAsync(topic, { qos: 1 });
          if ((granted?.qos ?? 128) >= 128) throw new Error(`subscription to ${topic} refused`);
        },
        publish: async (topic, message) => {
          await client.publishAsync(topic, message, { qos: 1 });
        },
        [Symbol.asyncDispose]: () => client.endAsync(),
      };
    },
  };
}

/** `mosquitto_sub` for each subscription and `mosquitto_pub` for each message, as typed in the README. */
function mosquitto(version: string): PhoneMaker {
  return {
    name: `mosquitto_sub and mosquitto_pub ${version}`,
    async open({ broker, token, cafile }) {
      const options = [
        ...['-h', 'localhost', '-p', String(broker.mqttsPort), '--cafile', cafile],
        ...['-u', 'JWT', '-P', token, '-V', version],
      ];
      const inbox = new Inbox();
      const children: { kill(): void; exited: Promise<number> }[] = [];
      return {
        inbox,
        subscribe: async (topic) => {
          // With -d it tells when it is subscribed, and other things that are no messages; stdbuf, so
          // that it tells at once though nobody looks at a terminal.
          const args = ['-q', '1', '-t', topic, '-d', '-F', 'message: %t %p'];
          const child = Bun.spawn(['stdbuf', '-oL', 'mosquitto_sub', ...options, ...args], {
            stderr: 'inherit',
          });
          children.push(child);
          const said = new Inbox();
          void eachLine(child.stdout, (line) => {
            if (line.startsWith('message: ')) inbox.put(line.slice('message: '.length));
            else said.put(line);
          });
          await said.match(/^Subscribed \(mid: \d+\): 1$/);
        },
        publish: async (topic, message) => {
          const what = message === '' ? ['-n'] : ['-m', message];
          const args = ['-q', '1', '-t', topic, ...what];
          const child = Bun.spawn(['mosquitto_pub', ...options, ...args], { stderr: 'inherit' });
          if ((await child.exited) !== 0)
            throw new Error(`mosquitto_pub could not publish ${topic}`);
        },
        [Symbol.asyncDispose]: async () => {
          for (const child of children) child.kill();
          await Promise.all(children.map((child) => child.exited));
        },
      };
    },
  };
}

/** Eclipse Paho for Python, driven over stdin and stdout. */
function paho(version: string): PhoneMaker {
  return {
    name: `Paho for Python ${version}`,
    async open({ broker, user, token, cafile }) {
      const program = join(import.meta.dir, 'paho-phone.py');
      const where = ['localhost', String(broker.mqttsPort), cafile, `${user}-phone`, version];
      const child = Bun.spawn([python, program, ...where], {
        env: { ...process.env, TOKEN: token },
        stdin: 'pipe',
        stderr: 'inherit',
      });
      const inbox = new Inbox();
      const said = new Inbox();
      void eachLine(child.stdout, (line) => {
        if (line.startsWith('message: ')) inbox.put(line.slice('message: '.length));
        else said.put(line);
      });
      const ask = async (...words: string[]): Promise<void> => {
        child.stdin.write(`${JSON.stringify(words)}\n`);
        await child.stdin.flush();
        const answer = await said.next();
        if (answer !== 'done') throw new Error(answer);
      };
      await said.match(/^connected$/);
      return {
        inbox,
        subscribe: (topic) => ask('subscribe', topic),
        publish: (topic, message) => ask('publish', topic, message),
        [Symbol.asyncDispose]: async () => {
          child.kill();
          await child.exited;
        },
      };
    },
  };
}

/** Debian's, for which Debian's package of Paho is installed. */
const python = '/usr/bin/python3';

function hasPaho(): boolean {
  try {
    return Bun.spawnSync([python, '-c', 'import paho.mqtt.client']).success;
  } catch {
    return false;
  }
}

export const phoneMakers: readonly PhoneMaker[] = [
  mqttJs('3.1', 3),
  mqttJs('3.1.1', 4),
  mqttJs('5.0', 5),
  mosquitto('mqttv31'),
  mosquitto('mqttv311'),
  mosquitto('mqttv5'),
  ...(hasPaho() ? [paho('3.1.1'), paho('5.0')] : []),
];

async function eachLine(
  stream: ReadableStream<Uint8Array<ArrayBuffer>>,
  take: (line: string) => void,
): Promise<void> {
  let rest = '';
  for await (const text of stream.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + text).split('\n');
    rest = lines.pop() ?? '';
    lines.forEach(take);
  }
}
