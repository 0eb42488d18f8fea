/**
 * A client of any stream: what came, and a promise for what is to come.
 */
import { connect, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { type ConnectionOptions, connect as connectTls, type TLSSocket } from 'node:tls';

export class Client<Stream extends Duplex = Duplex> {
  readonly stream: Stream;
  #chunks: Buffer[] = [];
  #length = 0;
  /** How it ended: `end` where the other side did so in order, else the code of the error. */
  readonly ended: Promise<string>;
  #waits: { readonly length: number; readonly resolve: () => void }[] = [];

  constructor(stream: Stream) {
    this.stream = stream;
    let how = 'closed';
    stream.on('data', (chunk: Buffer) => {
      this.#chunks.push(chunk);
      this.#length += chunk.length;
      for (const wait of this.#waits) if (this.#length >= wait.length) wait.resolve();
    });
    stream.on('end', () => {
      how = 'end';
    });
    stream.on('error', (error: Error & { code?: string }) => {
      how = error.code ?? error.message;
    });
    this.ended = new Promise((resolve) => stream.on('close', () => resolve(how)));
  }

  get received(): Buffer {
    return Buffer.concat(this.#chunks);
  }

  /** All that has come, once that is `length` bytes; fails where the stream ends before. */
  async receive(length: number): Promise<string> {
    const enough = new Promise<'enough'>((resolve) => {
      if (this.#length >= length) resolve('enough');
      this.#waits.push({ length, resolve: () => resolve('enough') });
    });
    const first = await Promise.race([enough, this.ended]);
    if (first !== 'enough' && this.#length < length)
      throw new Error(`${first} after ${this.#length} bytes`);
    return this.received.toString('latin1');
  }

  /** Writes, and waits until that is handed to the system. */
  send(bytes: Uint8Array | string): Promise<void> {
    return new Promise((resolve) => this.stream.write(bytes, () => resolve()));
  }
}

/** Connects to a port of this machine. */
export function connectTcp(
  port: number,
  options: { allowHalfOpen?: boolean } = {},
): Client<Socket> {
  const socket = connect({ port, host: '127.0.0.1', noDelay: true, ...options });
  return new Client(socket);
}

/** Begins TLS; `secured` tells whether it came about: the protocol version, or the code of the error. */
export function connectSecurely(
  port: number,
  options: ConnectionOptions = {},
): Client<TLSSocket> & { readonly secured: Promise<string> } {
  const socket = connectTls({ port, host: '127.0.0.1', rejectUnauthorized: false, ...options });
  const client = new Client(socket);
  const secured = new Promise<string>((resolve) => {
    socket.once('secureConnect', () => resolve(socket.getProtocol() ?? 'none'));
    void client.ended.then(resolve);
  });
  return Object.assign(client, { secured });
}
