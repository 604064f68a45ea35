import type { PodQuotas, QuotaUsage } from '@drover/shared';
import type { RedisClient } from './redisClient.ts';
import type { ShardKeys } from './keys.ts';
import { integer, list } from './replies.ts';
import { ShardScripts, type ShardScriptsOptions } from './shardScripts.ts';

/** Resources of pods that are reckoned, whatever quotas bound. */
const POD_RESOURCES = [
  'pods',
  'requests.cpu',
  'requests.memory',
  'limits.cpu',
  'limits.memory',
] as const;

/** What `wake` answers. */
export type QuotaWoken =
  | {
      readonly type: 'woken';
      readonly nowMs: number;
      /** Jobs that were made due. */
      readonly woken: number;
      /** Jobs that were looked at and go on waiting. */
      readonly left: number;
      /** More wait behind those that were looked at: where to go on; '' = none. */
      readonly next: string;
    }
  /** Slots that were open before there was a quota have to be counted; `counting` is for the next call. */
  | { readonly type: 'uncounted'; readonly counting: string };

/** What the ResourceQuotas of the namespaces of a shard come to. They are kept as objects. */
export class Quotas {
  readonly #redis: RedisClient;
  readonly #keys: ShardKeys;
  readonly #scripts: ShardScripts;

  constructor(options: ShardScriptsOptions) {
    this.#redis = options.redis;
    this.#keys = options.keys;
    this.#scripts = new ShardScripts(options);
  }

  /**
   * Makes Jobs due that wait for quota and that there is some for. Looks at 200 of those that wait.
   *
   * @param counted - What 'uncounted' said before all open slots were counted; '' = nothing was counted.
   * @param after - `next` of a former call; '' = from the beginning.
   */
  async wake(namespace: string, counted: string, after = ''): Promise<QuotaWoken> {
    const { quotaHard, quotaUsed, quotaWaiting, wakeChannel } = this.#keys;
    const [code, first, woken, left, next] = list(
      await this.#scripts.run(
        'wakeQuota',
        [...this.#scripts.dueKeys, quotaHard, quotaUsed, quotaWaiting],
        [this.#scripts.now, wakeChannel, namespace, counted, after],
      ),
    );
    if (integer(code) === -1) return { type: 'uncounted', counting: String(first) };
    return {
      type: 'woken',
      nowMs: integer(first),
      woken: integer(woken),
      left: integer(left),
      next: String(next),
    };
  }

  /** Lets slots of a Job, at most 200, have their share of quota; answers how many had none. */
  async count(uid: string, slots: readonly number[]): Promise<number> {
    const { job, slots: slotsKey } = this.#keys.job(uid);
    const keys = [job, slotsKey, this.#keys.quotaUsed];
    return integer(await this.#scripts.run('countQuota', keys, slots));
  }

  /** What a Job waits for that was denied quota; null when it does not wait. */
  async awaitedBy(uid: string, namespace: string): Promise<PodQuotas | null> {
    const entry = await this.#redis.hget(this.#keys.job(uid).job, 'awaitsQuota');
    if (entry === null) return null;
    const { quotaHard, quotaUsed, quotaWaiting } = this.#keys;
    const [place, hard, used, counting] = await Promise.all([
      this.#redis.zscore(quotaWaiting, entry),
      this.#redis.hget(quotaHard, namespace),
      this.usage(namespace, []),
      this.#redis.hget(quotaUsed, `${namespace} counting`),
    ]);
    if (place === null || hard === null) return null;
    return {
      hard: JSON.parse(hard) as PodQuotas['hard'],
      used: used.pods,
      isCounting: counting !== null,
    };
  }

  /**
   * What is taken in a namespace.
   *
   * @param kinds - Kinds of objects that are to be counted.
   */
  async usage(namespace: string, kinds: readonly string[]): Promise<QuotaUsage> {
    const [taken, counts] = await Promise.all([
      this.#redis.hmget(
        this.#keys.quotaUsed,
        ...POD_RESOURCES.map((resource) => `${namespace} ${resource}`),
      ),
      Promise.all(kinds.map((kind) => this.#countNames(namespace, kind))),
    ]);
    return {
      pods: Object.fromEntries(
        POD_RESOURCES.map((resource, i) => [resource, Number(taken[i] ?? 0)]),
      ),
      objects: Object.fromEntries(kinds.map((kind, i) => [kind, counts[i]!])),
    };
  }

  async #countNames(namespace: string, kind: string): Promise<number> {
    const names = kind === 'Job' ? this.#keys.names : this.#keys.objectNames(kind);
    // '0' is the character after '/', so this bounds exactly one namespace.
    return await this.#redis.zlexcount(names, `[${namespace}/`, `(${namespace}0`);
  }
}
