/** What decides who is stopped first. */
export interface StopCandidate {
  readonly podNumber: number;
  readonly phase: 'Pending' | 'Running' | 'Stopping';
  /** ms since the epoch; 0 while Pending. */
  readonly startMs: number;
  readonly createdMs: number;
  /** Container restarts. */
  readonly restarts: number;
}

/**
 * Chooses the pods that a scale-down stops, in Kubernetes' order: pods that no worker has yet,
 * then those that ran for the shortest time, then those with more restarts, then newer ones.
 *
 * @param count - How many to choose, an integer >= 0.
 * @returns At most `count` pods, first to stop first. Pods that are stopping already are not chosen.
 */
export function stopOrder<T extends StopCandidate>(pods: readonly T[], count: number): T[] {
  return pods
    .filter((pod) => pod.phase !== 'Stopping')
    .toSorted(compareForStop)
    .slice(0, count);
}

function compareForStop(a: StopCandidate, b: StopCandidate): number {
  return (
    phaseRank(a) - phaseRank(b) ||
    b.startMs - a.startMs ||
    b.restarts - a.restarts ||
    b.createdMs - a.createdMs ||
    // Pods of one millisecond: the number says which is newer.
    b.podNumber - a.podNumber
  );
}

function phaseRank(pod: StopCandidate): number {
  return pod.phase === 'Pending' ? 0 : 1;
}
