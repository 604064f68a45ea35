/**
 * What must hold of the stored state after every script (DESIGN: invariants 1, 2, 5, 6), said
 * without knowledge of what happened before, but for {@link checkGrowth}.
 */
import type { RawHot, RawJob, RawShard, RawSlot } from './rawState.ts';

/** Violations of a shard's invariants, in words; empty when all is well. */
export function violations(shard: RawShard): string[] {
  const found: string[] = [];
  for (const [uid, job] of shard.jobs) {
    for (const text of jobViolations(job)) found.push(`Job ${uid}: ${text}`);
  }
  return [...found, ...claimViolations(shard)];
}

/** Violations that show only beside the state before: a pod too many was started, a count went back. */
export function checkGrowth(before: RawShard, after: RawShard): string[] {
  const found: string[] = [];
  if (after.clock < before.clock) found.push('the resourceVersion went back');
  for (const [uid, job] of after.jobs) {
    const earlier = before.jobs.get(uid);
    if (!earlier?.hot || !job.hot) continue;
    for (const text of growthViolations(earlier, job)) found.push(`Job ${uid}: ${text}`);
  }
  return found;
}

function growthViolations(before: RawJob, after: RawJob): string[] {
  const [was, is] = [before.hot!, after.hot!];
  const found: string[] = [];
  // Indexes that an elastic Job does not have any more are forgotten.
  const isCut = is.completions < was.completions;
  for (const field of [
    'podCount',
    'nextSlot',
    ...(isCut ? [] : (['cursor', 'succeeded'] as const)),
    'failed',
    'generation',
    'decisionVersion',
  ] as const) {
    if (is[field] < was[field]) found.push(`${field} went from ${was[field]} to ${is[field]}`);
  }
  if (is.podCount > was.podCount && is.active > activeCap(is)) {
    found.push(`a pod was started: ${is.active} active, at most ${activeCap(is)} allowed`);
  }
  if (before.job['finished'] === '1') {
    for (const field of ['finished', 'status'] as const) {
      if (after.job['deleted'] !== '1' && after.job[field] !== before.job[field]) {
        found.push(`${field} of a finished Job changed`);
      }
    }
  }
  for (const index of before.done) {
    const isGone = isCut && index >= is.completions;
    if (!isGone && !after.done.includes(index)) found.push(`index ${index} is no longer done`);
  }
  return found;
}

/** Of pods that are replaced only when they ended, those that have not take up a place. */
function activeCap({ completions, succeeded, limit, rules, terminating }: RawHot): number {
  const inPlace = (rules & REPLACE_ENDED) === 0 ? 0 : terminating;
  if (completions < 0) return succeeded > 0 ? 0 : limit - inPlace;
  return Math.min(limit, completions - succeeded) - inPlace;
}

const REPLACE_ENDED = 4;
/** Of adopted pods that have none. */
const NO_INDEX = 2 ** 32 - 1;

function jobViolations(job: RawJob): string[] {
  const { hot } = job;
  if (hot === null) {
    const left =
      job.slots.length +
      job.pending.size +
      job.retry.length +
      job.delayed.size +
      job.unjudged.size +
      job.failedIndexes.length;
    return left === 0 ? [] : ['keys of a purged Job are left'];
  }
  const found: string[] = [];
  const expectEqual = (what: string, is: unknown, should: unknown): void => {
    const [a, b] = [JSON.stringify(is), JSON.stringify(should)];
    if (a !== b) found.push(`${what}: ${a}, should be ${b}`);
  };
  const of = (phase: RawSlot['phase']): RawSlot[] =>
    job.slots.filter((slot) => slot.phase === phase);
  const [pending, running] = [of('Pending'), of('Running')];
  const [stopping, owing] = [of('Stopping'), [...of('Returning'), ...of('Leaving')]];
  const adopted = [...job.adopted.values()].map((text) => text.split(' '));
  const adoptedIn = (...states: string[]): number =>
    adopted.filter(([, , , , state = '']) => states.includes(state)).length;
  expectEqual(
    'active',
    hot.active,
    pending.length + running.length + adoptedIn('pending', 'running'),
  );
  expectEqual('running', hot.running, running.length + adoptedIn('running'));
  expectEqual(
    'terminating',
    hot.terminating,
    stopping.length + owing.length + adoptedIn('stopping', 'returning'),
  );
  expectEqual('restarts', hot.restarts, sum(running.map((slot) => slot.restarts)));
  expectEqual('retryCount', hot.retryCount, job.retry.length);
  expectEqual('lossCount', hot.lossCount, job.losses.size);
  expectEqual('unjudged', hot.unjudged, job.unjudged.size);
  expectEqual('failed indexes', job.failedCount, job.failedIndexes.length);
  expectEqual(
    'pending slots',
    [...job.pending].toSorted((a, b) => a[0] - b[0]),
    pending.map((slot) => [slot.slot, slot.podNumber]),
  );
  if (hot.indexed === 1) expectEqual('done bits', hot.succeeded, job.done.length);

  const pods = job.slots.map((slot) => slot.podNumber);
  expectEqual('pods in two slots', pods.length, new Set(pods).size);
  if (pods.some((pod) => pod < 1 || pod > hot.podCount))
    found.push('a slot has a pod that was never started');
  if (job.slots.some((slot) => slot.slot >= hot.nextSlot)) found.push('a slot was never opened');
  for (const slot of job.slots) {
    if ((slot.phase === 'Pending') === (slot.session !== ''))
      found.push(`slot ${slot.slot}: wrong holder`);
  }
  const adoptions = Number(job.job['adopted'] ?? 0);
  if (hot.podCount + adoptions < hot.succeeded) found.push('more successes than pods');
  // Pods that were released before, and are left of a deleted Job, have indexes that others got.
  if (job.job['orphaned'] !== '1') {
    found.push(...indexViolations(job, [...pending, ...running, ...owing]));
  }
  if (job.job['finished'] === '1' && hot.active + hot.terminating + hot.unjudged > 0) {
    found.push('finished with pods that are active, terminating or not judged');
  }
  return found;
}

/** retry + active + unjudged + succeeded + given up = all indexes that were ever handed out. */
function indexViolations(job: RawJob, active: readonly RawSlot[]): string[] {
  const hot = job.hot!;
  const found: string[] = [];
  const adoptions = Number(job.job['adopted'] ?? 0);
  const places = new Map<number, string>();
  const put = (index: number, place: string): void => {
    const other = places.get(index);
    // An adopted pod may have succeeded with an index that another pod has.
    const isDoneElsewhere = adoptions > 0 && place === 'done';
    if (other !== undefined && !isDoneElsewhere)
      found.push(`index ${index} is in ${other} and in ${place}`);
    places.set(index, place);
    // An adopted pod that has none.
    if (index === NO_INDEX) {
      places.delete(index);
      return;
    }
    if (index >= hot.cursor) found.push(`index ${index} in ${place} was never handed out`);
  };
  for (const index of job.retry) put(index, 'retry');
  for (const index of job.delayed.keys()) put(index, 'delayed');
  for (const index of job.failedIndexes) put(index, 'failed');
  for (const slot of active) put(slot.index, `slot ${slot.slot}`);
  for (const [number, text] of job.adopted) {
    const [, , , index, state] = text.split(' ');
    const hasIndex = state === 'pending' || state === 'running' || state === 'returning';
    if (hasIndex) put(Number(index), `adopted pod ${number}`);
  }
  for (const [pod, index] of job.unjudged) put(index, `unjudged pod ${pod}`);
  for (const index of job.done) put(index, 'done');
  // Adopted pods of a Job that is not Indexed have none of its indexes.
  if (hot.indexed !== 1 && adoptions > 0) return found;
  const succeededElsewhere = hot.indexed === 1 ? 0 : hot.succeeded;
  const givenUp = hot.cursor - places.size - succeededElsewhere;
  // Given up: indexes that failed for good, and pods that were stopped because the Job failed.
  if (givenUp < 0 || givenUp > hot.failed) {
    found.push(`${givenUp} of ${hot.cursor} indexes are nowhere, with ${hot.failed} failed pods`);
  }
  return found;
}

function claimViolations(shard: RawShard): string[] {
  const found: string[] = [];
  const held = new Map<string, Set<string>>();
  for (const [uid, job] of shard.jobs) {
    for (const slot of job.slots) {
      if (slot.phase === 'Pending') continue;
      const claims = held.get(slot.session) ?? new Set();
      held.set(slot.session, claims.add(`${uid}:${slot.slot}`));
      const order = shard.sessions.get(slot.session)?.orders.get(`${uid}:${slot.slot}`);
      const isLeftAlone = slot.phase === 'Running' || slot.phase === 'Free';
      const wanted = isLeftAlone ? undefined : slot.podNumber;
      if (order !== wanted)
        found.push(`Job ${uid}: slot ${slot.slot} is ${slot.phase}, its order is ${order}`);
    }
  }
  for (const [id, session] of shard.sessions) {
    const should = [...(held.get(id) ?? [])].toSorted();
    if (JSON.stringify(session.claims) !== JSON.stringify(should)) {
      found.push(`session ${id} has claims ${session.claims.join(' ')}, holds ${should.join(' ')}`);
    }
    for (const claim of session.orders.keys()) {
      if (!should.includes(claim))
        found.push(`session ${id} has an order for ${claim}, which it does not hold`);
    }
    held.delete(id);
  }
  for (const id of held.keys()) found.push(`slots are held by ${id}, which is no session`);
  return found;
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, one) => total + one, 0);
}
