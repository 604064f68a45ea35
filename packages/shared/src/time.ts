/** Writes a time as the API does: RFC 3339 in UTC, whole seconds, cut off. */
export function formatTime(timeMs: number): string {
  const second = Math.floor(timeMs / 1000);
  if (second !== lastFormatted.second) {
    const text = `${new Date(timeMs).toISOString().slice(0, -'.000Z'.length)}Z`;
    lastFormatted = { second, text };
  }
  return lastFormatted.text;
}

/** Pods of one Job have many times of the same second, and to write one is a good part of what it takes to show them. */
let lastFormatted = { second: Number.NaN, text: '' };

/** Writes a time with milliseconds, as timestamps of log lines and leases have it. */
export function formatMicroTime(timeMs: number): string {
  return new Date(timeMs).toISOString();
}

/** Writes a time as kubectl describe does, in UTC: `Mon, 02 Jan 2006 15:04:05 +0000`. */
export function formatLongTime(timeMs: number): string {
  return new Date(timeMs).toUTCString().replace('GMT', '+0000');
}

/** Reads an RFC 3339 time; null when there is none or it can't be read. ms since the epoch. */
export function parseTime(text: string | undefined): number | null {
  if (text === undefined) return null;
  const timeMs = Date.parse(text);
  return Number.isNaN(timeMs) ? null : timeMs;
}
