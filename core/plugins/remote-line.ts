/** The socket of a remote handler process, over TLS or plain: moves bytes, and tells why it ended. */
import type { Socket } from 'bun';

export interface Target {
  readonly hostname: string;
  readonly port: number;
  /** Undefined for plain TCP. */
  readonly tls:
    | {
        readonly serverName: string;
        readonly rejectUnauthorized: boolean;
        readonly ca?: string;
      }
    | undefined;
}

export interface LineListener {
  opened(): void;
  /** Good for now only. */
  received(bytes: Uint8Array): void;
  /** Once; also where it never opened. */
  closed(why: LineFailure): void;
}

export interface LineFailure {
  readonly detail: string;
  /** Whether it is the certificate, which does not change by trying again. */
  readonly untrusted: boolean;
}

const CONNECT_TIMEOUT_MS = 20_000;
/** How long the other side may take to close as well. */
const CLOSE_MS = 1_000;

export class Line {
  readonly #target: Target;
  readonly #listener: LineListener;
  #socket: Socket<undefined> | undefined = undefined;
  #state: 'opening' | 'open' | 'ending' | 'closed' = 'opening';
  #waiting: Uint8Array[] = [];
  #flushDue = false;
  readonly #timer: NodeJS.Timeout;

  constructor(target: Target, listener: LineListener) {
    this.#target = target;
    this.#listener = listener;
    this.#timer = setTimeout(
      () => this.fail(`no connection within ${CONNECT_TIMEOUT_MS / 1_000} s`),
      CONNECT_TIMEOUT_MS,
    );
    void this.#connect();
  }

  /** Written behind the callbacks of this poll. */
  write(bytes: Uint8Array): void {
    this.#waiting.push(bytes);
    if (this.#flushDue) return;
    this.#flushDue = true;
    setImmediate(() => {
      this.#flushDue = false;
      this.#flush();
    });
  }

  /** Ends it in good order: what was written still goes. */
  end(): void {
    if (this.#state !== 'open') return this.fail('ended');
    this.#state = 'ending';
    this.#flush();
    setTimeout(() => this.fail('ended'), CLOSE_MS);
  }

  /** Ends it at once. */
  fail(detail: string, untrusted = false): void {
    if (this.#state === 'closed') return;
    this.#state = 'closed';
    clearTimeout(this.#timer);
    this.#socket?.terminate();
    this.#listener.closed({ detail, untrusted });
  }

  async #connect(): Promise<void> {
    const { hostname, port, tls } = this.#target;
    try {
      await Bun.connect<undefined>({
        hostname,
        port,
        data: undefined,
        ...(tls === undefined ? {} : { tls }),
        socket: {
          open: (socket) => {
            this.#socket = socket;
            if (this.#state === 'closed') return void socket.terminate();
            if (tls === undefined) this.#open();
          },
          ...(tls !== undefined && {
            handshake: (_socket: Socket<undefined>, success: boolean, error: Error | null) => {
              if (success && !error) return this.#open();
              const reason = error?.message ?? 'the TLS handshake failed';
              this.fail(describe(reason), error !== null);
            },
          }),
          data: (_socket, bytes) => {
            if (this.#state === 'open' || this.#state === 'ending') this.#listener.received(bytes);
          },
          drain: () => this.#flush(),
          close: () => this.fail('the broker closed the connection'),
          error: (_socket, error) => this.fail(error.message),
        },
      });
    } catch (error) {
      this.fail((error as Error).message);
    }
  }

  #open(): void {
    if (this.#state !== 'opening') return;
    this.#state = 'open';
    clearTimeout(this.#timer);
    this.#listener.opened();
  }

  #flush(): void {
    if (this.#socket === undefined || this.#state === 'opening' || this.#state === 'closed') return;
    if (this.#waiting.length > 0) {
      const [first] = this.#waiting;
      const all = this.#waiting.length === 1 && first ? first : Buffer.concat(this.#waiting);
      const taken = Math.max(0, this.#socket.write(all));
      this.#waiting = taken < all.length ? [all.subarray(taken)] : [];
    }
    if (this.#state === 'ending' && this.#waiting.length === 0) this.#socket.end();
  }
}

function describe(reason: string): string {
  return `the certificate is not trusted: ${reason}`;
}
