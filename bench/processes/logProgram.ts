/**
 * A program of the benchmark: writes so many lines a second, each by a write of its own, in bursts
 * every 10 ms. argv: time of the first line in ms since the epoch, lines, lines per second. A line
 * is its number and the time it is written.
 */
import { writeSync } from 'node:fs';
import { performance } from 'node:perf_hooks';

const BURST_MS = 10;
const [startAtMs = 0, count = 0, perSecond = 0] = process.argv.slice(2).map(Number);
const now = (): number => performance.timeOrigin + performance.now();
let written = 0;

function write(): void {
  const due = Math.min(count, Math.floor(((now() - startAtMs) * perSecond) / 1000));
  for (; written < due; written++) writeSync(1, `${written} ${now().toFixed(2)}\n`);
  if (written < count) setTimeout(write, BURST_MS);
}

setTimeout(write, startAtMs - now());
