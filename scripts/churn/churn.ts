/** A broker to which clients come, subscribe, publish, get their message and go, again and again. */
import { Database } from 'bun:sqlite';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startBroker } from '../broker.ts';
import { freePort, mint } from '../load.ts';
import { type Client, live } from './life.ts';

/** How clients come, and who answers them: a plugin, or nobody, and then each gets what it published. */
export interface Way {
  readonly id: string;
  readonly title: string;
  readonly tls: boolean;
  readonly plugin: boolean;
}

export interface ChurnLoad {
  /** Clients at a time. */
  readonly slots: number;
  /** Clients that come in a second. */
  readonly rate: number;
  readonly minutes: number;
}

const PLUGIN = `import { defineHandler } from 'bellhop';
export default defineHandler({
  topic: 'churn_command', decode: 'bytes', reply: 'churn_reply', run: ({ input }) => input,
});
`;

export class Churn {
  readonly way: Way;
  /** Clients that got their message, and those that did not. */
  completed = 0;
  failed = 0;
  /** Resident memory of the broker second by second, in kB. */
  readonly samples: number[] = [];
  readonly #folder = mkdtempSync(join(tmpdir(), 'bellhop-churn-'));
  readonly #port: number;
  readonly #broker: Bun.Subprocess;
  #lives = 0;

  private constructor(way: Way, command: readonly string[], port: number) {
    this.way = way;
    this.#port = port;
    if (way.plugin) {
      mkdirSync(join(this.#folder, 'plugins'));
      writeFileSync(join(this.#folder, 'plugins', 'churn.ts'), PLUGIN);
    }
    const listeners = way.tls ? { MQTT_PORT: '0', MQTTS_PORT: String(port) } : {};
    this.#broker = startBroker(command, port, this.#folder, listeners);
  }

  /** Starts a broker, which needs a moment until clients may come. */
  static async start(way: Way, command: readonly string[]): Promise<Churn> {
    return new Churn(way, command, await freePort());
  }

  async run({ slots, rate, minutes }: ChurnLoad): Promise<void> {
    const endAt = performance.now() + minutes * 60_000;
    const sampling = setInterval(() => this.samples.push(this.residentKilobytes), 1_000);
    await Promise.all(
      Array.from({ length: slots }, async (_, slot) => {
        while (performance.now() < endAt) {
          const next = Bun.sleep((1_000 * slots) / rate);
          if (await live(await this.#client(slot), this.#port, this.way.tls)) this.completed++;
          else this.failed++;
          await next;
        }
      }),
    );
    clearInterval(sampling);
  }

  /** Each is a user of its own, and a new one but for those that come back to a stored session. */
  async #client(slot: number): Promise<Client> {
    const life = ++this.#lives;
    const stored = life % 4 === 0;
    const name = stored ? `stored-${slot}` : `once-${life}`;
    const own = `${name}_churn_reply`;
    return {
      name,
      token: await mint(name, this.way.plugin ? 'device' : 'handler'),
      stored,
      vanishes: life % 10 === 0,
      subscribesTo: own,
      publishesTo: this.way.plugin ? 'churn_command' : own,
      life,
    };
  }

  get residentKilobytes(): number {
    const status = readFileSync(`/proc/${this.#broker.pid}/status`, 'utf8');
    return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]);
  }

  /** What waits for clients in the broker's file. */
  get storedDeliveries(): number {
    const database = new Database(join(this.#folder, 'data', 'broker.sqlite'), { readonly: true });
    const count = database.query('select count(*) from delivery').values()[0]?.[0] as number;
    database.close();
    return count;
  }

  async stop(): Promise<void> {
    this.#broker.kill('SIGTERM');
    await this.#broker.exited;
    rmSync(this.#folder, { recursive: true, force: true });
  }
}
