/**
 * What pods and items write down themselves, outside Redis, so that what really ran can be compared with what was
 * counted. Lines are appended, so that they outlive a kill -9:
 *
 *     pod POD NODE PID EVENT MS
 *     item QUEUE/ID NODE PID EVENT MS
 */
import { appendFileSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** `stop`: it was told to, and did. */
export type RunEvent = 'start' | 'ok' | 'fail' | 'stop';

/** One run of a pod or an item. Times are ms since the epoch by the clock of the machine. */
export interface Run {
  readonly node: string;
  /** Process: the program's own, or the worker's for a handler. */
  readonly pid: number;
  readonly startMs: number;
  /** null when it did not get to its end. */
  readonly endMs: number | null;
  readonly outcome: Exclude<RunEvent, 'start'> | null;
}

/** One run of a pod; with OnFailure a pod has several. */
export interface PodRun extends Run {
  /** Name of the Job, or of the pod when it has none: names of Jobs in a run end with their number. */
  readonly owner: string;
  readonly pod: string;
}

/** One run of an item. */
export interface ItemRun extends Run {
  readonly queue: string;
  readonly id: number;
}

const EXTENSION = '.records';

/** Time by the clock of the machine, whatever the clock of this process was made to say. */
export function trueNowMs(): number {
  return Math.round(performance.timeOrigin + performance.now());
}

/** Writes what happens in one worker process. */
export class Recorder {
  readonly #file: string;
  readonly #node: string;

  /** @param folder - Exists. */
  constructor(folder: string, node: string) {
    this.#file = join(folder, `${process.pid}${EXTENSION}`);
    this.#node = node;
  }

  /** Appends a line about a pod. */
  pod(pod: string, event: RunEvent): void {
    this.#append('pod', pod, event);
  }

  /** Appends a line about an item. */
  item(queue: string, id: number, event: RunEvent): void {
    this.#append('item', `${queue}/${id}`, event);
  }

  #append(kind: string, name: string, event: RunEvent): void {
    const line = [kind, name, this.#node, process.pid, event, trueNowMs()].join(' ');
    appendFileSync(this.#file, `${line}\n`);
  }
}

/** File that programs append to. */
export function programFile(folder: string): string {
  return join(folder, `programs${EXTENSION}`);
}

/** All runs of a folder, each list in the order in which they began. */
export function readRuns(folder: string): { pods: PodRun[]; items: ItemRun[] } {
  const files = readdirSync(folder).filter((name) => name.endsWith(EXTENSION));
  const texts = files.map((name) => readFileSync(join(folder, name), 'utf8'));
  return parseRuns(texts.flatMap((text) => text.split('\n').slice(0, -1)));
}

/** Makes runs of lines. Those of one process must be in the order in which they were written. */
export function parseRuns(lines: readonly string[]): { pods: PodRun[]; items: ItemRun[] } {
  const open = new Map<string, Mutable>();
  const pods: PodRun[] = [];
  const items: ItemRun[] = [];
  for (const line of lines) {
    const [kind, name = '', node = '', pid = '', event, ms = ''] = line.split(' ');
    const key = `${kind} ${name} ${node} ${pid}`;
    if (event === 'start') {
      const run = { node, pid: Number(pid), startMs: Number(ms), endMs: null, outcome: null };
      if (kind === 'pod') {
        const pod = { ...run, owner: ownerOf(name), pod: name };
        pods.push(pod);
        open.set(key, pod);
      } else {
        const [queue = '', id] = name.split('/');
        const item = { ...run, queue, id: Number(id) };
        items.push(item);
        open.set(key, item);
      }
      continue;
    }
    const run = open.get(key);
    if (run === undefined) throw new Error(`an end without a start: ${line}`);
    run.endMs = Number(ms);
    run.outcome = event as Exclude<RunEvent, 'start'>;
  }
  const byStart = (a: Run, b: Run): number => a.startMs - b.startMs;
  return { pods: pods.toSorted(byStart), items: items.toSorted(byStart) };
}

/** Job of a pod, by their names. */
function ownerOf(pod: string): string {
  return /^[a-z]+-\d+/.exec(pod)?.[0] ?? pod;
}

type Mutable = { -readonly [Field in keyof Run]: Run[Field] };
