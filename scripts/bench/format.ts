/** Amounts as the pages of a bench print them. */

export function count(value: number): string {
  return Math.round(value).toLocaleString('en');
}

export function times(value: number): string {
  return `${value >= 10 ? value.toFixed(0) : value.toFixed(1)}×`;
}

export function percent(share: number): string {
  return `${Math.floor(share * 100)} %`;
}

/** Three digits, of microseconds. */
export function milliseconds(microseconds: number): string {
  return `${Number((microseconds / 1_000).toPrecision(3))} ms`;
}

export function kibibytes(value: number): string {
  return `${(value / 1_024).toFixed(1)} KiB`;
}

export function mebibytes(value: number): string {
  return `${(value / 2 ** 20).toFixed(0)} MiB`;
}

export function gibibytes(value: number): string {
  return `${(value / 2 ** 30).toFixed(0)} GiB`;
}
