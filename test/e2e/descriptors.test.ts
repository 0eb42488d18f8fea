/** More connections than the process has file descriptors for: it stays, and serves those who come after. */
import { expect, setDefaultTimeout, test } from 'bun:test';
import { mkdirSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { bellhop, Folder, freePorts } from './executable.ts';

setDefaultTimeout(60_000);

const handler = `import { defineHandler } from 'bellhop';
export default defineHandler({ topic: 'c', run() {} });
`;

const DESCRIPTORS = 200;
const FLOOD = 600;

/** Resolves to whether a socket was accepted; it stays open. */
function open(port: number, sockets: Socket[]): Promise<void> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    sockets.push(socket);
    socket.once('connect', resolve);
    socket.once('error', () => resolve());
  });
}

test('a flood of connections neither ends the process nor keeps it from its work', async () => {
  using folder = new Folder();
  mkdirSync(join(folder.path, 'plugins'));
  folder.write('plugins/first.ts', 'export const nothing = 0;');
  const [mqttPort = 0, httpsPort = 0] = await freePorts(2);
  const child = Bun.spawn(
    ['sh', '-c', `ulimit -n ${DESCRIPTORS}; exec "$@"`, 'sh', ...bellhop, 'serve'],
    {
      cwd: folder.path,
      env: {
        PATH: process.env.PATH ?? '',
        HOME: folder.path,
        HOST: '127.0.0.1',
        MQTT_PORT: String(mqttPort),
        MQTTS_PORT: '0',
        HTTPS_PORT: String(httpsPort),
        DATA_DIR: join(folder.path, 'data'),
        PLUGINS_DIR: join(folder.path, 'plugins'),
        LOG_FORMAT: 'json',
      },
      stdout: 'pipe',
      stderr: 'inherit',
    },
  );
  try {
    let log = '';
    const decoder = new TextDecoder();
    const serving = Promise.withResolvers<void>();
    const loaded = Promise.withResolvers<void>();
    const reading = (async () => {
      for await (const bytes of child.stdout) {
        log += decoder.decode(bytes, { stream: true });
        if (log.includes('"serving"')) serving.resolve();
        if (log.includes('"plugin loaded"')) loaded.resolve();
      }
    })();
    await serving.promise;
    const sockets: Socket[] = [];
    for (const port of [mqttPort, httpsPort]) {
      for (let count = 0; count < FLOOD; count += 50) {
        await Promise.all(Array.from({ length: 50 }, () => open(port, sockets)));
      }
    }
    // A change of the plugins folder wants a thread just now, and has to wait for it. Nothing tells that it
    // was seen: this is time to see it in, and where that is too short, less is asked for.
    folder.write('plugins/first.ts', handler);
    await Promise.race([child.exited, Bun.sleep(1_000)]);
    expect(child.exitCode).toBeNull();
    const gone = sockets.map(
      (socket) =>
        new Promise<void>((resolve) =>
          socket.destroyed ? resolve() : socket.once('close', () => resolve()),
        ),
    );
    for (const socket of sockets) socket.destroy();
    await Promise.all(gone);
    await loaded.promise;
    const health = Bun.spawnSync([...bellhop, 'health'], {
      cwd: folder.path,
      env: {
        PATH: process.env.PATH ?? '',
        HOME: folder.path,
        HOST: '127.0.0.1',
        HTTPS_PORT: String(httpsPort),
      },
    });
    expect(health.exitCode).toBe(0);
    child.kill('SIGTERM');
    expect(await child.exited).toBe(0);
    await reading;
  } finally {
    child.kill('SIGKILL');
  }
}, 120_000);
