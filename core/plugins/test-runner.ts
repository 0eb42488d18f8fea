/**
 * The test runner of Bun as `bellhop/test` passes it on, with types of its own for what tests of
 * handlers use most: an editor has them with no package installed. Whoever wants all of `bun:test`
 * imports that, and its types from `@types/bun`.
 */
import * as runner from 'bun:test';

type Body = () => unknown;

export interface Test {
  (name: string, body: Body, timeoutMs?: number): void;
  /** A test that is not run. */
  skip(name: string, body?: Body): void;
  /** A test that is still to be written. */
  todo(name: string, body?: Body): void;
  /** One test for each case; `%s` and `%p` in the name stand for its values, `$key` for those of objects. */
  each<const Case>(cases: readonly Case[]): (name: string, body: (given: Case) => unknown) => void;
}

export interface Describe {
  (name: string, body: Body): void;
  skip(name: string, body: Body): void;
  each<const Case>(cases: readonly Case[]): (name: string, body: (given: Case) => unknown) => void;
}

export interface Matchers {
  readonly not: Matchers;
  /** Of what a promise resolves to: to be awaited. */
  readonly resolves: Matchers;
  /** Of what a promise rejects with: to be awaited. */
  readonly rejects: Matchers;
  toBe(expected: unknown): void;
  /** Properties that are undefined count as missing. */
  toEqual(expected: unknown): void;
  toStrictEqual(expected: unknown): void;
  /** Further properties are welcome. */
  toMatchObject(expected: object): void;
  toHaveProperty(path: string, value?: unknown): void;
  toContain(expected: unknown): void;
  toContainEqual(expected: unknown): void;
  toHaveLength(length: number): void;
  toMatch(expected: string | RegExp): void;
  toThrow(expected?: string | RegExp | Error): void;
  toBeDefined(): void;
  toBeUndefined(): void;
  toBeNull(): void;
  toBeTruthy(): void;
  toBeFalsy(): void;
  toBeGreaterThan(bound: number): void;
  toBeGreaterThanOrEqual(bound: number): void;
  toBeLessThan(bound: number): void;
  toBeLessThanOrEqual(bound: number): void;
  toBeCloseTo(expected: number, digits?: number): void;
  toBeInstanceOf(type: unknown): void;
}

export interface Expect {
  (actual: unknown): Matchers;
  anything(): unknown;
  any(type: unknown): unknown;
  arrayContaining(items: readonly unknown[]): unknown;
  objectContaining(properties: object): unknown;
  stringContaining(part: string): unknown;
  stringMatching(pattern: string | RegExp): unknown;
}

export type Around = (body: Body) => void;

export const test = runner.test as Test;
export const describe = runner.describe as Describe;
export const expect = runner.expect as unknown as Expect;
export const beforeAll = runner.beforeAll as Around;
export const beforeEach = runner.beforeEach as Around;
export const afterEach = runner.afterEach as Around;
export const afterAll = runner.afterAll as Around;
