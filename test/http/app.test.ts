import { describe, expect, test } from 'bun:test';
import { type AppOptions, createApp } from '../../core/http/app.ts';

function app(options: Partial<AppOptions> = {}) {
  const faults: Error[] = [];
  const hono = createApp({
    notReady: () => [],
    metrics: () => Promise.resolve('bellhop_x 1\n'),
    metricsAccess: 'loopback',
    isAdmin: (token) =>
      Promise.resolve(token === 'admin' ? true : token === 'device' ? false : undefined),
    report: (error) => faults.push(error),
    ...options,
  });
  const ask = (path: string, init: RequestInit = {}, address = '127.0.0.1') =>
    hono.fetch(new Request(`https://localhost${path}`, init), { address });
  return { ask, faults };
}

const bearer = (token: string) => ({ headers: { authorization: `Bearer ${token}` } });

describe('/health', () => {
  test('says that the process lives, ready or not', async () => {
    const { ask } = app({ notReady: () => ['draining'] });
    const response = await ask('/health');
    expect(response.status).toBe(200);
    expect(await response.json()).toEqual({ status: 'ok' });
  });
});

describe('/ready', () => {
  test('is 200 where clients are taken, and 503 with the reasons where they are not', async () => {
    const ready = await app().ask('/ready');
    expect([ready.status, await ready.json()]).toEqual([200, { status: 'ready' }]);
    const { ask } = app({ notReady: () => ['MQTTS is not listening', 'draining'] });
    const not = await ask('/ready');
    expect([not.status, await not.json()]).toEqual([
      503,
      { status: 'not ready', reasons: ['MQTTS is not listening', 'draining'] },
    ]);
  });
});

describe('/metrics', () => {
  test('is for everybody on this machine, and for admins elsewhere', async () => {
    const { ask } = app();
    for (const address of ['127.0.0.1', '127.8.8.8', '::1']) {
      const response = await ask('/metrics', {}, address);
      expect(response.status).toBe(200);
      expect(response.headers.get('content-type')).toBe('text/plain; version=0.0.4; charset=utf-8');
      expect(await response.text()).toBe('bellhop_x 1\n');
    }
    const statuses = await Promise.all([
      ask('/metrics', {}, '192.0.2.1'),
      ask('/metrics', bearer('nonsense'), '192.0.2.1'),
      ask('/metrics', { headers: { authorization: 'Basic YWRtaW4=' } }, '192.0.2.1'),
      ask('/metrics', bearer('device'), '192.0.2.1'),
      ask('/metrics', bearer('admin'), '192.0.2.1'),
      ask('/metrics', {}, 'unknown'),
    ]);
    expect(statuses.map(({ status }) => status)).toEqual([401, 401, 401, 403, 200, 401]);
    expect(statuses[0]?.headers.get('www-authenticate')).toBe('Bearer');
  });

  test('takes nobody for local whom a proxy on this machine forwards', async () => {
    const { ask } = app();
    for (const name of ['x-forwarded-for', 'forwarded']) {
      const response = await ask('/metrics', { headers: { [name]: '127.0.0.1' } });
      expect(response.status).toBe(401);
    }
  });

  test('wants a token from this machine too where it is told to', async () => {
    const { ask } = app({ metricsAccess: 'token' });
    expect((await ask('/metrics')).status).toBe(401);
    expect((await ask('/metrics', bearer('admin'))).status).toBe(200);
  });

  test('is open where it is told to be', async () => {
    expect((await app({ metricsAccess: 'open' }).ask('/metrics', {}, '192.0.2.1')).status).toBe(
      200,
    );
  });

  test('that is off has no route, for nobody and no method', async () => {
    const { ask } = app({ metricsAccess: 'off' });
    for (const init of [{}, bearer('admin'), { method: 'POST' }])
      expect((await ask('/metrics', init)).status).toBe(404);
  });

  test('that fails is an internal error, reported, and its text stays here', async () => {
    const { ask, faults } = app({ metrics: () => Promise.reject(new Error('/proc is on fire')) });
    const response = await ask('/metrics');
    expect([response.status, await response.json()]).toEqual([500, { error: 'internal error' }]);
    expect(faults.map(({ message }) => message)).toEqual(['/proc is on fire']);
  });
});

describe('everything else', () => {
  test.each(['/', '/mqtt', '/health/', '/healthz', '/HEALTH', '/metrics/x', '//health'])(
    '%s is not found, in JSON',
    async (path) => {
      const response = await app().ask(path);
      expect([response.status, await response.json()]).toEqual([404, { error: 'not found' }]);
    },
  );

  test.each(['/health', '/ready', '/metrics'])('%s takes GET and HEAD alone', async (path) => {
    const { ask } = app();
    for (const method of ['POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS']) {
      const response = await ask(path, { method });
      expect(response.status).toBe(405);
      expect(response.headers.get('allow')).toBe('GET, HEAD');
    }
    const head = await ask(path, { method: 'HEAD' });
    expect([head.status, await head.text()]).toEqual([200, '']);
  });

  test('a long body is refused', async () => {
    const { ask } = app();
    const response = await ask('/nowhere', { method: 'POST', body: 'x'.repeat(70_000) });
    expect(response.status).toBe(413);
  });

  test('every answer says that it is not to be kept, framed or guessed at', async () => {
    const { ask } = app();
    for (const path of ['/health', '/metrics', '/nowhere']) {
      const { headers } = await ask(path);
      expect(headers.get('cache-control')).toBe('no-store');
      expect(headers.get('x-content-type-options')).toBe('nosniff');
      expect(headers.get('x-frame-options')).toBe('DENY');
      expect(headers.get('content-security-policy')).toContain("default-src 'none'");
      expect(headers.get('strict-transport-security')).toBeNull();
    }
  });
});
