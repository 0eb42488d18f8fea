import { afterEach, describe, expect, test } from 'bun:test';
import { ListenError } from '../../core/net/listen-error.ts';
import { listenTcp } from '../../core/net/tcp.ts';
import type { TurnOptions } from '../../core/net/turn.ts';
import { connectTcp } from './client.ts';
import { stage } from './fake-broker.ts';
import { echo, listenOver, stopAll } from './listening.ts';

/** Bytes that Bun hands over at a time, at most. */
const ONE_READ = 524_288;

afterEach(stopAll);

function listen(options: Partial<TurnOptions> = {}) {
  return listenOver(stage(options), { setting: 'MQTT_PORT' });
}

describe('a plaintext listener', () => {
  test('hands over what comes, with the address that it came from, and sends what is answered', async () => {
    const { broker, port, turn } = listen();
    echo(broker);
    const client = connectTcp(port);
    await client.send('hello');
    expect(await client.receive(5)).toBe('hello');
    expect(broker.calls[0]).toMatchObject({
      call: 'opened',
      origin: { transport: 'mqtt', address: '127.0.0.1' },
    });
    expect(turn.counters.accepted.mqtt).toBe(1);
    client.stream.end();
    await broker.until(() => broker.count('lost') === 1);
    expect(turn.sockets).toBe(0);
  });

  test('tells of a client that resets the connection', async () => {
    const { broker, port } = listen();
    const client = connectTcp(port);
    await broker.until(() => broker.count('opened') === 1);
    client.stream.resetAndDestroy();
    await broker.until(() => broker.count('lost') === 1);
  });

  test('takes the same bytes one at a time and all at once', async () => {
    const { broker, port } = listen();
    const client = connectTcp(port);
    for (const byte of 'one at a time') await client.send(byte);
    await broker.until(() => broker.textFrom(broker.id()) === 'one at a time');
  });

  test('writes 24 MB to a client that takes its time, whole, and tells when none waits', async () => {
    const { broker, port } = listen();
    const block = new Uint8Array(64_000);
    broker.on = (call) => {
      if (call.call !== 'received') return;
      for (let index = 0; index < 375; index++) {
        block.fill(index);
        broker.outbox.send(call.connection, block);
      }
    };
    const client = connectTcp(port);
    client.stream.pause();
    await client.send('go');
    const waits = (least: number) =>
      broker.calls.some((call) => call.call === 'flushed' && call.waitingBytes > least);
    await broker.until(() => waits(10_000_000));
    client.stream.resume();
    await client.receive(24_000_000);
    const { received } = client;
    expect(received.length).toBe(24_000_000);
    for (let index = 0; index < 375; index++)
      expect(received[index * 64_000 + 31_999]).toBe(index & 255);
    const last = broker.calls.at(-1);
    expect(last?.call === 'flushed' && last.waitingBytes).toBe(0);
  });

  test('one client that does not read holds up nobody', async () => {
    const { broker, port } = listen();
    const flood = new Uint8Array(20_000_000);
    broker.on = (call, bytes) => {
      if (call.call !== 'received' || bytes === undefined) return;
      if (call.text === 'flood me') broker.outbox.share(call.connection, flood);
      else broker.outbox.send(call.connection, bytes);
    };
    const slow = connectTcp(port);
    slow.stream.pause();
    await slow.send('flood me');
    await broker.until(() => broker.count('flushed') > 0);
    const quick = connectTcp(port);
    await quick.send('hello');
    expect(await quick.receive(5)).toBe('hello');
    slow.stream.destroy();
    await broker.until(() => broker.count('lost') === 1);
  });

  test('stops reading from a connection that is paused, and goes on where it was', async () => {
    const { broker, port } = listen();
    broker.on = (call) => {
      if (call.call === 'received' && broker.bytesReceived <= 5) {
        broker.outbox.pause(call.connection);
        broker.outbox.send(call.connection, new Uint8Array(1));
      }
    };
    const paused = connectTcp(port);
    await paused.send('first');
    await paused.receive(1);
    let filled = false;
    const all = paused.send(new Uint8Array(16_000_000)).then(() => {
      filled = true;
    });
    // Another connection's whole life passes, and nothing more than one read is taken.
    const other = connectTcp(port);
    await broker.until(() => broker.count('opened') === 2);
    other.stream.end();
    await broker.until(() => broker.count('lost') === 1);
    expect(broker.bytesReceived).toBeLessThanOrEqual(5 + ONE_READ);
    expect(filled).toBe(false);
    broker.outbox.resume(broker.id());
    await all;
    await broker.until(() => broker.bytesReceived === 16_000_005);
  });

  test('sends what was to be sent before it ends the connection', async () => {
    const { broker, port, turn } = listen();
    const refusal = new Uint8Array(1_000_000).fill(7);
    broker.on = (call) => {
      if (call.call !== 'received') return;
      broker.outbox.send(call.connection, refusal);
      broker.outbox.close(call.connection);
    };
    const client = connectTcp(port);
    // The client is still sending when it is refused: a reset would take the refusal with it.
    await client.send(new Uint8Array(3_000_000));
    expect(await client.ended).toBe('end');
    expect(client.received.length).toBe(1_000_000);
    await turn.empty();
    expect(broker.count('lost')).toBe(0);
  });

  test('ends a paused connection in order too', async () => {
    const { broker, port } = listen();
    broker.on = (call) => {
      if (call.call !== 'received') return;
      broker.outbox.pause(call.connection);
      broker.outbox.send(call.connection, new Uint8Array(10));
      broker.outbox.close(call.connection);
    };
    const client = connectTcp(port);
    await client.send(new Uint8Array(1_000_000));
    expect(await client.ended).toBe('end');
    expect(client.received.length).toBe(10);
  });

  test('cuts a closed connection whose client goes on for ever', async () => {
    const { broker, port, turn } = listen({ closeTimeoutMs: 20 });
    const client = connectTcp(port, { allowHalfOpen: true });
    await broker.until(() => broker.count('opened') === 1);
    broker.outbox.close(broker.id());
    await turn.empty();
    expect(turn.counters.cut).toBe(1);
    client.stream.destroy();
  });

  test('a broker that turns a connection away at once is obeyed', async () => {
    const { broker, port } = listen();
    broker.on = (call) => {
      if (call.call === 'opened') broker.outbox.close(call.connection);
    };
    const client = connectTcp(port);
    expect(await client.ended).toBe('end');
    expect(broker.calls.map(({ call }) => call)).toEqual(['opened']);
  });

  test('accepts no more once it is stopped, and what is connected stays', async () => {
    const { broker, port, listener } = listen();
    echo(broker);
    const before = connectTcp(port);
    await broker.until(() => broker.count('opened') === 1);
    listener.stop();
    expect(await connectTcp(port).ended).toBe('ECONNREFUSED');
    await before.send('still here');
    expect(await before.receive(10)).toBe('still here');
  });

  test('that cannot have its port says so in one line that names the setting', () => {
    const { port, turn } = listen();
    const again = (hostname: string, wanted: number) => () =>
      listenTcp({
        turn,
        hostname,
        port: wanted,
        setting: 'MQTTS_PORT',
        tls: undefined,
        proxy: undefined,
      });
    expect(again('127.0.0.1', port)).toThrow(ListenError);
    expect(again('127.0.0.1', port)).toThrow(
      `MQTTS_PORT: port ${port} is in use by another process; stop it or choose another port`,
    );
    expect(again('203.0.113.7', 0)).toThrow(
      'HOST: cannot listen on 203.0.113.7:0: this machine does not have that address',
    );
    expect(again('no such host', 0)).toThrow('HOST: cannot listen on no such host:0');
  });
});

describe('a bug of the shell', () => {
  test('costs the connection that it happened on, is reported, and the listener serves on', async () => {
    const { broker, port, turn, events } = listen();
    echo(broker);
    const bad = connectTcp(port);
    const good = connectTcp(port);
    await broker.until(() => broker.count('opened') === 2);
    const { received } = turn;
    turn.received = (link, bytes) => {
      if (bytes.length === 3) throw new TypeError('a bug');
      received.call(turn, link, bytes);
    };
    await bad.send('bad');
    await bad.ended;
    await good.send('good');
    expect(await good.receive(4)).toBe('good');
    turn.opened = () => {
      throw new TypeError('another bug');
    };
    await connectTcp(port).ended;
    expect(events).toMatchObject([
      { kind: 'fault', error: { message: 'a bug' } },
      { kind: 'fault', error: { message: 'another bug' } },
    ]);
    expect(broker.count('lost')).toBe(1);
  });
});
