/** Payloads to values and back, as handlers see them. */
import type { Decode } from './context.ts';

/** The payload is not what it should be; the message is for the log. */
export class PayloadProblem extends Error {}

const encoder = new TextEncoder();
const decoder = new TextDecoder('utf-8', { fatal: true });
const empty = new Uint8Array(0);

/** Text and bytes as they are, undefined as nothing, all else as JSON. Throws where JSON has no word for it. */
export function encodePayload(value: unknown): Uint8Array {
  if (value === undefined) return empty;
  if (typeof value === 'string') return encoder.encode(value);
  if (value instanceof Uint8Array) return value;
  if (value instanceof ArrayBuffer) return new Uint8Array(value);
  const json = JSON.stringify(value) as string | undefined;
  if (json === undefined) throw new TypeError(`a ${typeof value} cannot be sent`);
  return encoder.encode(json);
}

/**
 * Reads a payload as `decode` says, else as its Content Type does, else as JSON. An empty payload is
 * undefined as JSON. Throws a `PayloadProblem` where the bytes are something else.
 */
export function decodePayload(
  payload: Uint8Array,
  decode: Decode | undefined,
  contentType: string | undefined,
): unknown {
  switch (decode ?? decodeOf(contentType)) {
    case 'bytes':
      return payload;
    case 'text':
      return readText(payload);
    case 'json':
      return payload.length === 0 ? undefined : readJson(readText(payload));
  }
}

/** What a media type (RFC 9110 section 8.3.1) asks for. Throws for one that nothing here reads. */
function decodeOf(contentType: string | undefined): Decode {
  const mediaType = contentType?.split(';', 1)[0]?.trim().toLowerCase() ?? '';
  if (mediaType === '' || mediaType === 'application/json' || mediaType.endsWith('+json')) {
    return 'json';
  }
  if (mediaType.startsWith('text/')) return 'text';
  if (mediaType === 'application/octet-stream') return 'bytes';
  throw new PayloadProblem(`the Content Type ${mediaType} is not understood`);
}

function readText(payload: Uint8Array): string {
  try {
    return decoder.decode(payload);
  } catch {
    throw new PayloadProblem('the payload is not UTF-8');
  }
}

function readJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new PayloadProblem(`the payload is not JSON: ${(error as Error).message}`);
  }
}
