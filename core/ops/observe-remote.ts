/** Turns what a remote handler process reports of its connection into log lines. */
import type { RemoteEvent } from '../plugins/remote-link.ts';
import type { Log } from './log.ts';

export function observeRemote(log: Log): (event: RemoteEvent) => void {
  return (event) => {
    switch (event.kind) {
      case 'connected':
        return log.info('connected to the broker', { sessionPresent: event.sessionPresent });
      case 'connection-lost':
        return log.warn('not connected to the broker', {
          detail: event.detail,
          retryInMs: event.retryInMs,
        });
      case 'subscription-refused':
        return log.error('subscription refused by the broker', {
          topic: event.filter,
          reason: event.reason,
        });
      case 'publish-refused':
        return log.error('message of a handler refused by the broker', {
          to: event.topic,
          reason: event.reason,
          detail: event.detail,
        });
      case 'token-renewed': {
        const { expiresAtMs } = event;
        const expires = expiresAtMs === undefined ? undefined : new Date(expiresAtMs).toISOString();
        return log.info('token renewed', { expires });
      }
      case 'token-refused':
        return log.error('new token refused by the broker', {
          reason: event.reason,
          detail: event.detail,
        });
      case 'token-missing':
        return log.error('there is no token', { detail: event.detail });
      case 'hooks-without-broker':
        return log.warn('hooks run in the broker alone: these handlers stay idle here', {
          on: event.hooks.join(' '),
        });
      case 'schedules-off':
        return log.warn('schedules run with --schedules alone: these handlers stay idle here', {
          handlers: event.handlers.join(' '),
        });
      default:
        return event satisfies never;
    }
  };
}
