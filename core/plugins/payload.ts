/** Payloads to values and back, as handlers see them. */
import { decodeCbor, encodeCbor } from './cbor.ts';
import type { Decode } from './context.ts';

/** The payload is not what it should be; the message is for the log and for who sent it. */
export class PayloadProblem extends Error {}

const encoder = new TextEncoder();
const decoder = new TextDecoder('utf-8', { fatal: true });
const empty = new Uint8Array(0);

/**
 * Text and bytes as they are, undefined as nothing, all else as CBOR where the Content Type says so, else
 * as JSON. Throws where that has no word for it.
 */
export function encodePayload(value: unknown, contentType?: string): Uint8Array {
  if (value === undefined) return empty;
  if (value instanceof Uint8Array) return value;
  if (value instanceof ArrayBuffer) return new Uint8Array(value);
  // CBOR has its own text: a bare one would be read as something else.
  if (contentType !== undefined && isCbor(mediaTypeOf(contentType))) return encodeCbor(value);
  if (typeof value === 'string') return encoder.encode(value);
  const json = JSON.stringify(value) as string | undefined;
  if (json === undefined) throw new TypeError(`a ${typeof value} cannot be sent`);
  return encoder.encode(json);
}

/**
 * Reads a payload as `decode` says, else as its Content Type does, else as JSON. An empty payload is
 * undefined as JSON and as CBOR. Throws a `PayloadProblem` where the bytes are something else.
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
    case 'cbor':
      return payload.length === 0 ? undefined : readCbor(payload);
  }
}

/** As JSON where it is that, else as text, else as bytes. */
export function guessPayload(payload: Uint8Array): unknown {
  let text: string;
  try {
    text = readText(payload);
  } catch {
    return payload;
  }
  try {
    return readJson(text);
  } catch {
    return text;
  }
}

/** Whether it is CBOR that this Content Type announces (RFC 8949 section 9.2). */
export function announcesCbor(contentType: string | undefined): boolean {
  return contentType !== undefined && isCbor(mediaTypeOf(contentType));
}

/** What a media type (RFC 9110 section 8.3.1) asks for. Throws for one that nothing here reads. */
function decodeOf(contentType: string | undefined): Decode {
  const mediaType = mediaTypeOf(contentType);
  if (mediaType === '' || mediaType === 'application/json' || mediaType.endsWith('+json')) {
    return 'json';
  }
  if (isCbor(mediaType)) return 'cbor';
  if (mediaType.startsWith('text/')) return 'text';
  if (mediaType === 'application/octet-stream') return 'bytes';
  throw new PayloadProblem(`the Content Type ${mediaType} is not understood`);
}

function mediaTypeOf(contentType: string | undefined): string {
  return contentType?.split(';', 1)[0]?.trim().toLowerCase() ?? '';
}

function isCbor(mediaType: string): boolean {
  return mediaType === 'application/cbor' || mediaType.endsWith('+cbor');
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

function readCbor(payload: Uint8Array): unknown {
  try {
    return decodeCbor(payload);
  } catch (error) {
    throw new PayloadProblem(`the payload is not CBOR: ${(error as Error).message}`);
  }
}
