import { readFileSync } from 'node:fs';
import type { ProcessExit } from './processExit.ts';

/** How old the count is that a new one is compared with, at least. */
const SAMPLE_INTERVAL_MS = 1_000;

interface Sample {
  /** How many processes the kernel had killed for lack of memory; null where it does not say. */
  count: number | null;
  readonly atMs: number;
}

/** Reads how many processes the kernel killed so far; null where that can't be known. */
export type ReadOomCount = () => number | null;

/**
 * Tells programs that the kernel killed for lack of memory from those that somebody else sent
 * SIGKILL: the kernel counts what it kills, in the worker's cgroup or, without one, on the machine.
 *
 * The count names nobody, so a program that was killed otherwise while another one ran out of
 * memory is taken for that one.
 */
export class OomKills {
  readonly #read: ReadOomCount;
  /** To compare with: from before the last two starts that are a second apart. */
  #older: Sample;
  #newer: Sample;

  constructor(read: ReadOomCount = createReader()) {
    this.#read = read;
    this.#newer = { count: read(), atMs: performance.now() };
    this.#older = this.#newer;
  }

  /** A program is started: what was killed long before can't have been it. */
  noteStart(): void {
    const nowMs = performance.now();
    if (this.#newer.count === null || nowMs - this.#newer.atMs < SAMPLE_INTERVAL_MS) return;
    this.#older = this.#newer;
    this.#newer = { count: this.#read(), atMs: nowMs };
  }

  /** How a program ended just now that was not told to stop: OOMKilled when the kernel did it. */
  explain(exit: ProcessExit): ProcessExit {
    const isKilled = exit.signal === 'SIGKILL' && this.hasKilled();
    return isKilled ? { ...exit, reason: 'OOMKilled' } : exit;
  }

  /** Asked about a program that ended by SIGKILL just now: whether it was the kernel. */
  hasKilled(): boolean {
    const known = this.#older.count;
    if (known === null) return false;
    const count = this.#read();
    if (count === null || count <= known) return false;
    // Each kill is one program's.
    this.#older = { ...this.#older, count: known + 1 };
    return true;
  }
}

/** From the kernel, as narrow as it says. */
function createReader(): ReadOomCount {
  const path = ownCgroupEvents();
  if (path !== null && readCount(path) !== null) return () => readCount(path);
  return () => readCount('/proc/vmstat');
}

function ownCgroupEvents(): string | null {
  try {
    const [, path] = /^0::(.*)$/m.exec(readFileSync('/proc/self/cgroup', 'utf8')) ?? [];
    return path === undefined ? null : `/sys/fs/cgroup${path}/memory.events`;
  } catch {
    return null;
  }
}

function readCount(path: string): number | null {
  try {
    const [, count] = /^oom_kill (\d+)$/m.exec(readFileSync(path, 'utf8')) ?? [];
    return count === undefined ? null : Number(count);
  } catch {
    return null;
  }
}
