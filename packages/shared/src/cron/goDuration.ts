const UNIT_MS: Readonly<Record<string, number>> = {
  ns: 1e-6,
  us: 1e-3,
  µs: 1e-3,
  μs: 1e-3,
  ms: 1,
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
};

/**
 * Reads a duration as Go writes it: `1h30m`, `1.5h`, `90s`, `-2m`, `0`.
 *
 * @returns Milliseconds, with a fraction where it has one; null = it is not a duration.
 * @see time.ParseDuration of Go
 */
export function parseGoDuration(text: string): number | null {
  const [, sign, rest = ''] = /^([+-]?)(.*)$/s.exec(text) ?? [];
  if (rest === '0') return 0;
  if (!/^((\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|s|m|h))+$/.test(rest)) return null;
  let sumMs = 0;
  for (const [, number, unit = ''] of rest.matchAll(/([\d.]+)([^\d.]+)/g)) {
    sumMs += Number(number) * (UNIT_MS[unit] ?? 0);
  }
  return sign === '-' ? -sumMs : sumMs;
}
