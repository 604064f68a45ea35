import {
  COMPLETION_INDEX_LABEL,
  matchesSelector,
  type OwnerReference,
  type Selector,
} from '@drover/shared';

/** A pod that may be adopted, or was. */
export interface LoosePod {
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  /** Whose it is said to be; that a Job has adopted it is not among them. */
  readonly owners: readonly Pick<OwnerReference, 'controller'>[];
  readonly phase: 'Pending' | 'Running' | 'Stopping' | 'Succeeded' | 'Failed';
}

/** A Job that may adopt pods. */
export interface AdoptingJob {
  readonly uid: string;
  readonly selector: Selector;
  /** ms since the epoch. */
  readonly createdMs: number;
}

/** The Job that adopts a pod: the oldest of those that select it; null = none does. */
export function adopterFor<T extends AdoptingJob>(pod: LoosePod, jobs: readonly T[]): T | null {
  const isFree = pod.phase !== 'Stopping' && !pod.owners.some(({ controller }) => controller);
  if (!isFree) return null;
  const selecting = jobs.filter((job) => selects(job, pod));
  const [first = null] = selecting.toSorted(
    (a, b) => a.createdMs - b.createdMs || (a.uid < b.uid ? -1 : 1),
  );
  return first;
}

/** Whether a Job selects a pod by its labels; a selector that asks for nothing selects none. */
export function selects({ selector }: Pick<AdoptingJob, 'selector'>, pod: LoosePod): boolean {
  return selector.length > 0 && matchesSelector(selector, pod.labels);
}

/** The completion index that a pod says to have; null = nothing that is one, as Kubernetes reads it. */
export function saidIndex({ annotations }: Pick<LoosePod, 'annotations'>): number | null {
  const text = annotations[COMPLETION_INDEX_LABEL];
  if (text === undefined || !/^\+?\d{1,9}$/.test(text)) return null;
  return Number(text);
}

const RANKS = { Succeeded: 0, Running: 1, Pending: 2, Stopping: 2, Failed: 3 } as const;

/**
 * In which order pods are adopted: those that succeeded first, so that nothing is started anew for their indexes, and
 * failed ones last, whose indexes others may have done by then; by index, so that few are skipped at a time.
 */
export function inAdoptionOrder<T extends LoosePod>(pods: readonly T[]): T[] {
  return pods.toSorted(
    (a, b) => RANKS[a.phase] - RANKS[b.phase] || (saidIndex(a) ?? 0) - (saidIndex(b) ?? 0),
  );
}
