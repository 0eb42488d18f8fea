/** Tables of what the standard forbids: bytes, and what they are refused with. */
import { describe, expect, test } from 'bun:test';
import type { ProtocolVersion } from '../../core/mqtt/packet.ts';
import { ReasonCode } from '../../core/mqtt/reason-code.ts';
import { refusal } from './refusal.ts';

export interface Row {
  readonly name: string;
  readonly versions: readonly ProtocolVersion[];
  readonly bytes: Buffer;
  readonly reasonCode: ReasonCode;
  readonly five: string;
  readonly three: string;
}

export const ALL: readonly ProtocolVersion[] = [3, 4, 5];
export const LEGACY: readonly ProtocolVersion[] = [3, 4];
/** A Malformed Packet or Protocol Error of 5.0 without a statement of its own. */
const ERROR = 'MQTT-4.13.1-1';
/** A protocol violation of 3.x without one. */
const VIOLATION = 'MQTT3-4.8.0-1';

function rowsOf(reasonCode: ReasonCode) {
  return (
    name: string,
    versions: readonly ProtocolVersion[],
    bytes: Buffer,
    five: string = ERROR,
    three: string = VIOLATION,
  ): Row => ({ name, versions, bytes, reasonCode, five, three });
}
export const malformed = rowsOf(ReasonCode.MalformedPacket);
export const forbidden = rowsOf(ReasonCode.ProtocolError);
export const unsupported = rowsOf(ReasonCode.UnsupportedProtocolVersion);

/** A test for each row in each of its versions, led by the statement. */
export function check(title: string, rows: readonly Row[]): void {
  const cases = rows.flatMap(({ versions, five, three, ...row }) =>
    versions.map((version) => ({ ...row, version, statement: version === 5 ? five : three })),
  );
  describe(title, () => {
    test.each(cases)('[$statement] $name, version $version', (row) => {
      const { bytes, version, reasonCode, statement } = row;
      expect(refusal(bytes, version)).toMatchObject({ reasonCode, statement });
    });
  });
}
