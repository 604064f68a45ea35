/** What is known of the pods of a Job that are kept though they ended. */
export interface KeptPods {
  /** How many these are. */
  readonly kept: number;
  /** Number of the newest pod. */
  readonly podCount: number;
  /** Those that succeeded were removed up to this number. */
  readonly droppedTo: number;
  /** Failed ones were, up to this number. */
  readonly failedDroppedTo: number;
}

/** The next pods to be removed. */
export interface Drop {
  /** First number that is looked at, >= 1. */
  readonly from: number;
  /** Pods that are removed at most, >= 1. */
  readonly most: number;
  /** Failed ones too. */
  readonly failed: boolean;
}

/**
 * Which pods to remove so that not more than `limit` are kept; null = none.
 *
 * Those that succeeded go before those that failed, older ones before newer ones. Pods that ended
 * after others of higher numbers may have been passed over: when no pod is left to look at, it begins
 * anew, so that each walk over all numbers removes some.
 */
export function nextDrop(pods: KeptPods, limit: number): Drop | null {
  const most = pods.kept - limit;
  if (most <= 0) return null;
  if (pods.droppedTo < pods.podCount) return { from: pods.droppedTo + 1, most, failed: false };
  if (pods.failedDroppedTo < pods.podCount) {
    return { from: pods.failedDroppedTo + 1, most, failed: true };
  }
  return { from: 1, most, failed: false };
}

/** What is known after a step that got before the number `next`. */
export function afterDrop(pods: KeptPods, drop: Drop, removed: number, next: number): KeptPods {
  const kept = pods.kept - removed;
  if (drop.failed) return { ...pods, kept, failedDroppedTo: next - 1 };
  // A walk over all pods begins anew: after it, one over the failed ones.
  const failedDroppedTo = drop.from === 1 ? 0 : pods.failedDroppedTo;
  return { ...pods, kept, droppedTo: next - 1, failedDroppedTo };
}
