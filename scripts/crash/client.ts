/** A client that remembers, behind a TCP socket: it reconnects until it is told to stop. */
import type { Socket } from 'bun';
import { RememberingClient, type RememberingClientOptions } from './remembering-client.ts';

const RETRY_MS = 10;

export class CrashClient extends RememberingClient {
  readonly #port: number;
  #started = false;
  /** Which start is the present one: what an earlier one left behind has no say. */
  #life = 0;
  #socket: Socket | undefined = undefined;

  constructor(options: RememberingClientOptions & { readonly port: number }) {
    super(options);
    this.#port = options.port;
  }

  start(): void {
    if (this.#started) return;
    this.#started = true;
    void this.#connect(++this.#life);
  }

  /** As `start`, and resolves once CONNACK and, the first time, SUBACK have come. */
  ready(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.onReady = resolve;
    this.start();
    return promise;
  }

  /** Leaves without a word, as a phone in a tunnel. */
  drop(): void {
    this.#started = false;
    this.#life++;
    this.lost();
    this.#socket?.terminate();
    this.#socket = undefined;
  }

  async #connect(life: number): Promise<void> {
    while (life === this.#life) {
      try {
        const socket = await Bun.connect({
          hostname: '127.0.0.1',
          port: this.#port,
          socket: {
            data: (from, data) => {
              if (from === this.#socket) this.read(new Uint8Array(data));
            },
            close: (from) => {
              if (from === this.#socket) this.#closed(life);
            },
            error: () => {},
            open: () => {},
          },
        });
        if (life !== this.#life) return void socket.terminate();
        this.#socket = socket;
        this.connected((bytes) => void socket.write(bytes));
        return;
      } catch {
        await Bun.sleep(RETRY_MS);
      }
    }
  }

  #closed(life: number): void {
    this.lost();
    this.#socket = undefined;
    setTimeout(() => void this.#connect(life), RETRY_MS);
  }
}
