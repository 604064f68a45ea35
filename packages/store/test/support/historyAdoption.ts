/** Steps of random histories that are about adoption. */
import type { AdoptedPod, DecisionGuard } from '../../src/api.ts';
import type { Call, Step } from './history.ts';
import type { Model, ModelJob } from './model.ts';
import { adopt, letGo, type ModelWanted, NO_INDEX, stopAdopted, tend } from './modelAdoption.ts';
import type { StoreBed } from './bed.ts';

/** What the steps need of a history. */
export interface AdoptionHistory {
  readonly bed: StoreBed;
  readonly model: Model;
  readonly nowMs: number;
  guardOf(job: ModelJob, pick: number): DecisionGuard;
  make(call: Call, twice?: boolean): Promise<void>;
  release(job: ModelJob, step: Step): Promise<void>;
}

/** A Job adopts some of the pods of another one, or of its own, that are nobody's; at times others, too. */
export async function takeAdopt(
  history: AdoptionHistory,
  job: ModelJob,
  step: Step,
): Promise<void> {
  const { b, c, twice } = step;
  const { shard } = history.bed;
  const hosts = [...history.model.jobs.values()];
  const host = hosts[b % hosts.length]!;
  // Mostly there is none yet that nobody has.
  if ([...host.free].every((pod) => host.adopters.has(pod))) await history.release(host, step);
  const held = [...host.slots].map(([slot, { pod, index }]) => ({ slot, pod, index }));
  const ended = [...host.records.keys(), ...host.freeRecords.keys()].map((pod) => ({
    slot: 0,
    pod,
    index: c % 5,
  }));
  const isLoose = ({ pod }: { pod: number }) => host.orphaned || host.free.has(pod);
  const all = [...held, ...ended];
  const loose = all.filter((one) => isLoose(one));
  const chosen = (c % 6 === 0 ? all : loose).filter((_, i) => (c >> i) % 3 !== 1).slice(0, 3);
  const pods: (ModelWanted & { changedVersion: number })[] = [];
  for (const { slot, pod, index } of chosen) {
    const stored = await shard.getPod(host.uid, pod);
    const changes = host.changes.get(pod) ?? 0;
    const isLate = c % 13 === 0;
    pods.push({
      pod,
      slot,
      index: (b + pod) % 7 === 0 ? NO_INDEX : index,
      changes: isLate ? -1 : changes,
      changedVersion: isLate ? 1 : (stored?.changed?.resourceVersion ?? 0),
    });
  }
  const input = {
    uid: job.uid,
    hostUid: host.uid,
    hostVersion: null,
    pods: pods.map(({ pod, slot, index, changedVersion }) => ({
      podNumber: pod,
      slot,
      index: index === NO_INDEX ? null : index,
      changedVersion,
    })),
  };
  await history.make(
    {
      name: `adoptPods ${JSON.stringify(input)}`,
      send: () => shard.adoption.adopt(input),
      model: () => adopt(job, host, pods, history.nowMs),
    },
    twice,
  );
}

/** What a Job has adopted is tended, stopped, or let go. */
export async function takeAdopted(
  history: AdoptionHistory,
  job: ModelJob,
  { b, c, twice }: Step,
): Promise<void> {
  const { adoption } = history.bed.shard;
  const all = [...job.adopted];
  const first = all[b % Math.max(1, all.length)];
  if (first === undefined) return;
  const { host } = first[1];
  const chosen = all.filter(([, one], i) => one.host === host && (c >> i) % 4 !== 1);
  const numbers = chosen.map(([number]) => number);
  const pods = chosen.map(([number, { pod, slot }]): AdoptedPod => ({
    number,
    slot,
    index: null,
    state: 'running',
    hostUid: host.uid,
    podNumber: pod,
  }));
  if (c % 7 < 4) {
    const model = () => tend(job, host, numbers, history.nowMs);
    const send = async () => {
      const { changed, runOn } = await adoption.tend(job.uid, pods);
      return { changed, runOn: runOn.map(({ number }) => number) };
    };
    // The second time nothing is new, and the same have to stop.
    await history.make({ name: `tendAdopted ${job.uid} ${numbers.join(' ')}`, send, model }, twice);
    return;
  }
  if (c % 7 < 6) {
    const guard = history.guardOf(job, b);
    const countAs = (['uncounted', 'failed', 'cut'] as const)[b % 3]!;
    const name = `stopAdopted ${JSON.stringify(guard)} ${numbers.join(' ')} ${countAs}`;
    const send = async () => {
      const reply = await adoption.stop(guard, numbers, countAs);
      return reply.type === 'stopped' ? ['stopped', reply.decisionVersion] : reply.type;
    };
    const model = () => {
      // Without numbers nothing is asked.
      if (numbers.length === 0) return ['stopped', guard.decisionVersion];
      const reply = stopAdopted(job, guard, numbers, countAs);
      return reply === 'stopped' ? ['stopped', job.decisionVersion] : reply;
    };
    await history.make({ name, send, model }, twice);
    return;
  }
  const send = () => adoption.release(job.uid, pods);
  const model = () => letGo(job, host, numbers, history.nowMs);
  await history.make(
    { name: `releaseAdopted ${job.uid} ${numbers.join(' ')}`, send, model },
    twice,
  );
}
