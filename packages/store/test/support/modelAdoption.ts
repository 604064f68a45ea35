/** What adoption means, in the plain data of the model. */
import type { AdoptedState } from '../../src/api.ts';
import type { ModelEnd, ModelGuard, ModelJob } from './model.ts';

/** Numbers from here on are of adopted pods that wait for their verdict. */
const ADOPTED_FROM = 2 ** 31;
/** Stands for no index. */
export const NO_INDEX = 2 ** 32 - 1;

/** A pod that a Job has adopted. */
export interface ModelAdopted {
  readonly host: ModelJob;
  readonly pod: number;
  readonly slot: number;
  /** {@link NO_INDEX} = none. */
  index: number;
  state: AdoptedState;
}

/** A pod that is to be adopted, as it was seen. */
export interface ModelWanted {
  readonly pod: number;
  readonly slot: number;
  readonly index: number;
  /** How often its labels had been changed. */
  readonly changes: number;
}

function isActive({ state }: ModelAdopted): boolean {
  return state === 'pending' || state === 'running';
}

/** Adopted pods that are in a state. */
export function countAdopted(job: ModelJob, states: readonly AdoptedState[]): number {
  return [...job.adopted.values()].filter(({ state }) => states.includes(state)).length;
}

/** Adopts pods of a host; answers for each. */
export function adopt(
  job: ModelJob,
  host: ModelJob,
  pods: readonly ModelWanted[],
  nowMs: number,
): string[] {
  let isNew = false;
  const answers = pods.map((wanted) => {
    if (job.purged || job.deleted || job.finished) return 'closed';
    const adopter = host.purged ? undefined : host.adopters.get(wanted.pod);
    if (adopter !== undefined) return adopter.uid === job.uid ? 'adopted' : 'moved';
    const found = find(host, wanted);
    if (found === null) return 'moved';
    isNew = true;
    const number = ++job.adoptions;
    host.adopters.set(wanted.pod, { uid: job.uid, number });
    const one = { host, pod: wanted.pod, slot: wanted.slot, index: NO_INDEX };
    job.adopted.set(number, { ...one, ...count(job, host, number, wanted, found) });
    return 'adopted';
  });
  if (isNew) {
    job.decisionVersion++;
    job.trigger(nowMs);
  }
  return answers;
}

type Found = 'pending' | 'running' | 'Succeeded' | 'Failed';

function find(host: ModelJob, { pod, slot: number, changes }: ModelWanted): Found | null {
  if (host.purged || !(host.orphaned || host.free.has(pod))) return null;
  if ((host.changes.get(pod) ?? 0) !== changes) return null;
  if (number === 0) return host.records.get(pod) ?? host.freeRecords.get(pod) ?? null;
  const slot = host.slots.get(number);
  if (slot?.pod !== pod) return null;
  if (slot.phase === 'Pending') return 'pending';
  return slot.phase === 'Running' || slot.phase === 'Free' ? 'running' : null;
}

function count(
  job: ModelJob,
  host: ModelJob,
  number: number,
  wanted: ModelWanted,
  found: Found,
): { index: number; state: AdoptedState } {
  const isInside = job.indexed && wanted.index < job.completions!;
  const index = isInside ? wanted.index : NO_INDEX;
  const isTaken = job.indexed ? isInside && takeThis(job, index) : true;
  if (found === 'pending' || found === 'running') {
    return isTaken ? { index, state: found } : { index: NO_INDEX, state: 'stopping' };
  }
  if (found === 'Failed' && !isTaken) {
    if (isInside) {
      job.failed++;
      job.limitFailures++;
    }
  } else countEnd(job, number, index, found, endOf(host, wanted.pod));
  return { index: NO_INDEX, state: 'ended' };
}

function endOf(host: ModelJob, pod: number): ModelEnd {
  return host.ended.get(pod) ?? { endMs: 0, reason: 'Error' };
}

function takeThis(job: ModelJob, index: number): boolean {
  if (index < job.cursor) {
    const isFree = job.retry.has(index) || job.delayed.has(index);
    job.retry.delete(index);
    job.delayed.delete(index);
    return isFree;
  }
  for (let skipped = job.cursor; skipped < index; skipped++) job.retry.add(skipped);
  job.cursor = index + 1;
  return true;
}

function countEnd(
  job: ModelJob,
  adoption: number,
  index: number,
  outcome: 'Succeeded' | 'Failed',
  { endMs, reason }: ModelEnd,
): void {
  if (outcome === 'Failed') {
    const number = ADOPTED_FROM + adoption;
    const { decisionVersion } = job;
    // As a pod of its own; but of one without an index nobody remembers that it was lost.
    if (index !== NO_INDEX) job.fail(number, index, reason);
    else job.unjudged.set(number, { index, reason });
    job.decisionVersion = decisionVersion;
    return;
  }
  job.lastSuccessMs = Math.max(job.lastSuccessMs, endMs);
  if (!job.indexed) job.succeeded++;
  else if (index < job.completions!) {
    if (!job.done.has(index)) job.succeeded++;
    job.done.add(index);
    job.losses.delete(index);
    job.failures.delete(index);
  }
}

/** Lets a Job see what became of adopted pods; which of them have to stop yet. */
export function tend(
  job: ModelJob,
  host: ModelJob,
  numbers: readonly number[],
  nowMs: number,
): { changed: boolean; runOn: number[] } {
  let changed = false;
  const runOn: number[] = [];
  for (const number of job.purged ? [] : numbers) {
    const one = job.adopted.get(number);
    if (one === undefined || one.host !== host || one.state === 'ended') continue;
    const before = one.state;
    if (see(job, number, one)) runOn.push(number);
    changed ||= before !== one.state;
  }
  if (changed) {
    job.decisionVersion++;
    job.trigger(nowMs);
  }
  return { changed, runOn };
}

/** Answers whether it has to stop yet. */
function see(job: ModelJob, number: number, one: ModelAdopted): boolean {
  const slot = one.slot === 0 ? undefined : one.host.slots.get(one.slot);
  if (slot?.pod !== one.pod) {
    if (one.state === 'returning') job.giveBack(one.index);
    if (isActive(one)) {
      const outcome = one.host.records.get(one.pod) ?? one.host.freeRecords.get(one.pod);
      const deleted = { endMs: 0, reason: 'Deleted' } as const;
      const end = outcome === undefined ? deleted : endOf(one.host, one.pod);
      countEnd(job, number, one.index, outcome ?? 'Failed', end);
    }
    one.state = 'ended';
    return false;
  }
  const isTold = !['Pending', 'Running', 'Free'].includes(slot.phase);
  if (!isActive(one)) return !isTold;
  if (isTold) {
    countEnd(job, number, one.index, 'Failed', { endMs: 0, reason: 'Deleted' });
    one.state = 'stopping';
  } else one.state = slot.phase === 'Pending' ? 'pending' : 'running';
  return false;
}

/** Takes adopted pods out of the active ones. */
export function stopAdopted(
  job: ModelJob,
  guard: ModelGuard,
  numbers: readonly number[],
  countAs: 'uncounted' | 'failed' | 'cut',
): 'stopped' | 'moved' | 'gone' {
  const refusal = job.refuses(guard);
  if (refusal !== null) return refusal;
  let isNew = false;
  for (const number of numbers) {
    const one = job.adopted.get(number);
    const isCut = one?.state === 'returning' && countAs === 'cut';
    if (one === undefined || !(isActive(one) || isCut)) continue;
    isNew = true;
    const isReturning = countAs === 'uncounted' && job.gate.replaceEnded === true;
    one.state = isReturning ? 'returning' : 'stopping';
    if (countAs === 'failed') job.failed++;
    else if (!isReturning) job.giveBack(one.index);
  }
  if (isNew) job.decisionVersion++;
  return 'stopped';
}

/** Lets adopted pods go; answers how many went. */
export function letGo(
  job: ModelJob,
  host: ModelJob,
  numbers: readonly number[],
  nowMs: number,
): number {
  let released = 0;
  for (const number of job.purged ? [] : numbers) {
    const one = job.adopted.get(number);
    if (one === undefined || one.host !== host) continue;
    if (isActive(one) || one.state === 'returning') job.giveBack(one.index);
    job.adopted.delete(number);
    const adopter = host.adopters.get(one.pod);
    if (adopter?.uid === job.uid && adopter.number === number) host.adopters.delete(one.pod);
    released++;
  }
  if (released > 0) {
    job.decisionVersion++;
    job.trigger(nowMs);
  }
  return released;
}
