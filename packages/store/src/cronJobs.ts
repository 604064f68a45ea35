import { createHash } from 'node:crypto';
import { INSTANTIATE_ANNOTATION, type Job } from '@drover/shared';
import {
  CRON_SKIP_REASONS,
  type CronJobRun,
  type CronJobRunOutcome,
  type CronRun,
  type ObservedCronJob,
  type OwnedJob,
} from './cronJobApi.ts';
import { newJobArguments } from './jobScripts.ts';
import type { ShardKeys } from './keys.ts';
import { storedObject } from './objects.ts';
import { integer, list, quotaDenial, textMap } from './replies.ts';
import { ShardScripts, type ShardScriptsOptions } from './shardScripts.ts';
import type { RedisClient } from './redisClient.ts';

const KIND = 'CronJob';
/** Owned Jobs that are read at a time. */
const PAGE_SIZE = 200;

/** The CronJobs of a shard, beyond what they are as objects. */
export class CronJobs {
  readonly #redis: RedisClient;
  readonly #keys: ShardKeys;
  readonly #scripts: ShardScripts;

  constructor(options: ShardScriptsOptions) {
    this.#redis = options.redis;
    this.#keys = options.keys;
    this.#scripts = new ShardScripts(options);
  }

  /** One atomic look; null = there is none. */
  async observe(namespace: string, name: string): Promise<ObservedCronJob | null> {
    const keys = [this.#keys.clock, this.#keys.object(KIND, namespace, name)];
    const [nowMs, ...rest] = list(
      await this.#scripts.run('observeCronJob', keys, [this.#scripts.now]),
    );
    const fields = textMap(rest);
    const path = { kind: KIND, namespace, name };
    const stored = storedObject(path, Object.fromEntries(fields));
    if (stored === null) return null;
    const { checkedMs } = Object.fromEntries(fields);
    const suspendedMs = Number(fields.get('suspendedMs') ?? 0);
    return {
      nowMs: integer(nowMs),
      stored,
      runs: Number(fields.get('runs') ?? 0),
      checkedMs: checkedMs === undefined ? null : Number(checkedMs),
      suspendedMs: suspendedMs === 0 ? null : suspendedMs,
    };
  }

  /**
   * The Jobs that a CronJob controls, in no order that means something.
   *
   * @param scheduled - Uids of those that are known to be of its schedule.
   */
  async ownedJobs(
    { namespace, name, uid }: Pick<CronJobRun, 'namespace' | 'name' | 'uid'>,
    scheduled: ReadonlySet<string>,
  ): Promise<OwnedJob[]> {
    const jobs: OwnedJob[] = [];
    const record = this.#keys.objectRecord(KIND, namespace, name);
    let from = `[${uid}/`;
    for (;;) {
      // '0' is the character after '/', so this bounds exactly one owner.
      const page = await this.#redis.zrangebylex(
        this.#keys.owned,
        from,
        `(${uid}0`,
        'LIMIT',
        0,
        PAGE_SIZE,
      );
      const read = page.map(async (entry) => {
        const job = await this.#ownedJob(entry.slice(entry.indexOf('job:') + 'job:'.length), uid);
        if (job === null) return null;
        const isScheduled = scheduled.has(job.uid) || isMadeBySchedule(job, uid);
        const isNew = !isScheduled && (await this.#redis.hexists(record, manualField(job))) === 0;
        return { ...job, isNew, isManual: isNew && (await this.#isManual(job.uid)) };
      });
      for (const job of await Promise.all(read)) if (job !== null) jobs.push(job);
      if (page.length < PAGE_SIZE) return jobs;
      from = `(${page.at(-1)!}`;
    }
  }

  async #isManual(uid: string): Promise<boolean> {
    const object = await this.#redis.hget(this.#keys.job(uid).job, 'object');
    if (object === null) return false;
    const { metadata } = JSON.parse(object) as Pick<Job, 'metadata'>;
    return metadata.annotations?.[INSTANTIATE_ANNOTATION] === 'manual';
  }

  async #ownedJob(
    uid: string,
    owner: string,
  ): Promise<Omit<OwnedJob, 'isNew' | 'isManual'> | null> {
    const [name = null, status = null, finished, createdMs, deletionMs = null, deleted, owners] =
      await this.#redis.hmget(
        this.#keys.job(uid).job,
        'name',
        'status',
        'finished',
        'createdMs',
        'deletionMs',
        'deleted',
        'owners',
      );
    if (name === null || status === null || deleted === '1') return null;
    // Another one may own it without controlling it.
    const isControlled = owners?.split(' ').some((text) => {
      const [id, , cronJob] = text.split('/');
      return id === owner && cronJob !== undefined;
    });
    if (isControlled !== true) return null;
    return {
      uid,
      name,
      status,
      finished: finished === '1',
      createdMs: Number(createdMs),
      deletionMs: deletionMs === null ? null : Number(deletionMs),
    };
  }

  /** Does what was decided of a CronJob, all of it in one step or nothing. */
  async run(run: CronJobRun): Promise<CronJobRunOutcome> {
    const { namespace, name } = run;
    const { names, uids, watch, owned } = this.#keys;
    const jobKeys = run.jobs.flatMap(({ uid }) => {
      const { job, hot } = this.#keys.job(uid);
      return [job, hot];
    });
    const reply = list(
      await this.#scripts.run(
        'runCronJob',
        [
          ...this.#scripts.dueKeys,
          names,
          uids,
          watch,
          owned,
          this.#keys.object(KIND, namespace, name),
          this.#keys.objectRecord(KIND, namespace, name),
          this.#keys.quotaHard,
          this.#keys.quotaUsed,
          ...jobKeys,
        ],
        [
          this.#scripts.now,
          this.#keys.wakeChannel,
          this.#keys.objectChannel,
          run.uid,
          namespace,
          name,
          run.runs,
          run.expectedResourceVersion,
          run.object ?? '',
          run.checkedMs ?? '',
          run.suspendedMs ?? '',
          run.notes.length,
          ...run.notes.flatMap(noteOf),
          ...run.jobs.flatMap(newJobArguments),
        ],
      ),
    );
    switch (integer(reply[0])) {
      case 1:
        return { type: 'done', resourceVersion: integer(reply[1]) };
      case -1:
        return { type: 'notFound' };
      case -2:
        return { type: 'conflict' };
      case -3:
        return { type: 'nameTaken', at: integer(reply[1]) - 1 };
      case -4:
        return { type: 'ran', at: integer(reply[1]) - 1 };
      default:
        return {
          type: 'forbidden',
          at: integer(reply[1]) - 1,
          denial: quotaDenial(reply[2] ?? null),
        };
    }
  }

  /** What became of the past times of a CronJob, in their order: about the last hundred. */
  async history(namespace: string, name: string): Promise<CronRun[]> {
    const notes = await this.#redis.hgetall(this.#keys.objectRecord(KIND, namespace, name));
    return Object.entries(notes)
      .map(([field, text]) => readNote(field, text))
      .filter((run) => run !== null)
      .toSorted((a, b) => a.slotMs - b.slotMs);
  }
}

/** The uid of the Job of a CronJob for a time: always the same, so that it can not be made twice. */
export function cronJobUid(ownerUid: string, slotMs: number): string {
  const digits = createHash('sha256').update(`${ownerUid}/${slotMs}`).digest('hex').split('');
  // Version 8, variant 10: a UUID of digits that its maker chose.
  digits[12] = '8';
  digits[16] = '89ab'[Number.parseInt(digits[16]!, 16) % 4]!;
  const text = digits.join('');
  const parts = [0, 8, 12, 16, 20, 32];
  return parts
    .slice(1)
    .map((end, i) => text.slice(parts[i], end))
    .join('-');
}

/**
 * Whether a schedule made it, or a backfill: its uid follows from its time, which its name ends with, see
 * `cronJobJobName`. Names alone do not tell: those of runs by hand may end with a date.
 */
function isMadeBySchedule(
  { uid, name }: Pick<OwnedJob, 'uid' | 'name'>,
  ownerUid: string,
): boolean {
  const [, digits = ''] = /-(\d+)$/.exec(name) ?? [];
  const time = Number(digits);
  return [time * 60_000, time * 1_000].some((slotMs) => cronJobUid(ownerUid, slotMs) === uid);
}

/** Reasons by the digit that stands for them in a note. */
const REASONS = CRON_SKIP_REASONS;

function manualField({ createdMs, uid }: Pick<OwnedJob, 'createdMs' | 'uid'>): string {
  return `${timeField(createdMs)}/${uid}`;
}

/** Of one length until the year 2286, so that they sort as text. */
function timeField(ms: number): string {
  return String(ms).padStart(13, '0');
}

/** Field and text, short: a hundred of them are kept of each CronJob. See `lua/runCronJob.lua`. */
function noteOf(run: CronRun): [field: string, text: string] {
  switch (run.type) {
    case 'started':
      return [timeField(run.slotMs), `s${run.atMs - run.slotMs}`];
    case 'backfilled':
      return [timeField(run.slotMs), `b${run.atMs - run.slotMs}`];
    case 'manual':
      return [manualField({ createdMs: run.slotMs, uid: run.uid }), `m${run.job}`];
    case 'skipped':
      return [timeField(run.slotMs), `x${REASONS.indexOf(run.reason)}`];
  }
}

function readNote(field: string, text: string): CronRun | null {
  const [time, uid = ''] = field.split('/');
  const slotMs = Number(time);
  const rest = text.slice(1);
  switch (text[0]) {
    case 's':
      return { type: 'started', slotMs, atMs: slotMs + Number(rest) };
    case 'b':
      return { type: 'backfilled', slotMs, atMs: slotMs + Number(rest) };
    case 'm':
      return { type: 'manual', slotMs, job: rest, uid };
    case 'x': {
      const reason = REASONS[Number(rest)];
      return reason === undefined ? null : { type: 'skipped', slotMs, reason };
    }
    default:
      // Of a later version.
      return null;
  }
}
