/**
 * The way of an installation's keys from the layout of an older version to that of this one.
 *
 * From the first write on `layoutVersion` says `2>3`, which no version takes for its own: whoever starts meanwhile is
 * refused. Only then it is asked who runs already. What is written is written where it is missing, page by page, and
 * the place is noted after each page; so who comes after one that was killed goes on from there, and two at once do no
 * harm.
 */
import type { Job } from '@drover/shared';
import { ask } from '../inspect/ask.ts';
import { installationKey, ShardKeys } from '../keys.ts';
import { integer } from '../replies.ts';
import type { RedisClient } from '../redisClient.ts';
import { defineScripts, runScript } from '../scripts.ts';
import { UnsuitableRedisError } from '../unsuitable.ts';
import { findUsers, isInUse, type InUse } from './inUse.ts';
import { formatLayout, LAYOUT_VERSION, layoutRefusal, parseLayout } from './layout.ts';
import { type LayoutStep, stepsFrom } from './steps.ts';

/** Jobs that are read and written in one go: bounds the time of a script. */
const JOBS_PER_PAGE = 100;

/** What is to be done to an installation. */
export interface MigrationPlan {
  /** Layout that its keys have. */
  readonly from: number;
  /** Layout that they get: that of this version. */
  readonly to: number;
  /** What happens, for people; empty = nothing is to be done. */
  readonly steps: readonly string[];
  /** It was begun before, and is gone on with. */
  readonly isBegun: boolean;
  /** Jobs and pods without a Job that are looked at in each step. */
  readonly jobs: number;
  /** Who has to end first. */
  readonly inUse: InUse;
}

/** How a migration ended. */
export type MigrationResult =
  | { readonly type: 'migrated'; readonly changedJobs: number }
  /** Nothing was done: these run. */
  | { readonly type: 'inUse'; readonly inUse: InUse };

/** Options of {@link migrateLayout}. */
export interface MigrationOptions {
  readonly prefix: string;
  /** Told after each page how many Jobs were looked at, of all in all steps. */
  readonly onProgress?: (looked: number, total: number) => void;
}

/** Looks what there is to do; writes nothing. @throws UnsuitableRedisError when there is no installation, or no way. */
export async function planMigration(redis: RedisClient, prefix: string): Promise<MigrationPlan> {
  const { version, isBegun, steps, shards } = await readInstallation(redis, prefix);
  return {
    from: version,
    to: LAYOUT_VERSION,
    steps: steps.map(({ summary }) => summary),
    isBegun,
    jobs: await countJobs(redis, shards),
    inUse: await findUsers(redis, shards),
  };
}

/**
 * Does it. What is done is kept when it fails, and gone on with by the next call.
 *
 * @throws UnsuitableRedisError as {@link planMigration}.
 */
export async function migrateLayout(
  redis: RedisClient,
  { prefix, onProgress }: MigrationOptions,
): Promise<MigrationResult> {
  defineScripts(redis);
  const { steps, shards } = await readInstallation(redis, prefix);
  const jobs = await countJobs(redis, shards);
  let [done, changedJobs] = [0, 0];
  for (const step of steps) {
    const walk = new StepWalk(redis, prefix, step);
    const wasBegun = await walk.begin();
    const inUse = await findUsers(redis, shards);
    if (isInUse(inUse)) {
      if (!wasBegun) await walk.giveUp();
      return { type: 'inUse', inUse };
    }
    for await (const page of walk.pages(shards)) {
      done += page.looked;
      changedJobs += page.changed;
      onProgress?.(done, jobs * steps.length);
    }
    await walk.end();
  }
  return { type: 'migrated', changedJobs };
}

interface Installation {
  readonly version: number;
  readonly isBegun: boolean;
  readonly steps: readonly LayoutStep[];
  readonly shards: readonly ShardKeys[];
}

async function readInstallation(redis: RedisClient, prefix: string): Promise<Installation> {
  const stored = await redis.hgetall(installationKey(prefix));
  const text = stored['layoutVersion'];
  if (text === undefined) {
    throw new UnsuitableRedisError(
      'NOT_INSTALLED',
      `there is no installation with prefix ${prefix}: nothing is to be migrated`,
    );
  }
  const refusal = layoutRefusal(text, prefix);
  const state = parseLayout(text);
  const version = state?.version ?? LAYOUT_VERSION;
  const steps = refusal === null ? [] : stepsFrom(version);
  if (steps === null || state === null) {
    throw new UnsuitableRedisError('LAYOUT_VERSION', `${refusal?.message}: ${refusal?.advice}`);
  }
  const shardCount = Number(stored['shardCount']);
  return {
    version,
    isBegun: state.migratingTo !== null,
    steps,
    shards: Array.from({ length: shardCount }, (_, i) => new ShardKeys(prefix, i, shardCount)),
  };
}

async function countJobs(redis: RedisClient, shards: readonly ShardKeys[]): Promise<number> {
  let jobs = 0;
  for (const { names } of shards) jobs += await redis.zcard(names);
  return jobs;
}

/** A page of Jobs that a step was done to. */
interface WalkedPage {
  readonly looked: number;
  readonly changed: number;
}

/** One step, done to an installation. */
class StepWalk {
  readonly #redis: RedisClient;
  readonly #key: string;
  readonly #step: LayoutStep;
  readonly #underWay: string;

  constructor(redis: RedisClient, prefix: string, step: LayoutStep) {
    this.#redis = redis;
    this.#key = installationKey(prefix);
    this.#step = step;
    this.#underWay = formatLayout({ version: step.from, migratingTo: step.from + 1 });
  }

  /** From here on nobody can start. @returns Whether it was begun before. */
  async begin(): Promise<boolean> {
    if (await this.#move(String(this.#step.from), this.#underWay)) return false;
    await this.#isPast();
    return true;
  }

  /** Back to where it began; nothing was written yet. */
  async giveUp(): Promise<void> {
    await this.#move(this.#underWay, String(this.#step.from));
  }

  /** The keys have the next layout. */
  async end(): Promise<void> {
    if (!(await this.#move(this.#underWay, String(this.#step.from + 1)))) await this.#isPast();
  }

  /** Does it, page by page; from where the one before has stopped. */
  async *pages(shards: readonly ShardKeys[]): AsyncGenerator<WalkedPage> {
    const noted = await this.#redis.hget(this.#key, 'migrationCursor');
    const [, first = '0', ...rest] = /^(\d+) (.*)$/s.exec(noted ?? '') ?? [];
    for (const [i, keys] of shards.entries()) {
      if (i < Number(first)) continue;
      let after = i === Number(first) ? (rest[0] ?? '') : '';
      for (;;) {
        const from = after === '' ? '-' : `(${after}`;
        const paths = await this.#redis.zrangebylex(
          keys.names,
          from,
          '+',
          'LIMIT',
          0,
          JOBS_PER_PAGE,
        );
        const last = paths.at(-1);
        if (last === undefined) break;
        const changed = await this.#write(keys, paths);
        after = last;
        if (!(await this.#move(this.#underWay, this.#underWay, `${i} ${after}`))) {
          if (await this.#isPast()) return;
        }
        yield { looked: paths.length, changed };
      }
    }
  }

  async #write(keys: ShardKeys, paths: readonly string[]): Promise<number> {
    const uids = (await this.#redis.hmget(keys.uids, ...paths)).filter((uid) => uid !== null);
    const stored = (await ask(this.#redis, uids, (asked, uid) =>
      asked.hmget(keys.job(uid).job, 'finished', 'object'),
    )) as [string | null, string | null][];
    const jobs: { readonly key: string; readonly fields: string }[] = [];
    for (const [i, uid] of uids.entries()) {
      const [finished, object] = stored[i]!;
      if (finished !== '0' || object === null) continue;
      const fields = this.#step.jobFields(JSON.parse(object) as Pick<Job, 'spec'>);
      if (Object.keys(fields).length === 0) continue;
      jobs.push({ key: keys.job(uid).job, fields: JSON.stringify(fields) });
    }
    if (jobs.length === 0) return 0;
    return await addJobFields(this.#redis, jobs);
  }

  async #move(expected: string, layout: string, cursor = ''): Promise<boolean> {
    const moved = await moveLayout(this.#redis, this.#key, { expected, layout, cursor });
    return moved === 'moved';
  }

  /** Whether somebody else has ended the step. @throws UnsuitableRedisError when it was given up. */
  async #isPast(): Promise<boolean> {
    const text = (await this.#redis.hget(this.#key, 'layoutVersion')) ?? '';
    if (text === this.#underWay) return false;
    if ((parseLayout(text)?.version ?? 0) > this.#step.from) return true;
    throw new UnsuitableRedisError(
      'LAYOUT_VERSION',
      'somebody else began to migrate these keys and gave it up: see `drover migrate --dry-run`',
    );
  }
}

/** Writes fields of Jobs of one shard where they are missing. @returns How many Jobs got some. */
export async function addJobFields(
  redis: RedisClient,
  jobs: readonly { readonly key: string; readonly fields: string }[],
): Promise<number> {
  defineScripts(redis);
  const keys = jobs.map(({ key }) => key);
  const fields = jobs.map((job) => job.fields);
  return integer(await runScript(redis, 'addJobFields', keys, fields));
}

/** Notes how far a migration is. */
export async function moveLayout(
  redis: RedisClient,
  settingsKey: string,
  move: { readonly expected: string; readonly layout: string; readonly cursor: string },
): Promise<'moved' | 'other'> {
  const args = [move.expected, move.layout, move.cursor];
  return integer(await runScript(redis, 'moveLayout', [settingsKey], args)) === 1
    ? 'moved'
    : 'other';
}
