const UNITS_MS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};

/** Longest duration that is accepted: what a Job's activeDeadlineSeconds can hold in 32 bits. */
const MAX_DURATION_MS = 2_147_483_647 * 1000;

/**
 * Reads a duration: `30` (seconds), `1.5s`, `200ms`, `2m`, `1h30m`.
 *
 * @returns Milliseconds, or null when the text is not a duration.
 */
export function parseDurationMs(text: string): number | null {
  if (/^\d+(\.\d+)?$/.test(text)) return inRange(Number(text) * 1000);
  if (!/^(\d+(\.\d+)?(ms|s|m|h|d))+$/.test(text)) return null;
  let totalMs = 0;
  for (const [, amount = '', unit = ''] of text.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h|d)/g)) {
    totalMs += Number(amount) * (UNITS_MS[unit] ?? 0);
  }
  return inRange(totalMs);
}

function inRange(ms: number): number | null {
  return ms <= MAX_DURATION_MS ? Math.round(ms) : null;
}

/** A short clock for progress lines: `0:07`, `12:30`, `1:02:03`. */
export function formatClock(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1000));
  const pad = (value: number) => String(value).padStart(2, '0');
  const hours = Math.floor(seconds / 3600);
  const minutes = Math.floor((seconds % 3600) / 60);
  return hours > 0
    ? `${hours}:${pad(minutes)}:${pad(seconds % 60)}`
    : `${minutes}:${pad(seconds % 60)}`;
}
