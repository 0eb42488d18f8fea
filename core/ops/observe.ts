/** Turns what the broker reports into log lines. Counters need nothing from here: the core counts. */
import type { BrokerEvent, Party } from '../broker/outbox.ts';
import { reasonName } from '../mqtt/reason-code.ts';
import type { Fields, Log } from './log.ts';

/** The taker of events that writes each to `log`. `reason` tells apart kinds that are counted together. */
export function observe(log: Log): (event: BrokerEvent) => void {
  return (event) => {
    const who = fieldsOf(event.party);
    switch (event.kind) {
      case 'connected':
        return log.info('connected', {
          ...who,
          protocolVersion: event.protocolVersion,
          sessionPresent: event.sessionPresent,
        });
      case 'disconnected':
        return log.info('disconnected', {
          ...who,
          reason: reasonName(event.reasonCode),
          by: event.by,
          detail: event.detail || undefined,
        });
      case 'refused':
        return log.warn('refused', {
          ...who,
          reason: reasonName(event.reasonCode),
          detail: event.detail || undefined,
        });
      case 'violation':
        return log.warn('protocol violation', {
          ...who,
          reason: reasonName(event.reasonCode),
          statement: event.statement,
          detail: event.detail || undefined,
        });
      case 'denied':
        return log.warn('denied', { ...who, reason: event.action, topic: event.topic });
      case 'dropped':
        return log.warn('message dropped', { ...who, reason: event.reason, topic: event.topic });
      case 'taken-over':
        return log.info('session taken over', who);
      case 'session-expired':
        return log.debug('session expired', who);
      case 'topic-collision':
        return log.warn('user topic spells a declared command', { ...who, command: event.command });
      case 'fault':
        return log.error('our fault', { ...who, ...fieldsOfError(event.error) });
      default:
        return event satisfies never;
    }
  };
}

/** What a log line says of an error. */
export function fieldsOfError(error: unknown): Fields {
  if (!(error instanceof Error)) return { detail: String(error) };
  return { detail: error.message, stack: error.stack };
}

function fieldsOf(party: Party): Fields {
  return {
    user: party.user,
    client: party.clientIdentifier,
    address: party.address,
    connection: party.connection,
  };
}
