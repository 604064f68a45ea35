/** Collects, at the end of a run, all that is to be judged. */
import { podName, podSuffix, type Job } from '@drover/shared';
import { findOrphanKeys, inspectInstallation, type Shard } from '@drover/store';

import type {
  BarePodEvidence,
  CronJobEvidence,
  EndedPod,
  Evidence,
  JobEvidence,
  JobPlan,
  QueueEvidence,
  SeenStatus,
} from './evidence.ts';
import { CRON_COMPLETIONS, CRON_EVERY_MS } from './kinds.ts';
import type { Load, Subject, SubmittedQueue } from './load.ts';
import { readRuns, type ItemRun, type PodRun } from './records.ts';
import { deleteEverything, findRemains } from './remains.ts';
import type { Installation } from './world.ts';

/** More pods than a Job of a run has. */
const MOST_PODS = 100_000;
const SCHEDULED_ANNOTATION = 'batch.kubernetes.io/cronjob-scheduled-timestamp';

/** A run that came to its end. */
export interface GatherOptions {
  readonly world: Installation;
  readonly load: Load;
  /** What a watch showed, by the uid of the Job. */
  readonly seen: ReadonlyMap<string, readonly SeenStatus[]>;
  /** When the load ended, ms since the epoch. */
  readonly loadEndMs: number;
  /** At the end users delete everything, and nothing may be left. Default false. */
  readonly deletesAll?: boolean;
}

/** Reads Redis and the records; everything is deleted then. */
export async function gather(options: GatherOptions): Promise<Evidence> {
  const evidence = await read(options);
  if (options.deletesAll !== true) return evidence;
  const { world, load } = options;
  await deleteEverything(world, load);
  const uids = evidence.jobs.map(({ plan }) => plan.uid);
  return { ...evidence, remains: await findRemains(world, uids) };
}

async function read(options: GatherOptions): Promise<Evidence> {
  const { world, load, seen } = options;
  const runs = readRuns(world.recordFolder);
  const runsByOwner = Map.groupBy(runs.pods, ({ owner }) => owner);
  const runsByQueue = Map.groupBy(runs.items, ({ queue }) => queue);
  const shard = world.store.shards[0]!;
  const listed = new Map((await world.drover.jobs.list()).map((job) => [job.metadata.uid, job]));
  const jobs: JobEvidence[] = [];
  const add = async (subject: GatheredSubject): Promise<void> => {
    const job = listed.get(subject.plan.uid) ?? null;
    jobs.push({
      ...subject,
      status: job === null ? null : (job.status ?? {}),
      seen: seen.get(subject.plan.uid) ?? [],
      pods: job === null ? [] : await endedPods(shard, subject.plan),
      runs: runsByOwner.get(subject.plan.name) ?? [],
    });
  };
  for (const subject of load.subjects) await add(subject);
  for (const job of listed.values()) {
    const owner = job.metadata.ownerReferences?.[0];
    if (owner?.kind === 'CronJob') await add(ofCronJob(job));
  }
  return {
    jobs,
    queues: await Promise.all(
      load.queues.map((queue) => queueEvidence(world, queue, runsByQueue.get(queue.name) ?? [])),
    ),
    barePods: await Promise.all(
      load.barePods.map((pod) => barePodEvidence(world, pod, runsByOwner.get(pod.name) ?? [])),
    ),
    cronJobs: load.cronJobs.map((cronJob) =>
      cronEvidence(cronJob, [...listed.values()], options.loadEndMs),
    ),
    leaks: await findLeaks(world),
    remains: [],
    crashes: world.crashes,
  };
}

/** The part of a subject that is judged. */
type GatheredSubject = Pick<
  Subject,
  'plan' | 'limits' | 'deletedPods' | 'isDisturbed' | 'isDeleted'
>;

function ofCronJob({ metadata }: Job): GatheredSubject {
  const sentMs = Date.parse(metadata.creationTimestamp ?? '');
  return {
    plan: {
      name: metadata.name,
      uid: metadata.uid,
      completions: CRON_COMPLETIONS,
      isIndexed: false,
      waitsForStopped: false,
      restarts: false,
      backoffLimitPerIndex: null,
      ignoresFailures: false,
      endings: [{ type: 'Complete' }],
    },
    limits: [{ parallelism: CRON_COMPLETIONS, sentMs, heardMs: sentMs }],
    deletedPods: 0,
    isDisturbed: false,
    isDeleted: false,
  };
}

async function endedPods(shard: Shard, plan: JobPlan): Promise<EndedPod[]> {
  const { pods } = await shard.listPods(plan.uid, { limit: MOST_PODS });
  return pods
    .filter((pod) => pod.kind === 'record')
    .map(({ podNumber, index, outcome, reason, startMs, endMs }) => ({
      name: podName(plan.name, plan.isIndexed ? index : null, podSuffix(plan.uid, podNumber)),
      index,
      outcome,
      reason,
      startMs,
      endMs,
    }));
}

async function queueEvidence(
  { drover }: Installation,
  queue: SubmittedQueue,
  runs: readonly ItemRun[],
): Promise<QueueEvidence> {
  const handle = drover.workQueue(queue.name);
  const completed: { id: number; resultId: number }[] = [];
  for await (const { id, result } of handle.results()) {
    completed.push({ id, resultId: (result as { readonly id: number }).id });
  }
  const dead: number[] = [];
  for await (const { id } of handle.deadLetters()) dead.push(id);
  const { name, accepted, isAbandoned } = queue;
  return { name, accepted, isAbandoned, completed, dead, runs };
}

async function barePodEvidence(
  { drover }: Installation,
  pod: { readonly name: string; readonly isDeleted: boolean },
  runs: readonly PodRun[],
): Promise<BarePodEvidence> {
  const found = await drover.pods.get(pod.name).catch(() => null);
  return { ...pod, phase: found?.status.phase ?? null, runs };
}

function cronEvidence(
  { name, fromMs }: { readonly name: string; readonly fromMs: number },
  jobs: readonly Job[],
  loadEndMs: number,
): CronJobEvidence {
  const startedForMs = jobs
    .filter(({ metadata }) => metadata.ownerReferences?.[0]?.name === name)
    .map(({ metadata }) => Date.parse(metadata.annotations?.[SCHEDULED_ANNOTATION] ?? ''))
    .toSorted((a, b) => a - b);
  return { name, everyMs: CRON_EVERY_MS, startedForMs, fromMs, untilMs: loadEndMs };
}

/** What `drover doctor` looks for, as far as it is Drover's own doing. */
async function findLeaks({ store }: Installation): Promise<string[]> {
  const { redis, prefix } = store;
  const { shards } = await inspectInstallation(redis, prefix);
  const { orphans, unpurgedJobs } = await findOrphanKeys(redis, { prefix });
  return [
    ...shards.flatMap(({ stuckJobs }) => stuckJobs.names.map((name) => `${name} is never due`)),
    ...shards.flatMap(({ lapsedSessions }) =>
      lapsedSessions.names.map((name) => `session ${name} was never ended`),
    ),
    ...orphans.map((key) => `key ${key} belongs to nobody`),
    ...unpurgedJobs.map((uid) => `Job ${uid} is deleted and never removed`),
  ];
}
