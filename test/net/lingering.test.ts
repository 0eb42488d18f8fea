/** How connections are closed so that the last bytes arrive, and what becomes of peers that do not end. */
import { describe, expect, test } from 'bun:test';
import { stage } from './fake-broker.ts';
import { bytes, FakeSocket, origin, settled } from './fake-socket.ts';

describe('closing', () => {
  test('what was sent is flushed, our side ends, and nothing more is read or told', async () => {
    const { turn, broker } = stage();
    const socket = new FakeSocket();
    const link = turn.opened(socket, origin);
    broker.on = (call) => {
      if (call.call !== 'received') return;
      broker.outbox.pause(link.id);
      if (broker.count('received') < 2) return;
      broker.outbox.send(link.id, bytes(1, 2));
      broker.outbox.close(link.id);
      broker.outbox.send(link.id, bytes(3));
    };
    for (let count = 0; count < 4; count++) turn.received(link, bytes(0));
    await settled();
    expect(socket.writes).toEqual([bytes(1, 2)]);
    expect(socket.acts).toEqual(['pause', 'resume', 'shutdown']);
    turn.lost(link);
    expect(broker.calls.map((call) => call.call)).toEqual(['opened', 'received', 'received']);
    expect(turn.sockets).toBe(0);
  });

  test('our side ends only when the socket has taken all', async () => {
    const { turn, broker } = stage();
    const socket = new FakeSocket();
    socket.room = 1;
    const link = turn.opened(socket, origin);
    broker.outbox.send(link.id, bytes(1, 2));
    broker.outbox.close(link.id);
    await settled();
    expect(socket.acts).toEqual([]);
    socket.room = 1;
    turn.drained(link);
    await settled();
    expect(socket.acts).toEqual(['shutdown']);
    expect(Buffer.concat(socket.writes)).toEqual(Buffer.of(1, 2));
  });

  test('a peer that reads nothing is cut', async () => {
    const { turn, broker } = stage({ closeTimeoutMs: 10 });
    const socket = new FakeSocket();
    socket.room = 0;
    const link = turn.opened(socket, origin);
    broker.outbox.send(link.id, bytes(1));
    broker.outbox.close(link.id);
    expect(await socket.nextAct()).toBe('terminate');
    expect([turn.counters.cut, turn.sockets, turn.lingering]).toEqual([1, 0, 0]);
    turn.lost(link); // the socket says so, later
    expect(turn.lingering).toBe(0);
  });

  test('a peer that reads and never ends is cut', async () => {
    const { turn, broker } = stage({ closeTimeoutMs: 10 });
    const socket = new FakeSocket();
    const link = turn.opened(socket, origin);
    broker.outbox.close(link.id);
    expect(await socket.nextAct()).toBe('shutdown');
    expect(await socket.nextAct()).toBe('terminate');
    expect(broker.count('lost')).toBe(0);
  });

  test('no more than so many linger: the first to close is cut', async () => {
    const { turn, broker } = stage({ maximumLingering: 2 });
    const sockets = [new FakeSocket(), new FakeSocket(), new FakeSocket(), new FakeSocket()];
    const links = sockets.map((socket) => turn.opened(socket, origin));
    for (const { id } of links.slice(0, 2)) broker.outbox.close(id);
    const [first] = links;
    if (first !== undefined) turn.lost(first); // ended by itself, and makes room
    for (const { id } of links.slice(2)) broker.outbox.close(id);
    await settled();
    expect(sockets.map((socket) => socket.acts)).toEqual([
      [],
      ['terminate'],
      ['shutdown'],
      ['shutdown'],
    ]);
    turn.stop();
  });

  test('a shutdown ends all, however many, and tells when the last is gone', async () => {
    const { turn, broker } = stage({ maximumLingering: 1 });
    const sockets = [new FakeSocket(), new FakeSocket(), new FakeSocket()];
    const links = sockets.map((socket) => turn.opened(socket, origin));
    const empty = turn.empty();
    turn.shutDown();
    await settled();
    expect(sockets.map((socket) => socket.acts)).toEqual([
      ['shutdown'],
      ['shutdown'],
      ['shutdown'],
    ]);
    for (const link of links) turn.lost(link);
    await empty;
    await turn.empty();
    expect(broker.count('lost')).toBe(0);
  });

  test('stopping cuts what is left', () => {
    const { turn, broker } = stage();
    const [open, closing] = [new FakeSocket(), new FakeSocket()];
    turn.opened(open, origin);
    broker.outbox.close(turn.opened(closing, origin).id);
    turn.stop();
    expect([open.acts, closing.acts]).toEqual([['terminate'], ['terminate']]);
  });
});
