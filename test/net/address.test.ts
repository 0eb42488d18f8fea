import { describe, expect, test } from 'bun:test';
import { AddressList, canonicalAddress } from '../../core/net/address.ts';

describe('canonicalAddress', () => {
  test.each([
    ['192.0.2.1', '192.0.2.1'],
    ['::ffff:192.0.2.1', '192.0.2.1'],
    ['::FFFF:c000:0201', '192.0.2.1'],
    ['2001:DB8:0:0:0:0:0:1', '2001:db8::1'],
    ['2001:db8::1', '2001:db8::1'],
    ['::1', '::1'],
    ['::', '::'],
    ['0:0:0:0:0:ffff:7f00:1', '127.0.0.1'],
  ])('%s is %s', (text, canonical) => {
    expect(canonicalAddress(text)).toBe(canonical);
  });

  test.each([
    '',
    '192.0.2',
    '192.0.2.256',
    '192.0.2.01',
    '192.0.2.1:80',
    ' 192.0.2.1',
    '192.0.2.1\r\n',
    '192.0.2.1\0',
    '[::1]',
    'fe80::1%eth0',
    '::1%\r\nX',
    'localhost',
    'unix',
  ])('%j is no address', (text) => {
    expect(canonicalAddress(text)).toBeUndefined();
  });
});

describe('AddressList', () => {
  const list = new AddressList([
    '10.0.0.0/8',
    ' 192.0.2.7',
    '2001:db8::/32',
    '::ffff:198.51.100.1',
  ]);

  test.each(['10.0.0.0', '10.255.255.255', '192.0.2.7', '2001:db8:ffff::1', '198.51.100.1'])(
    '%s is on it',
    (address) => {
      expect(list.has(address)).toBe(true);
    },
  );

  test.each(['9.255.255.255', '11.0.0.0', '192.0.2.8', '2001:db9::', 'unix', 'unknown', ''])(
    '%j is not',
    (address) => {
      expect(list.has(address)).toBe(false);
    },
  );

  test('an empty list has nobody', () => {
    expect(new AddressList([]).has('127.0.0.1')).toBe(false);
  });

  test.each([
    '',
    'proxy',
    '10.0.0.0/33',
    '10.0.0.0/',
    '10.0.0.0/8/8',
    '::/129',
    '10.0.0.0/-1',
    '10.0.0.0/1e1',
  ])('%j is refused by name', (entry) => {
    expect(() => new AddressList([entry])).toThrow(`"${entry}"`);
  });
});
