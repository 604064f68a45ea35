/**
 * Observe, decide, apply for one CronJob. What a decision makes is stored in one step, which is refused when anything
 * happened since, so that any number of controllers make one Job for a time.
 */
import {
  type ActiveJob,
  cronCalendarOf,
  type CronJob,
  cronJobJobName,
  type CronJobStatus,
  FOREGROUND_FINALIZER,
  formatTime,
  InvalidSpecError,
  type InvolvedObject,
  isConditionTrue,
  isSemanticallyEqual,
  type JobStatus,
  ORPHAN_FINALIZER,
  parseJob,
  parseTime,
  quotaDenialText,
  scheduledJobOf,
  TerminalError,
} from '@drover/shared';
import {
  completeJob,
  composeMetadata,
  cronJobsPerRun,
  cronJobUid,
  type CronRun,
  type EventSink,
  type NewJob,
  newJobOf,
  type ObservedCronJob,
  type OwnedJob,
  type Shard,
  type StoredObject,
} from '@drover/store';
import type { Logger } from 'pino';
import type {
  CronDecision,
  CronEvent,
  CronObserved,
  CronOwnedJob,
  CronSkip,
} from './decide/cronTypes.ts';
import { decideCronJob } from './decide/decideCronJob.ts';
import { deleteDependents, releaseDependents, type GarbageShard } from './garbage.ts';

/** Looks in one go at most: somebody else writes it all the time, or it has much to make up for. */
const MAX_PASSES = 10;
/** Who tells its events. */
const COMPONENT = 'cronjob-controller';

/** What the reconciler needs of a shard. */
export type CronShard = GarbageShard & {
  readonly cronJobs: Pick<Shard['cronJobs'], 'observe' | 'ownedJobs' | 'run'>;
  readonly objects: Pick<Shard['objects'], 'update'>;
};

/** Options of a {@link CronJobReconciler}. */
export interface CronReconcilerOptions {
  readonly shard: CronShard;
  readonly events: EventSink;
  /** How often one that is waited for is looked at though nothing happened, ms. */
  readonly resyncMs: number;
  readonly logger: Logger;
}

/** One look at a CronJob. */
interface Look {
  readonly observed: ObservedCronJob;
  /** As the API shows it. */
  readonly cronJob: CronJob;
  readonly decision: CronDecision;
}

/** What is made of the times of a decision. */
interface Plan {
  readonly jobs: readonly NewJob[];
  /** Those of the Jobs, in their order. */
  readonly started: readonly number[];
  /** Times whose Jobs can not be, or were already. */
  readonly refused: ReadonlyMap<number, Refusal>;
  readonly events: readonly CronEvent[];
}

/** Why a time has no Job. `why`: in words, of what quota does not allow. */
type Refusal =
  | { readonly type: 'nameTaken' | 'invalid' | 'ran' }
  | { readonly type: 'quota'; readonly why: string };

/** Reconciles the CronJobs of one shard. */
export class CronJobReconciler {
  readonly #shard: CronShard;
  readonly #events: EventSink;
  readonly #resyncMs: number;
  readonly #logger: Logger;

  constructor(options: CronReconcilerOptions) {
    this.#shard = options.shard;
    this.#events = options.events;
    this.#resyncMs = options.resyncMs;
    this.#logger = options.logger;
  }

  /**
   * Looks at one CronJob and does what is to be done.
   *
   * @param path - `<namespace>/<name>`.
   * @returns When to look again, ms by the shard's clock; null = when something changes.
   */
  async reconcile(path: string): Promise<number | null> {
    const slash = path.indexOf('/');
    const [namespace, name] = [path.slice(0, slash), path.slice(slash + 1)];
    for (let pass = 0; pass < MAX_PASSES; pass++) {
      const observed = await this.#shard.cronJobs.observe(namespace, name);
      if (observed === null) return null;
      const cronJob = readCronJob(observed.stored);
      if (observed.stored.deletedMs !== null) {
        const isOver = await this.#dismantle(observed.stored, cronJob);
        return isOver ? null : observed.nowMs + this.#resyncMs;
      }
      const nextAtMs = await this.#pass(observed, cronJob);
      if (nextAtMs === null || nextAtMs > observed.nowMs) return nextAtMs;
    }
    // 0 is in the past of any clock: at once, but after what else is due.
    return 0;
  }

  /** Answers a time that is not to come when it is to be looked at again at once. */
  async #pass(observed: ObservedCronJob, cronJob: CronJob): Promise<number | null> {
    const { stored } = observed;
    const scheduled = new Set(cronJob.status.active?.map(({ uid }) => uid));
    const owned = await this.#shard.cronJobs.ownedJobs(stored, scheduled);
    const decision = decideCronJob(toObserved(observed, cronJob, owned));
    const look: Look = { observed, cronJob, decision };
    const about = referenceOf(stored);
    for (const job of [...decision.prune, ...decision.replace]) {
      await this.#shard.deleteJob(job.uid, { policy: 'Background' });
    }
    this.#tell(
      about,
      decision.prune.map(({ name }) => deleted(name)),
    );

    let plan = planJobs(look, new Map());
    for (;;) {
      const outcome = await this.#apply(look, plan);
      if (outcome === 'unchanged' || outcome === 'done') {
        this.#tell(about, [...decision.events, ...plan.events]);
        return this.#nextAtMs(look, plan);
      }
      if (outcome === 'again') return 0;
      const { at, refusal } = outcome;
      const { type } = refusal;
      this.#logger.warn({ cronJob: stored.name, slot: plan.started[at], type }, 'no Job was made');
      plan = planJobs(look, new Map([...plan.refused, [plan.started[at]!, refusal]]));
    }
  }

  /** What quota does not allow is tried again, as long as it is not too late for it. */
  #nextAtMs(
    { observed: { nowMs }, decision: { nextAtMs } }: Look,
    { refused }: Plan,
  ): number | null {
    const isDenied = [...refused.values()].some(({ type }) => type === 'quota');
    if (!isDenied) return nextAtMs;
    const againAtMs = nowMs + this.#resyncMs;
    return nextAtMs === null || nextAtMs <= nowMs ? againAtMs : Math.min(nextAtMs, againAtMs);
  }

  async #apply(
    { observed, cronJob, decision }: Look,
    { jobs, started, refused }: Plan,
  ): Promise<'done' | 'unchanged' | 'again' | { refusal: Refusal; at: number }> {
    const { stored, nowMs } = observed;
    const status = statusOf(cronJob, decision, { jobs, refused });
    const isSame = isSemanticallyEqual(status, cronJob.status);
    const notes: CronRun[] = [
      ...started.map((slotMs) => ({ type: 'started' as const, slotMs, atMs: nowMs })),
      ...decision.manual.map(({ name, uid, createdMs }) => ({
        type: 'manual' as const,
        slotMs: createdMs,
        job: name,
        uid,
      })),
      ...skipNotes(decision.skips, refused, observed.checkedMs ?? 0),
    ];
    const { suspendedMs } = decision;
    // Of times that were tried in vain once more there is nothing new to note.
    const isInVain = isSame && notes.length === 0 && refused.size > 0;
    const checkedMs = isInVain ? null : decision.checkedMs;
    const isQuiet = isSame && notes.length === 0 && checkedMs === null && suspendedMs === null;
    if (isQuiet) return 'unchanged';
    const object = isSame
      ? null
      : JSON.stringify({ ...(JSON.parse(stored.object) as object), status });
    const outcome = await this.#shard.cronJobs.run({
      namespace: stored.namespace,
      name: stored.name,
      uid: stored.uid,
      runs: observed.runs,
      expectedResourceVersion: stored.resourceVersion,
      object,
      checkedMs,
      suspendedMs,
      notes,
      jobs,
    });
    if (outcome.type === 'done') return 'done';
    // Gone, or changed, or another controller was first: the next look tells.
    if (outcome.type === 'notFound' || outcome.type === 'conflict') return 'again';
    const { at } = outcome;
    if (outcome.type !== 'forbidden') return { at, refusal: { type: outcome.type } };
    return { at, refusal: { type: 'quota', why: quotaDenialText(outcome.denial, null) } };
  }

  /** What is to be done for one whose deletion was asked for. False: something of it is still waited for. */
  async #dismantle(stored: StoredObject, cronJob: CronJob): Promise<boolean> {
    const { finalizers = [] } = cronJob.metadata;
    let done: string | null = null;
    if (finalizers.includes(FOREGROUND_FINALIZER)) {
      await deleteDependents(this.#shard, stored.uid);
      if (await this.#isAwaited(stored.uid)) return false;
      done = FOREGROUND_FINALIZER;
    } else if (finalizers.includes(ORPHAN_FINALIZER)) {
      await releaseDependents(this.#shard, stored.uid);
      done = ORPHAN_FINALIZER;
    }
    if (done === null) return true;
    const rest = finalizers.filter((one) => one !== done);
    const object = JSON.parse(stored.object) as CronJob;
    // When somebody else wrote it meanwhile, that made it due again.
    await this.#shard.objects.update({
      ...stored,
      expectedResourceVersion: stored.resourceVersion,
      object: JSON.stringify({ ...object, metadata: { ...object.metadata, finalizers: rest } }),
      finalizerCount: rest.length,
    });
    return true;
  }

  /** Whether something blocks its deletion. The end of a Job that it controls makes it due, that of other things does not. */
  async #isAwaited(uid: string): Promise<boolean> {
    let after: string | null = null;
    do {
      const from: { after?: string } = after === null ? {} : { after };
      const page = await this.#shard.dependents(uid, { limit: 100, ...from });
      if (page.dependents.some(({ blocks }) => blocks)) return true;
      after = page.next;
    } while (after !== null);
    return false;
  }

  #tell(about: InvolvedObject, events: readonly CronEvent[]): void {
    for (const event of events) this.#events.record({ ...event, about, component: COMPONENT });
  }
}

function referenceOf({ namespace, name, uid }: StoredObject): InvolvedObject {
  return { apiVersion: 'batch/v1', kind: 'CronJob', namespace, name, uid };
}

/** Without a check: it was checked when it was written. */
function readCronJob(stored: StoredObject): CronJob {
  try {
    const cronJob = JSON.parse(stored.object) as CronJob;
    return { ...cronJob, metadata: composeMetadata(cronJob.metadata, stored) };
  } catch (cause) {
    throw new TerminalError(`the stored object of CronJob ${stored.name} is not JSON`, { cause });
  }
}

function toObserved(
  { nowMs, stored, checkedMs, suspendedMs }: ObservedCronJob,
  cronJob: CronJob,
  owned: readonly OwnedJob[],
): CronObserved {
  const { status, spec } = cronJob;
  return {
    nowMs,
    maxStarts: cronJobsPerRun(stored),
    spec,
    calendar: cronCalendarOf(cronJob),
    createdMs: stored.createdMs,
    isDeleted: stored.deletedMs !== null,
    active: status.active ?? [],
    lastScheduleMs: parseTime(status.lastScheduleTime),
    lastSuccessMs: parseTime(status.lastSuccessfulTime),
    checkedMs,
    suspendedMs,
    owned: owned.map(toOwned),
  };
}

function toOwned({ uid, name, status, createdMs, isNew, isManual }: OwnedJob): CronOwnedJob {
  const { conditions, startTime, completionTime } = JSON.parse(status) as JobStatus;
  let end: CronOwnedJob['end'] = null;
  if (isConditionTrue(conditions, 'Complete')) end = 'Complete';
  else if (isConditionTrue(conditions, 'Failed')) end = 'Failed';
  return {
    uid,
    name,
    end,
    startTimeMs: parseTime(startTime),
    completionTimeMs: end === 'Complete' ? parseTime(completionTime) : null,
    createdMs,
    isNew,
    isManual,
  };
}

function planJobs({ observed, cronJob, decision }: Look, known: Map<number, Refusal>): Plan {
  const refused = new Map(known);
  const jobs: NewJob[] = [];
  const started: number[] = [];
  const events: CronEvent[] = [];
  let denial: Refusal | null = null;
  for (const slotMs of decision.start) {
    const name = cronJobJobName(cronJob.metadata.name, slotMs);
    // Those after a time that is tried again have their turn after it.
    if (denial !== null) refused.set(slotMs, denial);
    const refusal = refused.get(slotMs);
    if (refusal?.type === 'quota') denial = refusal;
    const what = `jobs.batch ${JSON.stringify(name)}`;
    if (refusal?.type === 'nameTaken') events.push(failed(`${what} already exists`));
    if (refusal?.type === 'quota') events.push(failed(`${what} is forbidden: ${refusal.why}`));
    if (refusal !== undefined) continue;
    const uid = cronJobUid(cronJob.metadata.uid, slotMs);
    try {
      const { namespace } = cronJob.metadata;
      const { job } = parseJob(scheduledJobOf(cronJob, slotMs), { namespace });
      jobs.push(newJobOf(completeJob(job, { uid, name, createdMs: observed.nowMs })));
      started.push(slotMs);
      events.push({ type: 'Normal', reason: 'SuccessfulCreate', message: `Created job ${name}` });
    } catch (error) {
      if (!(error instanceof InvalidSpecError)) throw error;
      refused.set(slotMs, { type: 'invalid' });
      events.push(failed(error.message));
    }
  }
  return { jobs, started, refused, events };
}

function failed(why: string): CronEvent {
  return { type: 'Warning', reason: 'FailedCreate', message: `Error creating job: ${why}` };
}

function deleted(name: string): CronEvent {
  return { type: 'Normal', reason: 'SuccessfulDelete', message: `Deleted job ${name}` };
}

function skipNotes(
  skips: readonly CronSkip[],
  refused: ReadonlyMap<number, Refusal>,
  notedMs: number,
): CronRun[] {
  const notes: CronRun[] = skips.map((skip) => ({ type: 'skipped', ...skip }));
  for (const [slotMs, { type: reason }] of refused) {
    // What ran is noted, and so is what was tried before.
    if (reason === 'ran' || (reason === 'quota' && slotMs <= notedMs)) continue;
    notes.push({ type: 'skipped', slotMs, reason });
  }
  return notes;
}

function statusOf(
  { metadata, status }: CronJob,
  decision: CronDecision,
  { jobs, refused }: Pick<Plan, 'jobs' | 'refused'>,
): CronJobStatus {
  const started = jobs.map(({ name, uid }): ActiveJob => ({
    apiVersion: 'batch/v1',
    kind: 'Job',
    namespace: metadata.namespace,
    name,
    uid,
  }));
  const active = [...decision.active, ...started];
  // What quota does not allow stays open.
  const last = decision.start.findLast((slotMs) => refused.get(slotMs)?.type !== 'quota');
  const { active: _before, ...others } = status;
  return {
    ...others,
    ...(active.length > 0 && { active }),
    ...(last !== undefined && { lastScheduleTime: formatTime(last) }),
    ...(decision.lastSuccessMs !== null && {
      lastSuccessfulTime: formatTime(decision.lastSuccessMs),
    }),
  };
}
