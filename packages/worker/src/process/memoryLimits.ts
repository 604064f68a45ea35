import { readFileSync } from 'node:fs';

import { processIds, readStat } from './procFiles.ts';
import type { ProcessExit } from './processExit.ts';
import type { RunningProcess } from './runningProcess.ts';

/** Time between two looks at what programs with a limit take. */
const LOOK_MS = 500;
/** A look takes its time when there are many processes: most of this one's is for other things. */
const LOOK_SHARE = 0.05;
const MIB = 2 ** 20;

/** A program that runs, and has a limit. */
interface Watched {
  readonly limitBytes: number;
  readonly kill: () => void;
  /** What it took when it was found to be too much; 0 = it was not. */
  tookBytes: number;
}

/** Watches the memory of one program. */
export interface MemoryWatch {
  /** It ended: says so if that is because it took too much. */
  ended(exit: ProcessExit): ProcessExit;
}

/**
 * Ends programs that take more memory than their containers may.
 *
 * All processes of a program's session are looked at, twice a second, and only while a program with a limit runs. What
 * they share counts once: `Rss` is read first, and only of those that seem to take too much the exact `Pss`. A program
 * that takes a lot within half a second is not stopped in time; a cgroup does that ({@link ContainerLimiter}).
 */
export class MemoryLimits {
  /** By pid, which is the session's. */
  readonly #watched = new Map<number, Watched>();
  readonly #lookMs: number;
  #timer: NodeJS.Timeout | null = null;

  constructor(lookMs = LOOK_MS) {
    this.#lookMs = lookMs;
  }

  /** Watches a program until it ends. */
  watch(running: RunningProcess, limitBytes: number): MemoryWatch {
    const watched: Watched = { limitBytes, kill: () => running.kill(), tookBytes: 0 };
    let pid = 0;
    let isOver = false;
    void running.started.then((process) => {
      if (process === null || isOver) return;
      pid = process.pid;
      this.#watched.set(pid, watched);
      this.#plan(this.#lookMs);
    });
    return {
      ended: (exit) => {
        isOver = true;
        if (this.#watched.get(pid) === watched) this.#watched.delete(pid);
        return watched.tookBytes === 0 ? exit : outOfMemory(exit, watched);
      },
    };
  }

  #plan(delayMs: number): void {
    if (this.#timer !== null || this.#watched.size === 0) return;
    this.#timer = setTimeout(() => {
      this.#timer = null;
      const beganMs = performance.now();
      this.#look();
      const tookMs = performance.now() - beganMs;
      this.#plan(Math.max(this.#lookMs, tookMs / LOOK_SHARE));
    }, delayMs);
  }

  #look(): void {
    const pidsOf = new Map<number, number[]>();
    for (const pid of processIds()) {
      const session = readStat(pid)?.session;
      if (session === undefined || !this.#watched.has(session)) continue;
      const pids = pidsOf.get(session) ?? [];
      pidsOf.set(session, pids);
      pids.push(pid);
    }
    for (const [session, watched] of this.#watched) {
      const pids = pidsOf.get(session) ?? [];
      if (sum(pids, residentBytes) <= watched.limitBytes) continue;
      const tookBytes = sum(pids, ownBytes);
      if (tookBytes <= watched.limitBytes) continue;
      watched.tookBytes = tookBytes;
      watched.kill();
    }
  }
}

function outOfMemory(exit: ProcessExit, { tookBytes, limitBytes }: Watched): ProcessExit {
  const message = `took ${mib(tookBytes)} of memory; its limit is ${mib(limitBytes)}`;
  return { ...exit, exitCode: 137, signal: 'SIGKILL', reason: 'OOMKilled', message };
}

/** An amount of memory in words. */
export function mib(bytes: number): string {
  return `${(bytes / MIB).toFixed(1)} MiB`;
}

function sum(pids: readonly number[], bytesOf: (pid: number) => number): number {
  return pids.reduce((total, pid) => total + bytesOf(pid), 0);
}

function residentBytes(pid: number): number {
  return kilobytes(read(pid, 'status'), /^VmRSS:\s+(\d+) kB$/m);
}

/** Its share of what processes have together; what it resides in, where the kernel does not tell. */
function ownBytes(pid: number): number {
  const text = read(pid, 'smaps_rollup');
  return text === null ? residentBytes(pid) : kilobytes(text, /^Pss:\s+(\d+) kB$/m);
}

function kilobytes(text: string | null, pattern: RegExp): number {
  const [, count = '0'] = (text === null ? null : pattern.exec(text)) ?? [];
  return Number(count) * 1024;
}

/** null = it is gone, or not to be read by this user. */
function read(pid: number, file: string): string | null {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'latin1');
  } catch {
    return null;
  }
}
