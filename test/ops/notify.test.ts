import { afterEach, beforeEach, expect, test } from 'bun:test';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openNotifier } from '../../core/ops/notify.ts';

/** Binds the datagram socket that it is given, says so, and prints each datagram as a line. */
const receiver = `
import socket, sys
name = sys.argv[1]
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind('\\0' + name[1:] if name[0] == '@' else name)
print('bound', flush=True)
while True:
    print(s.recv(4096).decode(), flush=True)
`;

let folder = '';
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'bellhop-notify-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

async function received(name: string, send: () => void, lines: number): Promise<string[]> {
  const process = Bun.spawn(['python3', '-c', receiver, name], { stdout: 'pipe' });
  const got: string[] = [];
  try {
    for await (const chunk of process.stdout.pipeThrough(new TextDecoderStream())) {
      const before = got.length;
      got.push(...chunk.split('\n').filter((line) => line !== ''));
      if (before === 0) send();
      if (got.length > lines) break;
    }
  } finally {
    process.kill();
    await process.exited;
  }
  return got.slice(1);
}

test.each(['path', 'abstract'])(
  'what is sent arrives at a socket with a name of kind %s',
  async (kind) => {
    const name = kind === 'path' ? join(folder, 'notify') : `@bellhop-${folder}`;
    const notifier = openNotifier({ NOTIFY_SOCKET: name });
    const send = (): void => {
      expect(notifier?.send('READY=1')).toBe(true);
      expect(notifier?.send('STOPPING=1')).toBe(true);
    };
    expect(await received(name, send, 2)).toEqual(['READY=1', 'STOPPING=1']);
  },
);

test('nobody listens: sending says so and does no harm', () => {
  const notifier = openNotifier({ NOTIFY_SOCKET: join(folder, 'nobody') });
  expect(notifier?.send('READY=1')).toBe(false);
});

test('without a service manager there is no notifier', () => {
  expect(openNotifier({})).toBeUndefined();
  expect(openNotifier({ NOTIFY_SOCKET: '' })).toBeUndefined();
});

test('a socket that cannot be is refused', () => {
  expect(() => openNotifier({ NOTIFY_SOCKET: 'relative' })).toThrow('no path');
  expect(() => openNotifier({ NOTIFY_SOCKET: `/${'x'.repeat(120)}` })).toThrow('too long');
});

test('the watchdog is told twice in its interval, where it watches this process', () => {
  const asked = (more: Record<string, string>) =>
    openNotifier({ NOTIFY_SOCKET: join(folder, 'n'), ...more })?.watchdogMs;
  expect(asked({})).toBeUndefined();
  expect(asked({ WATCHDOG_USEC: '30000000' })).toBe(15_000);
  expect(asked({ WATCHDOG_USEC: '30000000', WATCHDOG_PID: String(process.pid) })).toBe(15_000);
  expect(asked({ WATCHDOG_USEC: '30000000', WATCHDOG_PID: '1' })).toBeUndefined();
  expect(asked({ WATCHDOG_USEC: 'x' })).toBeUndefined();
});
