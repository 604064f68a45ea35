import {
  appendFileSync,
  closeSync,
  existsSync,
  openSync,
  readdirSync,
  readFileSync,
} from 'node:fs';
import { join } from 'node:path';

/** One run of a pod, as the pod itself wrote it down. */
export interface PodRun {
  /** Name of the Job. */
  readonly job: string;
  /** Worker that ran it. */
  readonly node: string;
  readonly pod: string;
  /** null when the Job is not Indexed. */
  readonly index: number | null;
  /** Process that ran it: the program's own, or the worker's for a handler. */
  readonly pid: number;
  /** ms since the epoch. */
  readonly startMs: number;
  /** ms since the epoch; null when it did not get to its end. */
  readonly endMs: number | null;
}

/** What one pod writes down: `job node pod index pid start|end time`. */
export interface RecordLine {
  readonly job: string;
  readonly node: string;
  readonly pod: string;
  readonly index: number | null;
  readonly event: 'start' | 'end';
}

const EXTENSION = '.records';

/**
 * A folder outside Redis where pods write down when they start and end, so that what really ran
 * can be compared with what was counted.
 */
export class PodRecords {
  readonly folder: string;

  /** @param folder - Exists. */
  constructor(folder: string) {
    this.folder = folder;
  }

  /** File that the programs of all workers append to. */
  get programFile(): string {
    return join(this.folder, `programs${EXTENSION}`);
  }

  /** Appends a line; for handlers. It outlives a kill -9 of the process. */
  write({ job, node, pod, index, event }: RecordLine): void {
    const line = [job, node, pod, index ?? '-', process.pid, event, Date.now()].join(' ');
    appendFileSync(join(this.folder, `${process.pid}${EXTENSION}`), `${line}\n`);
  }

  /** Lets the pods of a Job that wait for it go on. */
  go(job: string): void {
    closeSync(openSync(this.goFile(job), 'a'));
  }

  /** File that exists once {@link go} was called. */
  goFile(job: string): string {
    return join(this.folder, `${job}.go`);
  }

  /** Whether `what` is asked for the first time, by whatever process. */
  isFirst(what: string): boolean {
    try {
      closeSync(openSync(join(this.folder, `${what}.first`), 'wx'));
      return true;
    } catch {
      return false;
    }
  }

  /** All runs of a Job's pods so far, in the order they began. */
  read(job: string): PodRun[] {
    const runs = new Map<string, PodRun>();
    for (const file of readdirSync(this.folder)) {
      if (!file.endsWith(EXTENSION)) continue;
      for (const line of readFileSync(join(this.folder, file), 'utf8').split('\n')) {
        const [name, node = '', pod = '', index = '', pid = '', event, timeMs = ''] =
          line.split(' ');
        if (name !== job) continue;
        const known = runs.get(`${node} ${pod} ${pid}`);
        if (event === 'start') {
          runs.set(`${node} ${pod} ${pid}`, {
            job,
            node,
            pod,
            index: index === '-' ? null : Number(index),
            pid: Number(pid),
            startMs: Number(timeMs),
            endMs: null,
          });
        } else if (known !== undefined) {
          runs.set(`${node} ${pod} ${pid}`, { ...known, endMs: Number(timeMs) });
        }
      }
    }
    return [...runs.values()].toSorted((a, b) => a.startMs - b.startMs);
  }

  /** Whether {@link go} was called. */
  mayGo(job: string): boolean {
    return existsSync(this.goFile(job));
  }
}

/**
 * Most pods that ran at once.
 *
 * @param killedAtMs - When a worker was killed, by its name: its pods ended then.
 */
export function mostAtOnce(
  runs: readonly PodRun[],
  killedAtMs: ReadonlyMap<string, number> = new Map(),
): number {
  const changes: { atMs: number; by: 1 | -1 }[] = [];
  for (const run of runs) {
    const endMs = run.endMs ?? killedAtMs.get(run.node) ?? Number.POSITIVE_INFINITY;
    changes.push({ atMs: run.startMs, by: 1 }, { atMs: endMs, by: -1 });
  }
  // Within one millisecond the end comes first: a slot passes on at once.
  changes.sort((a, b) => a.atMs - b.atMs || a.by - b.by);
  let running = 0;
  let most = 0;
  for (const { by } of changes) {
    running += by;
    most = Math.max(most, running);
  }
  return most;
}

/** How often each index began, by index. */
export function runsByIndex(runs: readonly PodRun[]): Map<number | null, number> {
  const counts = new Map<number | null, number>();
  for (const { index } of runs) counts.set(index, (counts.get(index) ?? 0) + 1);
  return counts;
}
