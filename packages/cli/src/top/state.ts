import {
  jobStatusWord,
  nodeStatusWord,
  parseTime,
  POOL_LABEL,
  terminalCondition,
  type Job,
  type Node,
} from '@drover/shared';

import { RateMeter } from '../run/rate.ts';

/** A Job as `top` shows it. */
export interface JobRow {
  readonly namespace: string;
  readonly name: string;
  /** As `get` has it: Running, Complete, Failed, Suspended, ... */
  readonly status: string;
  /** Successes wanted; null for a work queue. */
  readonly completions: number | null;
  readonly succeeded: number;
  readonly running: number;
  readonly pending: number;
  readonly failed: number;
  /** Pods that ended per second: of late in a live view, since the start in a snapshot. */
  readonly perSecond: number;
  /** Seconds until all completions are done at this rate; null when that can't be told. */
  readonly etaSeconds: number | null;
  /** From the start to the end, or to now; null before the start. */
  readonly seconds: number | null;
}

/** A worker as `top` shows it. */
export interface NodeRow {
  readonly name: string;
  /** Ready, NotReady, ... */
  readonly status: string;
  readonly pool: string;
  readonly runtimes: string;
  /** Pods that it runs. */
  readonly pods: number;
  /** Most pods at once. */
  readonly capacity: number;
}

/** Everything that `top` shows. */
export interface TopView {
  readonly jobs: readonly JobRow[];
  readonly nodes: readonly NodeRow[];
  /** Pods that ended per second, of all Jobs. */
  readonly perSecond: number;
  /** Why the figures are old, while Redis is not reachable. */
  readonly problem: string | null;
}

interface Followed {
  job: Job;
  readonly meter: RateMeter;
}

/** What `top` knows: fed by a watch of Jobs and by looks at the workers. */
export class TopState {
  readonly #jobs = new Map<string, Followed>();
  #nodes: readonly Node[] = [];
  #podCounts: ReadonlyMap<string, number> = new Map();
  /** Why nothing comes at the moment. */
  problem: string | null = null;

  /** A Job is there, or has changed. */
  setJob(job: Job, nowMs: number): void {
    const known = this.#jobs.get(job.metadata.uid);
    const followed = known ?? { job, meter: new RateMeter() };
    followed.job = job;
    if (known === undefined) this.#jobs.set(job.metadata.uid, followed);
    followed.meter.add(nowMs, endedCount(job));
  }

  /** A Job is gone. */
  removeJob(uid: string): void {
    this.#jobs.delete(uid);
  }

  /** The workers, and how many pods each of them runs. */
  setNodes(nodes: readonly Node[], podCounts: ReadonlyMap<string, number>): void {
    this.#nodes = nodes;
    this.#podCounts = podCounts;
  }

  /** Time goes on: rates of Jobs from which nothing comes go down. */
  tick(nowMs: number): void {
    for (const { job, meter } of this.#jobs.values()) {
      if (!isOver(job)) meter.add(nowMs, endedCount(job));
    }
  }

  /**
   * What to show.
   *
   * @param rate - `recent` when the state was fed for a while, `average` for one look.
   */
  view(rate: 'recent' | 'average', nowMs: number): TopView {
    const followed = [...this.#jobs.values()].toSorted(byInterest);
    const jobs = followed.map((entry) => jobRow(entry, rate, nowMs));
    return {
      jobs,
      nodes: this.#nodes.map((node) => nodeRow(node, this.#podCounts)),
      perSecond: jobs.reduce((sum, { perSecond }) => sum + perSecond, 0),
      problem: this.problem,
    };
  }
}

function jobRow({ job, meter }: Followed, rate: 'recent' | 'average', nowMs: number): JobRow {
  const { metadata, spec, status } = job;
  const { active = 0, ready = 0, succeeded = 0, failed = 0 } = status;
  const seconds = secondsOf(job, nowMs);
  const average = seconds === null || seconds <= 0 ? 0 : endedCount(job) / seconds;
  const recent = isOver(job) ? 0 : meter.perSecond();
  const perSecond = rate === 'recent' ? recent : isOver(job) ? 0 : average;
  const left = spec.completions === undefined ? null : spec.completions - succeeded;
  const canTell = left !== null && left > 0 && perSecond > 0 && !isOver(job);
  return {
    namespace: metadata.namespace,
    name: metadata.name,
    status: jobStatusWord(job),
    completions: spec.completions ?? null,
    succeeded,
    running: ready,
    pending: Math.max(0, active - ready),
    failed,
    perSecond,
    etaSeconds: canTell ? left / perSecond : null,
    seconds,
  };
}

function secondsOf({ status }: Job, nowMs: number): number | null {
  const startMs = parseTime(status.startTime);
  if (startMs === null) return null;
  const endMs = parseTime(terminalCondition(status.conditions)?.lastTransitionTime) ?? nowMs;
  return Math.max(0, (endMs - startMs) / 1000);
}

function nodeRow(node: Node, podCounts: ReadonlyMap<string, number>): NodeRow {
  const { metadata, status } = node;
  return {
    name: metadata.name,
    status: nodeStatusWord(node),
    pool: metadata.labels?.[POOL_LABEL] ?? '',
    runtimes: metadata.annotations?.['drover.dev/runtimes'] ?? '',
    pods: podCounts.get(metadata.name) ?? 0,
    capacity: Number(status.capacity?.['pods'] ?? 0),
  };
}

function endedCount({ status }: Job): number {
  return (status.succeeded ?? 0) + (status.failed ?? 0);
}

function isOver({ status }: Job): boolean {
  return terminalCondition(status.conditions) !== null;
}

/** Jobs that are not over first, those with pods before those without; then what ended last. */
function byInterest({ job: a }: Followed, { job: b }: Followed): number {
  const rank = (job: Job) => (isOver(job) ? 2 : (job.status.active ?? 0) > 0 ? 0 : 1);
  const time = (job: Job) =>
    parseTime(terminalCondition(job.status.conditions)?.lastTransitionTime) ?? 0;
  return rank(a) - rank(b) || time(b) - time(a) || (a.metadata.name < b.metadata.name ? -1 : 1);
}
