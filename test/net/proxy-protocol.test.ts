import { describe, expect, test } from 'bun:test';
import fc from 'fast-check';
import { LONGEST_PROXY_HEADER, parseProxyHeader } from '../../core/net/proxy-protocol.ts';

const V2 = '0d0a0d0a000d0a515549540a';

function hex(...parts: readonly string[]): Uint8Array {
  return Uint8Array.fromHex(parts.join('').replaceAll(' ', ''));
}

function line(text: string): Uint8Array {
  return Buffer.from(text, 'latin1');
}

const unixAddresses = Buffer.from('/run/proxy.sock\r\n'.padEnd(216, '\0')).toString('hex');

const good = [
  {
    name: 'v1 TCP4',
    bytes: line('PROXY TCP4 192.0.2.1 198.51.100.1 56324 443\r\n'),
    source: '192.0.2.1',
  },
  {
    name: 'v1 TCP6',
    bytes: line('PROXY TCP6 2001:DB8:0:0::1 ::1 0 65535\r\n'),
    source: '2001:db8::1',
  },
  {
    name: 'v1 TCP6 of the longest form',
    bytes: line(`PROXY TCP6 ${'ffff:'.repeat(7)}ffff ${'ffff:'.repeat(7)}ffff 65535 65535\r\n`),
    source: 'ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff',
  },
  { name: 'v1 UNKNOWN', bytes: line('PROXY UNKNOWN\r\n'), source: undefined },
  {
    name: 'v1 UNKNOWN with addresses',
    bytes: line('PROXY UNKNOWN ffff::1 ffff::2 65535 65535\r\n'),
    source: undefined,
  },
  {
    name: 'v2 TCP over IPv4',
    bytes: hex(V2, '21 11 000c', 'c0000201 c6336401 dc04 01bb'),
    source: '192.0.2.1',
  },
  {
    name: 'v2 TCP over IPv6',
    bytes: hex(V2, '21 21 0024', '20010db8000000000000000000000001', '0'.repeat(31), '1 dc04 01bb'),
    source: '2001:db8::1',
  },
  {
    name: 'v2 IPv4 mapped into IPv6',
    bytes: hex(V2, '21 21 0024', `${'0'.repeat(20)}ffffc0000201`, '0'.repeat(31), '1 dc04 01bb'),
    source: '192.0.2.1',
  },
  { name: 'v2 UNIX stream', bytes: hex(V2, '21 31 00d8', unixAddresses), source: 'unix' },
  { name: 'v2 LOCAL', bytes: hex(V2, '20 00 0000'), source: undefined },
  {
    name: 'v2 LOCAL with addresses',
    bytes: hex(V2, '20 11 000c', 'c0000201 c6336401 dc04 01bb'),
    source: undefined,
  },
  { name: 'v2 UNSPEC', bytes: hex(V2, '21 00 0004 04000100'), source: undefined },
  {
    name: 'v2 with TLVs',
    bytes: hex(V2, '21 11 0015', 'c0000201 c6336401 dc04 01bb', '04 0002 0000', '05 0001 ff'),
    source: '192.0.2.1',
  },
];

/** A ClientHello, a CONNECT, and bytes that look like more of the header. */
const followers = [
  hex(''),
  hex('160301020001'),
  hex('10 0c 0004 4d515454 04 02 003c 0000'),
  line('\r\nPROXY '),
  hex('00'),
];

describe('a PROXY protocol header', () => {
  test.each(good)('$name is read', ({ bytes, source }) => {
    for (const follower of followers) {
      const header = parseProxyHeader(Buffer.concat([bytes, follower]));
      expect(header).toEqual({ kind: 'complete', length: bytes.length, source });
    }
  });

  test.each(good)('$name is incomplete wherever it is cut', ({ bytes }) => {
    for (let cut = 0; cut < bytes.length; cut++)
      expect([cut, parseProxyHeader(bytes.subarray(0, cut))]).toEqual([
        cut,
        { kind: 'incomplete' },
      ]);
  });

  const connect = '10 0c 0004 4d515454 04 02 003c 0000';
  test.each([
    ['no header: a CONNECT', hex(connect)],
    ['no header: a ClientHello', hex('16')],
    ['no header: HTTP', line('G')],
    ['PROXY in lower case', line('p')],
    ['another word', line('PROXIED')],
    ['an unknown protocol', line('PROXY UDP4 192.0.2.1 192.0.2.2 1 2\r\n')],
    ['no protocol', line('PROXY \r\n')],
    ['no addresses', line('PROXY TCP4\r\n')],
    ['an IPv6 address as TCP4', line('PROXY TCP4 ::1 ::1 1 2\r\n')],
    ['an IPv4 address as TCP6', line('PROXY TCP6 192.0.2.1 192.0.2.2 1 2\r\n')],
    ['one bad address', line('PROXY TCP4 192.0.2.1 192.0.2.256 1 2\r\n')],
    ['a name for an address', line('PROXY TCP4 localhost 192.0.2.1 1 2\r\n')],
    ['a zone', line('PROXY TCP6 fe80::1%eth0 ::1 1 2\r\n')],
    ['one port', line('PROXY TCP4 192.0.2.1 192.0.2.2 1\r\n')],
    ['three ports', line('PROXY TCP4 192.0.2.1 192.0.2.2 1 2 3\r\n')],
    ['a port over 65 535', line('PROXY TCP4 192.0.2.1 192.0.2.2 1 65536\r\n')],
    ['a port with a leading zero', line('PROXY TCP4 192.0.2.1 192.0.2.2 01 2\r\n')],
    ['a negative port', line('PROXY TCP4 192.0.2.1 192.0.2.2 -1 2\r\n')],
    ['two spaces', line('PROXY TCP4  192.0.2.1 192.0.2.2 1 2\r\n')],
    ['a tab', line('PROXY TCP4\t192.0.2.1 192.0.2.2 1 2\r\n')],
    ['a space before the end', line('PROXY TCP4 192.0.2.1 192.0.2.2 1 2 \r\n')],
    ['CR without LF', line('PROXY TCP4 192.0.2.1\rX')],
    ['LF inside of the address', line('PROXY TCP4 192.0.2.1\nX 192.0.2.2 1 2\r\n')],
    ['NUL inside of the address', line('PROXY TCP4 192.0.2.1\0 192.0.2.2 1 2\r\n')],
    ['107 bytes without an end', line(`PROXY UNKNOWN ${'x'.repeat(93)}`)],
    ['a line of 108 bytes', line(`PROXY UNKNOWN ${'x'.repeat(92)}\r\n`)],
    ['v2: version 3', hex(V2, '31 11 000c')],
    ['v2: version 1', hex(V2, '11 11 000c')],
    ['v2: command 2', hex(V2, '22 11 000c')],
    ['v2: an unknown family', hex(V2, '21 41 0000')],
    ['v2: UDP', hex(V2, '21 12 000c', 'c0000201 c6336401 dc04 01bb')],
    ['v2: too short for IPv4', hex(V2, '21 11 000b', 'c0000201 c6336401 dc04 01')],
    ['v2: too short for IPv6', hex(V2, '21 21 000c', 'c0000201 c6336401 dc04 01bb')],
    ['v2: too short for UNIX addresses', hex(V2, '21 31 000c', 'c0000201 c6336401 dc04 01bb')],
    ['v2: longer than we hold, told by its head', hex(V2, '21 11 ffff')],
    ['v2: one byte of the signature is wrong', hex('0d0a0d0a000d0a515549540b')],
  ])('is refused: %s', (_name, bytes) => {
    expect(parseProxyHeader(bytes)).toMatchObject({ kind: 'malformed' });
  });

  test('of any bytes at all is never more than the longest, and never throws', () => {
    const start = fc.constantFrom(hex(V2), line('PROXY '), line('PROXY TCP4 '), hex(''));
    fc.assert(
      fc.property(start, fc.uint8Array({ maxLength: 300 }), (first, rest) => {
        const bytes = Buffer.concat([first, rest]);
        const header = parseProxyHeader(bytes);
        if (header.kind === 'complete') {
          expect(header.length).toBeLessThanOrEqual(bytes.length);
          expect(header.source ?? '').toMatch(/^[0-9a-f.:]*$|^unix$/);
        }
        if (header.kind === 'incomplete') expect(bytes.length).toBeLessThan(LONGEST_PROXY_HEADER);
      }),
      { numRuns: 2_000 },
    );
  });
});
