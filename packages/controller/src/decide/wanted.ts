import type { Counters, DecideSpec, Observed } from './types.ts';

/** Where pods may run. */
type Places = Pick<Observed, 'fittingLanes' | 'reserves'>;

/** Slots opened in one pass at most, so that a huge Job can not starve the others. */
export const MAX_OPENS_PER_PASS = 500;

/**
 * How many active pods the Job should have now. Of a held Job those that run; pods that no worker
 * has yet are taken back.
 *
 * A work-queue Job (completions unset) keeps what runs after its first success: nothing is
 * started, nothing is stopped, whatever parallelism says.
 */
export function wantActive(spec: DecideSpec, counters: Counters, held: boolean): number {
  const wanted = wantActiveBySpec(spec, counters);
  return held ? Math.min(wanted, counters.running) : wanted;
}

function wantActiveBySpec(spec: DecideSpec, counters: Counters): number {
  if (spec.suspended) return 0;
  if (spec.completions === null) {
    return counters.succeeded > 0 ? counters.active : spec.parallelism;
  }
  return Math.max(0, Math.min(spec.parallelism, spec.completions - counters.succeeded));
}

/** Whether the Job has the successes it wants, and so is done but for pods that still run. */
export function isSatisfied(spec: DecideSpec, counters: Counters): boolean {
  if (spec.completions !== null) return counters.succeeded >= spec.completions;
  // Pods of a work-queue Job that still run may have work in hand: wait for all of them.
  return counters.succeeded > 0 && counters.active === 0;
}

/**
 * The gate's limit. The scripts themselves keep active pods below what is left to do, so it
 * changes with the spec, not with every success.
 */
export function gateLimit(spec: DecideSpec, counters: Counters, held: boolean): number {
  if (held || spec.suspended || isSatisfied(spec, counters)) return 0;
  if (spec.completions === null && counters.succeeded > 0) return 0;
  return spec.parallelism;
}

/**
 * Most pods of the Job that may be with workers or on offer at once: the lanes that could run
 * them and a tenth more, so that a lane that becomes free finds the next one waiting. More would
 * only fill the queue, in front of other Jobs.
 *
 * Of pods that request resources none more: a worker with a free lane would take the slot, and then
 * not have the room.
 */
export function offerLimit(wanted: number, { fittingLanes, reserves }: Places): number {
  const spare = reserves ? 0 : Math.ceil(fittingLanes / 10);
  return Math.min(wanted, fittingLanes + spare);
}
