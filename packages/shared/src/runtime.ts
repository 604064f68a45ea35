/** What of a pod's spec decides which worker can run it, and how. */

import { assert } from './assert.ts';
import { podRequests, type ComputeResources } from './podResources.ts';
import type { PodSpec } from './podTemplate.ts';

/** How a pod's container is run. */
export type Runtime = 'process' | 'handler';
/** The runtimes of this version, the default first. */
export const RUNTIMES: readonly Runtime[] = ['process', 'handler'];

/** Key of nodeSelector that names a pool of workers. */
export const POOL_LABEL = 'drover.dev/pool';
/** The pool of workers, and of pods, that name none. */
export const DEFAULT_POOL = 'default';

/** setTimeout takes no more, and fires at once when given more; ms. */
export const MAX_TIMER_MS = 2 ** 31 - 1;

/** How a pod is run, or null when its runtimeClassName is not one that this version knows. */
export function runtimeOf({ runtimeClassName }: Pick<PodSpec, 'runtimeClassName'>): Runtime | null {
  const name = runtimeClassName ?? 'process';
  return RUNTIMES.find((runtime) => runtime === name) ?? null;
}

/** The pool of workers that may run a pod. */
export function poolOf({ nodeSelector }: Pick<PodSpec, 'nodeSelector'>): string {
  return nodeSelector?.[POOL_LABEL] ?? DEFAULT_POOL;
}

/** How what a worker offers is written: `<pool>/process`, or `<pool>/handler/<name>`. */
export function laneKey(pool: string, runtime: Runtime, handler: string): string {
  return runtime === 'handler' ? `${pool}/handler/${handler}` : `${pool}/${runtime}`;
}

/**
 * What a worker must offer to run a pod of a valid spec: what {@link laneKey} writes, and before it what the pod
 * requests, `cpu=<thousandths>,memory=<bytes>` and a space, if it requests something.
 */
export function fittingKey(spec: PodSpec): string {
  const runtime = runtimeOf(spec);
  assert(runtime !== null, `runtimeClassName ${spec.runtimeClassName} passed the validation`);
  const handler = spec.containers[0]?.image ?? '';
  assert(
    runtime !== 'handler' || handler !== '',
    'a handler pod without image passed the validation',
  );
  const lanes = laneKey(poolOf(spec), runtime, handler);
  const requests = podRequests(spec);
  if (requests === null) return lanes;
  return `cpu=${requests.cpuMilli},memory=${requests.memoryBytes} ${lanes}`;
}

/** What a {@link fittingKey} says. */
export interface Fitting {
  /** As {@link laneKey} writes it. */
  readonly lanes: string;
  /** What each pod requests; null = nothing. */
  readonly requests: ComputeResources | null;
}

/** Reads a {@link fittingKey}; no pool has a name that begins as requests do. */
export function parseFittingKey(text: string): Fitting {
  const [, cpu, memory, lanes] = /^cpu=(\d+),memory=(\d+) (.*)$/s.exec(text) ?? [];
  if (lanes === undefined) return { lanes: text, requests: null };
  return { lanes, requests: { cpuMilli: Number(cpu), memoryBytes: Number(memory) } };
}

/**
 * From SIGTERM to SIGKILL. Negative values count as one second, as in Kubernetes; the longest is
 * 24 days, which is what a timer can wait.
 */
export function gracePeriodMs(spec: Pick<PodSpec, 'terminationGracePeriodSeconds'>): number {
  const seconds = spec.terminationGracePeriodSeconds;
  return Math.min((seconds < 0 ? 1 : seconds) * 1000, MAX_TIMER_MS);
}
