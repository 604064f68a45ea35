/** The Jobs of a simulation: what users ask for and change. */
import type { PodFailurePolicyRule, SuccessPolicyRule } from '@drover/shared';
import type { JobView, Shard } from '@drover/store';
import type { Random } from './random.ts';
import { type Behaviour, FAILING_CODES, LANE, QUEUE } from './workerActor.ts';

/** The part of a spec that a simulation varies. */
export interface SimSpec {
  readonly parallelism: number;
  readonly completions: number | null;
  readonly indexed: boolean;
  readonly backoffLimit: number;
  readonly backoffLimitPerIndex: number | null;
  readonly maxFailedIndexes: number | null;
  readonly activeDeadlineSeconds: number | null;
  readonly suspend: boolean;
  readonly restartPolicy: 'Never' | 'OnFailure';
  readonly podReplacementPolicy: (typeof REPLACEMENT)[number];
  readonly podFailurePolicy: { readonly rules: readonly PodFailurePolicyRule[] } | null;
  readonly successPolicy: { readonly rules: readonly SuccessPolicyRule[] } | null;
}

const REPLACEMENT = ['TerminatingOrFailed', 'Failed'] as const;

/** A Job of a simulation. */
export interface SimJob {
  readonly uid: string;
  readonly first: SimSpec;
  readonly behaviour: Behaviour;
  /** Its user may change its podReplacementPolicy. */
  readonly changesPolicy: boolean;
  /** Its user may change its completions. */
  readonly isElastic: boolean;
}

/** Default of a Job with limits for each index. */
export const NO_LIMIT = 2 ** 31 - 1;

/** Any Job that the engine can run. */
export function randomJob(random: Random, number: number): SimJob {
  const completions = random.chance(0.2) ? null : random.between(0, random.pick([3, 40, 200]));
  const indexed = completions !== null && random.chance(0.5);
  const perIndex = indexed && random.chance(0.5);
  const restartPolicy = random.chance(0.25) ? 'OnFailure' : 'Never';
  const rules =
    restartPolicy === 'Never' && random.chance(0.3) ? someRules(random, perIndex) : null;
  return {
    uid: `00000000-0000-4000-8000-00000000000${number}`,
    changesPolicy: rules === null && random.chance(0.3),
    isElastic: indexed && random.chance(0.3),
    first: {
      parallelism: random.between(1, 6),
      completions,
      indexed,
      backoffLimit: perIndex && random.chance(0.8) ? NO_LIMIT : random.pick([0, 2, 6, 50, 500]),
      backoffLimitPerIndex: perIndex ? random.between(0, 2) : null,
      maxFailedIndexes:
        perIndex && random.chance(0.4) ? random.between(0, Math.min(5, completions)) : null,
      activeDeadlineSeconds: random.chance(0.15) ? random.between(1, 20) : null,
      suspend: random.chance(0.15),
      restartPolicy,
      podReplacementPolicy: rules === null ? random.pick(REPLACEMENT) : 'Failed',
      podFailurePolicy: rules && { rules },
      successPolicy:
        indexed && completions > 0 && random.chance(0.3)
          ? { rules: [someSuccess(random, completions)] }
          : null,
    },
    behaviour: {
      failRate: random.pick([0, 0.02, 0.1, 0.3, 1]),
      longestMs: random.pick([1, 50, 400, 4_000]),
      restarts: restartPolicy === 'OnFailure',
    },
  };
}

/** What makes a difference: how a pod ends, and whether it was lost. */
function someRules(random: Random, perIndex: boolean): PodFailurePolicyRule[] {
  const actions = ['Ignore', 'Count', 'FailJob', perIndex ? 'FailIndex' : 'Ignore'] as const;
  return Array.from({ length: random.between(1, 3) }, () => {
    const action = random.pick(actions);
    if (random.chance(0.3)) {
      return { action, onPodConditions: [{ type: 'DisruptionTarget', status: 'True' }] };
    }
    const values = [random.pick(FAILING_CODES)];
    return { action, onExitCodes: { operator: random.pick(['In', 'NotIn'] as const), values } };
  });
}

function someSuccess(random: Random, completions: number): SuccessPolicyRule {
  const last = random.between(0, completions - 1);
  const succeededIndexes = `0${last > 1 ? `-${last}` : ''}`;
  if (random.chance(0.3)) return { succeededIndexes };
  const succeededCount = random.between(1, last > 1 ? last + 1 : 1);
  return random.chance(0.5) ? { succeededIndexes, succeededCount } : { succeededCount };
}

/** The stored object of a spec. */
export function objectOf(spec: SimSpec): string {
  const { completions, indexed, restartPolicy, ...rest } = spec;
  return JSON.stringify({
    metadata: {},
    spec: {
      ...rest,
      completionMode: indexed ? 'Indexed' : 'NonIndexed',
      ...(completions !== null && { completions }),
      template: { metadata: {}, spec: { restartPolicy, containers: [{ name: 'main' }] } },
    },
  });
}

const CHANGING = ['parallelism', 'completions', 'suspend', 'podReplacementPolicy'] as const;

/** The spec that is stored now. */
export function specOf(job: JobView, first: SimSpec): SimSpec {
  const { spec } = JSON.parse(job.object) as { spec: Pick<SimSpec, (typeof CHANGING)[number]> };
  const changed = CHANGING.map((field) => [field, spec[field] ?? null]);
  return { ...first, ...(Object.fromEntries(changed) as typeof spec) };
}

/** Creates a Job as a user does. */
export async function createJob(shard: Shard, { uid, first }: SimJob): Promise<void> {
  await shard.createJob({
    uid,
    namespace: 'default',
    name: uid,
    object: objectOf(first),
    status: '{}',
    completions: first.completions,
    queue: QUEUE,
    fittingKey: LANE,
    indexed: first.indexed,
  });
}

/** Something that a user does with a Job; answers what. */
export async function actAsUser(
  shard: Shard,
  { uid, first, changesPolicy, isElastic }: SimJob,
  random: Random,
): Promise<string> {
  const job = await shard.getJobByUid(uid);
  if (job === null || job.deleted) return 'nothing';
  const spec = specOf(job, first);
  const kind = random.between(0, 9);
  if (kind === 0 && random.chance(0.4)) {
    await shard.deleteJob(uid);
    return 'deletes';
  }
  if (kind <= 3) {
    const slots = await shard.allSlots(uid);
    if (slots.length === 0) return 'nothing';
    const pod = random.pick(slots);
    await shard.stopPods({ uid, guard: null, pods: [pod], countAs: 'unjudged' });
    return `deletes pod ${pod.podNumber} of`;
  }
  const size = random.between(0, 8);
  const change =
    isElastic && random.chance(0.5)
      ? { completions: size, parallelism: size }
      : kind <= 5
        ? { suspend: !spec.suspend }
        : kind === 6 && changesPolicy
          ? { podReplacementPolicy: random.pick(REPLACEMENT) }
          : { parallelism: random.between(0, 5) };
  if (job.finished) return 'nothing';
  const reply = await shard.updateJob({
    uid,
    expectedResourceVersion: job.resourceVersion,
    object: objectOf({ ...spec, ...change }),
    specChanged: true,
    completions: spec.completions,
    queue: QUEUE,
    fittingKey: LANE,
  });
  return `${JSON.stringify(change)} ${reply} for`;
}

/** Whether nothing more will happen to a Job by itself. */
export function isAtRest(job: JobView | null, first: SimSpec): boolean {
  if (job === null) return true;
  if (job.deleted) return false;
  if (job.finished) return true;
  const { active, terminating, unjudged } = job.counters;
  const { suspend, parallelism } = specOf(job, first);
  return (suspend || parallelism === 0) && active + terminating + unjudged === 0;
}
