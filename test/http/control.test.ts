import { afterEach, beforeEach, expect, test } from 'bun:test';
import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  askControl,
  type ControlListener,
  createControl,
  type LetterAction,
  type LetterAnswer,
  type LetterSelection,
  listenForControl,
} from '../../core/http/control.ts';

let folder = '';
let listener: ControlListener | undefined;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'bellhop-control-'));
});
afterEach(() => {
  listener?.stop();
  listener = undefined;
  rmSync(folder, { recursive: true });
});

/** A control app over a desk that answers `answer`, with what the desk was asked. */
function control(answer: LetterAnswer | Error = { kind: 'done', count: 3 }) {
  const asked: (readonly [LetterAction, LetterSelection])[] = [];
  const reported: Error[] = [];
  const app = createControl({
    letters: {
      async act(action, selection) {
        asked.push([action, selection]);
        if (answer instanceof Error) throw answer;
        return answer;
      },
    },
    report: (error) => void reported.push(error),
  });
  const post = async (path: string, body: string) => {
    const response = await app.request(path, { method: 'POST', body });
    return [response.status, await response.json()] as const;
  };
  return { app, asked, reported, post };
}

test('letters are named by numbers, by handler or all at once', async () => {
  const { asked, post } = control();
  expect(await post('/dead/replay', '{"numbers":[7,9]}')).toEqual([200, { count: 3 }]);
  expect(await post('/dead/drop', '{"handler":"a"}')).toEqual([200, { count: 3 }]);
  expect(await post('/dead/drop', '{"all":true}')).toEqual([200, { count: 3 }]);
  expect(asked).toEqual([
    ['replay', { kind: 'numbers', numbers: [7, 9] }],
    ['drop', { kind: 'handler', handler: 'a' }],
    ['drop', { kind: 'all' }],
  ]);
});

test.each([
  '',
  'all',
  'null',
  '[]',
  '{}',
  '{"all":false}',
  '{"all":true,"handler":"a"}',
  '{"numbers":[]}',
  '{"numbers":[0]}',
  '{"numbers":["7"]}',
  '{"numbers":[1.5]}',
  '{"handler":7}',
])('what names no letters is refused, and nothing is asked: %p', async (body) => {
  const { asked, post } = control();
  expect((await post('/dead/drop', body))[0]).toBe(400);
  expect(asked).toEqual([]);
});

test('a refusal, a failing disk and a fault have a status each, and only the fault hides why', async () => {
  const refused = control({ kind: 'refused', detail: 'there is no dead letter 7' });
  expect(await refused.post('/dead/drop', '{"numbers":[7]}')).toEqual([
    409,
    { error: 'there is no dead letter 7' },
  ]);
  const failing = control({ kind: 'failing', detail: 'the disk is full' });
  expect(await failing.post('/dead/drop', '{"all":true}')).toEqual([
    503,
    { error: 'the disk is full' },
  ]);
  const broken = control(new Error('oh'));
  expect(await broken.post('/dead/drop', '{"all":true}')).toEqual([
    500,
    { error: 'internal error' },
  ]);
  expect(broken.reported.map(({ message }) => message)).toEqual(['oh']);
});

test('a body that is too large is not read, and what is not there is not found', async () => {
  const { post, app } = control();
  expect((await post('/dead/drop', `{"handler":"${'x'.repeat(1_100_000)}"}`))[0]).toBe(413);
  expect((await post('/dead/other', '{}'))[0]).toBe(404);
  expect((await app.request('/dead/drop')).status).toBe(404);
});

test('the socket is its owner’s alone, answers, and goes with the listener', async () => {
  const { app, asked } = control();
  const path = join(folder, 'control.sock');
  listener = listenForControl(folder, app);
  expect(lstatSync(path).mode & 0o777).toBe(0o600);
  expect(await askControl(folder, '/dead/drop', { numbers: [7] })).toEqual({
    kind: 'answered',
    status: 200,
    body: { count: 3 },
  });
  expect(asked).toHaveLength(1);
  listener.stop();
  listener = undefined;
  expect(existsSync(path)).toBe(false);
  expect(await askControl(folder, '/dead/drop', { all: true })).toEqual({ kind: 'nobody' });
});

test('a socket that a killed process left behind answers nobody, and is replaced', async () => {
  const program = `Bun.serve({ unix: ${JSON.stringify(join(folder, 'control.sock'))}, fetch: () => new Response() });
    process.kill(process.pid, 'SIGKILL');`;
  await Bun.spawn([process.execPath, '-e', program]).exited;
  expect(lstatSync(join(folder, 'control.sock')).isSocket()).toBe(true);
  expect(await askControl(folder, '/dead/drop', { all: true })).toEqual({ kind: 'nobody' });
  listener = listenForControl(folder, control().app);
  expect(await askControl(folder, '/dead/drop', { all: true })).toMatchObject({ status: 200 });
});

test('what is no socket is left alone', () => {
  const path = join(folder, 'control.sock');
  writeFileSync(path, 'mine');
  expect(() => listenForControl(folder, control().app)).toThrow(/no socket/);
  expect(readFileSync(path, 'utf8')).toBe('mine');
});

// The address of a socket holds 108 bytes on Linux, one of which ends it.
test.each([103, 104, 107, 108, 109, 150, 300])(
  'a socket whose path has %d bytes is reached all the same',
  async (length) => {
    const rest = length - Buffer.byteLength(join(folder, 'x', 'control.sock')) + 1;
    const parts = rest <= 200 ? ['y'.repeat(rest)] : ['y'.repeat(100), 'y'.repeat(rest - 101)];
    const deep = join(folder, ...parts);
    mkdirSync(deep, { recursive: true });
    expect(join(deep, 'control.sock').length).toBe(length);
    listener = listenForControl(deep, control().app);
    expect(lstatSync(join(deep, 'control.sock')).mode & 0o777).toBe(0o600);
    expect(await askControl(deep, '/dead/drop', { all: true })).toMatchObject({ status: 200 });
    listener.stop();
    listener = undefined;
    expect(existsSync(join(deep, 'control.sock'))).toBe(false);
  },
);

test('a folder without a socket has nobody', async () => {
  expect(await askControl(join(folder, 'none'), '/dead/drop', {})).toEqual({ kind: 'nobody' });
});
