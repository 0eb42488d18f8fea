/**
 * What the HTTPS listener answers beside MQTT over WebSocket: whether the process lives, whether it
 * is ready, and its metrics. Everything is JSON but the metrics. What is turned off has no route.
 */
import { type Context, Hono } from 'hono';
import { bodyLimit } from 'hono/body-limit';
import { secureHeaders } from 'hono/secure-headers';
import { AddressList } from '../net/address.ts';
import { PROMETHEUS_TYPE } from './prometheus.ts';

/** What comes with a request. */
export interface Peer {
  /** The address at the other end of the socket. */
  readonly address: string;
}

export interface AppOptions {
  /** Why this node takes no clients: listeners that are not open yet, draining. Empty where it does. */
  readonly notReady: () => readonly string[];
  readonly metrics: () => Promise<string>;
  /**
   * Who may read `/metrics`: anybody on this machine and admins elsewhere, admins alone, everybody,
   * or nobody.
   */
  readonly metricsAccess: 'loopback' | 'token' | 'open' | 'off';
  /** Undefined where the token is no good, else whether it is an admin's. */
  readonly isAdmin: (token: string) => Promise<boolean | undefined>;
  /** Takes what a route threw. */
  readonly report: (error: Error) => void;
}

export type App = Hono<{ Bindings: Peer }>;
type AppContext = Context<{ Bindings: Peer }>;

const LONGEST_BODY_BYTES = 65_536;
const loopback = new AddressList(['127.0.0.0/8', '::1']);

export function createApp(options: AppOptions): App {
  const app: App = new Hono<{ Bindings: Peer }>();
  app.use(
    secureHeaders({
      contentSecurityPolicy: { defaultSrc: ["'none'"], frameAncestors: ["'none'"] },
      xFrameOptions: 'DENY',
      // Not ours to decide for every other port of the host.
      strictTransportSecurity: false,
    }),
  );
  app.use(bodyLimit({ maxSize: LONGEST_BODY_BYTES, onError: (c) => problem(c, 413, 'too large') }));
  app.use(async (c, next) => {
    await next();
    c.header('Cache-Control', 'no-store');
  });

  app.get('/health', (c) => c.json({ status: 'ok' }));
  app.all('/health', onlyGet);

  app.get('/ready', (c) => {
    const reasons = options.notReady();
    return reasons.length === 0
      ? c.json({ status: 'ready' })
      : c.json({ status: 'not ready', reasons }, 503);
  });
  app.all('/ready', onlyGet);

  if (options.metricsAccess !== 'off') {
    app.get('/metrics', async (c) => {
      const refusal = await refuseMetrics(c, options);
      if (refusal !== undefined) return refusal;
      return c.body(await options.metrics(), 200, { 'Content-Type': PROMETHEUS_TYPE });
    });
    app.all('/metrics', onlyGet);
  }

  app.notFound((c) => problem(c, 404, 'not found'));
  app.onError((error, c) => {
    options.report(error);
    return problem(c, 500, 'internal error');
  });
  return app;
}

async function refuseMetrics(c: AppContext, options: AppOptions): Promise<Response | undefined> {
  if (options.metricsAccess === 'open') return undefined;
  if (options.metricsAccess === 'loopback' && isLocal(c)) return undefined;
  const token = /^Bearer +(\S+)$/i.exec(c.req.header('authorization') ?? '')?.[1];
  const isAdmin = token === undefined ? undefined : await options.isAdmin(token);
  if (isAdmin === true) return undefined;
  if (isAdmin === false) return problem(c, 403, 'this wants the token of an admin');
  c.header('WWW-Authenticate', 'Bearer');
  return problem(c, 401, 'this wants the token of an admin');
}

/** Behind a reverse proxy on this machine everybody seems local; what it forwards is not. */
function isLocal(c: AppContext): boolean {
  const forwarded = c.req.header('x-forwarded-for') ?? c.req.header('forwarded');
  return forwarded === undefined && loopback.has(c.env.address);
}

function onlyGet(c: AppContext): Response {
  c.header('Allow', 'GET, HEAD');
  return problem(c, 405, 'method not allowed');
}

function problem(
  c: AppContext,
  status: 401 | 403 | 404 | 405 | 413 | 500,
  error: string,
): Response {
  return c.json({ error }, status);
}
