/** What Linux tells of processes; nothing elsewhere. */
import { readdirSync, readFileSync } from 'node:fs';

/** What of a process is of use. */
export interface ProcessStat {
  /** `Z` and `X`: it has ended. */
  readonly state: string;
  readonly session: number;
  /** In ticks since boot: tells it from a later one with its pid. */
  readonly startTime: string;
}

/** All processes that can be seen. */
export function processIds(): number[] {
  try {
    return readdirSync('/proc').map(Number).filter(Number.isInteger);
  } catch {
    return [];
  }
}

/** Reads /proc/PID/stat; null = there is no such process. */
export function readStat(pid: number): ProcessStat | null {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'latin1');
    // The name is in parentheses and may contain anything, so count from the last one.
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
    return { state: fields[0] ?? '', session: Number(fields[3]), startTime: fields[19] ?? '' };
  } catch {
    return null;
  }
}
