/**
 * Kubernetes quantities: `100m`, `1Gi`, `1e3`. A fixed-point number with a suffix, exact down to
 * 10^-9.
 *
 * @see apimachinery, pkg/api/resource/quantity.go
 */

/** How a quantity was written, which decides how it is written again. */
export type QuantityFormat = 'DecimalSI' | 'BinarySI' | 'DecimalExponent';

/** A parsed quantity. */
export interface Quantity {
  /** The value in units of 10^-9. */
  readonly nano: bigint;
  /** The family of its suffix. */
  readonly format: QuantityFormat;
}

/** The text that Kubernetes gives for a quantity that can't be read. */
export const QUANTITY_PROBLEM =
  "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'";

const QUANTITY = /^([+-]?)(\d*)(?:\.(\d*))?([A-Za-z]*|[eE][+-]?\d+)$/;
const DECIMAL_EXPONENTS = new Map([
  ['n', -9],
  ['u', -6],
  ['m', -3],
  ['', 0],
  ['k', 3],
  ['M', 6],
  ['G', 9],
  ['T', 12],
  ['P', 15],
  ['E', 18],
]);
const BINARY_SUFFIXES = ['', 'Ki', 'Mi', 'Gi', 'Ti', 'Pi', 'Ei'];
const NANO = 10n ** 9n;
/** Kubernetes caps at the largest signed 64-bit integer. */
const MAX_NANO = (2n ** 63n - 1n) * NANO;
/** Beyond these every number is the cap, or rounds to one nano: 10 ** huge must not be computed. */
const MAX_EXPONENT = 400;
const MAX_TEXT_CHARS = 256;

/**
 * Reads a quantity.
 *
 * @returns null when the text is not one. Digits below 10^-9 are rounded away from zero; values
 *   beyond 2^63-1 are capped.
 */
export function parseQuantity(text: string): Quantity | null {
  if (text.length > MAX_TEXT_CHARS) return null;
  const match = QUANTITY.exec(text);
  if (match === null) return null;
  const [, sign = '', whole = '', fraction = '', suffix = ''] = match;
  if (whole === '' && fraction === '') return null;
  const digits = BigInt(whole + fraction);

  const binary = BINARY_SUFFIXES.indexOf(suffix);
  let nano: bigint;
  let format: QuantityFormat;
  if (binary > 0) {
    nano = scale(digits * 1024n ** BigInt(binary), 9 - fraction.length);
    format = 'BinarySI';
  } else {
    const exponent = DECIMAL_EXPONENTS.get(suffix) ?? writtenExponent(suffix);
    if (exponent === null) return null;
    nano = scale(digits, exponent + 9 - fraction.length);
    format = /\d$/.test(suffix) ? 'DecimalExponent' : 'DecimalSI';
  }
  if (nano > MAX_NANO) nano = MAX_NANO;
  return { nano: sign === '-' ? -nano : nano, format };
}

function writtenExponent(suffix: string): number | null {
  return /^[eE][+-]?\d+$/.test(suffix) ? Number(suffix.slice(1)) : null;
}

/** digits * 10^exponent, rounded up. */
function scale(digits: bigint, exponent: number): bigint {
  if (digits === 0n) return 0n;
  if (exponent > MAX_EXPONENT) return MAX_NANO;
  if (exponent >= 0) return digits * 10n ** BigInt(exponent);
  if (exponent < -MAX_EXPONENT) return 1n;
  const divisor = 10n ** BigInt(-exponent);
  return (digits + divisor - 1n) / divisor;
}

/**
 * Writes a quantity in canonical form: no fraction, and the largest suffix that loses nothing.
 * `0.5` is `500m`, `1024Mi` is `1Gi`, `1000m` is `1`.
 */
export function formatQuantity({ nano, format }: Quantity): string {
  const magnitude = nano < 0n ? -nano : nano;
  const sign = nano < 0n ? '-' : '';
  // Kubernetes gives up the binary suffix for small and for broken numbers.
  const isBinary = format === 'BinarySI' && magnitude % NANO === 0n && magnitude >= 1024n * NANO;
  if (isBinary) {
    const [digits, power] = reduce(magnitude / NANO, 1024n, BINARY_SUFFIXES.length - 1);
    return `${sign}${digits}${BINARY_SUFFIXES[power] ?? ''}`;
  }
  const [digits, power] = reduce(magnitude, 1000n, 9);
  const exponent = magnitude === 0n ? 0 : power * 3 - 9;
  if (format === 'DecimalExponent')
    return `${sign}${digits}${exponent === 0 ? '' : `e${exponent}`}`;
  const suffix = [...DECIMAL_EXPONENTS].find(([, value]) => value === exponent)?.[0] ?? '';
  return `${sign}${digits}${suffix}`;
}

/** Takes out as many factors as go in without a rest, at most `most` of them. */
function reduce(value: bigint, factor: bigint, most: number): [bigint, number] {
  let digits = value;
  let power = 0;
  while (power < most && digits !== 0n && digits % factor === 0n) {
    digits /= factor;
    power++;
  }
  return [digits, power];
}

/** Negative, 0 or positive, as in a comparator. */
export function compareQuantities(a: Quantity, b: Quantity): number {
  return a.nano < b.nano ? -1 : a.nano > b.nano ? 1 : 0;
}
