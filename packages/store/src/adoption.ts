import type {
  AdoptedPod,
  AdoptedState,
  Adopter,
  DecisionGuard,
  PodToAdopt,
  Refused,
} from './api.ts';
import { RECORDS_PER_CHUNK, type ShardKeys } from './keys.ts';
import { choose, integer, list, refused } from './replies.ts';
import type { RedisClient } from './redisClient.ts';
import { ShardScripts, type ShardScriptsOptions } from './shardScripts.ts';

/** Pods per script: bounds its time. */
const PODS_PER_CALL = 100;
/** Numbers from here on are of adopted pods that wait for their verdict; see lua/include/adopted.lua. */
const ADOPTED_FROM = 2 ** 31;
/** Of a pod without an index, see lua/include/adopted.lua. */
const NO_INDEX = 2 ** 32 - 1;
/** Jobs with a selector of their user's that are looked at in a namespace. */
const MOST_SELECTING = 1_000;

/** What became of a pod that was to be adopted. */
export type AdoptionAnswer =
  | 'adopted'
  /** It is not as it was seen, or another Job has it. */
  | 'moved'
  /** The Job adopts nothing any more. */
  | 'closed'
  /** Its index lies too far behind those that were given out. */
  | 'tooFar'
  /** The Job has adopted as many as it may. */
  | 'tooMany';

/** Pods to be adopted that lie with one host. */
export interface AdoptInput {
  /** Of the Job that adopts. */
  readonly uid: string;
  readonly hostUid: string;
  /** resourceVersion of a pod without a Job, as it was seen; null for pods of Jobs. */
  readonly hostVersion: number | null;
  /** In the order in which they are to be counted. */
  readonly pods: readonly PodToAdopt[];
}

/** Number of an adoption for the number that its pod has among those that wait for a verdict; null = it is none. */
export function adoptionOf(podNumber: number): number | null {
  return podNumber > ADOPTED_FROM ? podNumber - ADOPTED_FROM : null;
}

/** Pods that Jobs have adopted: they lie where they were, with their hosts. */
export class Adoption {
  readonly #redis: RedisClient;
  readonly #keys: ShardKeys;
  readonly #scripts: ShardScripts;

  constructor(options: ShardScriptsOptions) {
    this.#redis = options.redis;
    this.#keys = options.keys;
    this.#scripts = new ShardScripts(options);
  }

  /** What a Job has adopted, in that order. */
  async list(uid: string): Promise<AdoptedPod[]> {
    const fields = await this.#redis.hgetall(this.#keys.job(uid).adopted);
    return Object.entries(fields)
      .map(([number, text]) => decodeAdopted(Number(number), text))
      .toSorted((a, b) => a.number - b.number);
  }

  /** By number of the pod, who has adopted pods of a host. */
  async adopters(hostUid: string): Promise<Map<number, Adopter>> {
    const fields = await this.#redis.hgetall(this.#keys.job(hostUid).adopters);
    return new Map(
      Object.entries(fields).map(([pod, text]) => [Number(pod), decodeAdopter(text)] as const),
    );
  }

  /** Adopts pods that are nobody's; answers for each of them. */
  async adopt({ uid, hostUid, hostVersion, pods }: AdoptInput): Promise<AdoptionAnswer[]> {
    const own = this.#keys.job(uid);
    const host = this.#keys.job(hostUid);
    return await inParts(pods, async (some) => {
      const reply = await this.#scripts.run(
        'adoptPods',
        [
          ...this.#scripts.dueKeys,
          own.job,
          ...this.#keysOf(uid),
          host.job,
          host.slots,
          host.free,
          host.changed,
          host.adopters,
          ...this.#watchKeys,
          ...some.map(({ podNumber }) => this.#chunkOf(hostUid, podNumber)),
        ],
        [
          ...this.#head(uid, hostUid),
          hostVersion ?? '',
          ...some.flatMap(({ podNumber, slot, index, changedVersion }) => [
            podNumber,
            slot,
            index ?? NO_INDEX,
            changedVersion,
          ]),
        ],
      );
      return list(reply).map((code) =>
        choose(integer(code), {
          '1': 'adopted',
          '0': 'moved',
          '-1': 'closed',
          '-3': 'tooFar',
          '-4': 'tooMany',
        }),
      );
    });
  }

  /**
   * Lets a Job see what became of its adopted pods.
   *
   * @returns Whether something was new, and those that have to stop and were not told.
   */
  async tend<T extends Pick<AdoptedPod, 'number' | 'hostUid' | 'podNumber'>>(
    uid: string,
    pods: readonly T[],
  ): Promise<{ changed: boolean; runOn: T[] }> {
    let changed = false;
    const runOn: T[] = [];
    await this.#byHost(pods, async (hostUid, ofHost) => {
      const host = this.#keys.job(hostUid);
      const replies = await inParts(ofHost, async (some) =>
        list(
          await this.#scripts.run(
            'tendAdopted',
            [
              ...this.#scripts.dueKeys,
              ...this.#keysOf(uid),
              host.slots,
              host.adopters,
              ...this.#watchKeys,
              ...some.map(({ podNumber }) => this.#chunkOf(hostUid, podNumber)),
            ],
            [...this.#head(uid, hostUid), ...some.map(({ number }) => number)],
          ),
        ).map((code) => choose(integer(code), { '0': 'same', '1': 'changed', '2': 'runsOn' })),
      );
      changed ||= replies.includes('changed');
      runOn.push(...ofHost.filter((_pod, i) => replies[i] === 'runsOn'));
    });
    return { changed, runOn };
  }

  /** Takes adopted pods out of the active ones; `tend` then names those that have to be told. */
  async stop(
    guard: DecisionGuard,
    numbers: readonly number[],
    countAs: 'uncounted' | 'failed' | 'cut',
  ): Promise<{ type: 'stopped'; decisionVersion: number } | Refused> {
    const { hot, retry, adopted } = this.#keys.job(guard.uid);
    let { decisionVersion } = guard;
    for (let from = 0; from < numbers.length; from += PODS_PER_CALL) {
      const some = numbers.slice(from, from + PODS_PER_CALL);
      const args = [guard.generation, decisionVersion, countAs, ...some];
      const [version] = list(await this.#scripts.run('stopAdopted', [hot, retry, adopted], args));
      decisionVersion = integer(version);
      const refusal = refused(decisionVersion);
      if (refusal !== null) return refusal;
    }
    return { type: 'stopped', decisionVersion };
  }

  /** Lets adopted pods go; answers how many went. */
  async release(uid: string, pods: readonly AdoptedPod[]): Promise<number> {
    const { hot, retry, adopted } = this.#keys.job(uid);
    let count = 0;
    await this.#byHost(pods, async (hostUid, ofHost) => {
      const { adopters } = this.#keys.job(hostUid);
      const counts = await inParts(ofHost, async (some) => [
        integer(
          await this.#scripts.run(
            'releaseAdopted',
            [...this.#scripts.dueKeys, hot, retry, adopted, adopters, ...this.#watchKeys],
            [...this.#head(uid, hostUid), ...some.map(({ number }) => number)],
          ),
        ),
      ]);
      count += counts.reduce((sum, one) => sum + one, 0);
    });
    return count;
  }

  /** Notes that a Job may select pods that are not its own: pods that come to be nobody's are shown to it. */
  async select(job: { readonly uid: string; readonly namespace: string; readonly name: string }) {
    const { uid, namespace, name } = job;
    await this.#redis.zadd(this.#keys.selecting, 0, `${namespace}/${name}/${uid}`);
  }

  /** What was there when that was noted has been looked through. */
  async noteSought(uid: string): Promise<void> {
    const { job } = this.#keys.job(uid);
    // Of a Job that was purged meanwhile nothing is to come back; whoever is first, it is looked at once more at most.
    if ((await this.#redis.hexists(job, 'namespace')) === 1) {
      await this.#redis.hset(job, 'selecting', 1);
    }
  }

  /** Uids of the Jobs of a namespace that were noted so. */
  async selecting(namespace: string): Promise<string[]> {
    const found = await this.#redis.zrangebylex(
      this.#keys.selecting,
      `[${namespace}/`,
      `(${namespace}0`,
      'LIMIT',
      0,
      MOST_SELECTING,
    );
    return found.map((entry) => entry.slice(entry.lastIndexOf('/') + 1));
  }

  /** Such a Job is over. */
  async unselect(job: { readonly uid: string; readonly namespace: string; readonly name: string }) {
    await this.#redis.zrem(this.#keys.selecting, `${job.namespace}/${job.name}/${job.uid}`);
  }

  async #byHost<T extends Pick<AdoptedPod, 'hostUid'>>(
    pods: readonly T[],
    each: (hostUid: string, pods: readonly T[]) => Promise<void>,
  ): Promise<void> {
    const hosts = Map.groupBy(pods, ({ hostUid }) => hostUid);
    await Promise.all([...hosts].map(([hostUid, ofHost]) => each(hostUid, ofHost)));
  }

  /** Of the Job that adopts. */
  #keysOf(uid: string): string[] {
    const { hot, retry, done, unjudged, losses, adopted } = this.#keys.job(uid);
    return [hot, retry, done, unjudged, losses, adopted];
  }

  get #watchKeys(): string[] {
    return [this.#keys.watch, this.#keys.podWatchers];
  }

  #head(uid: string, hostUid: string): (string | number)[] {
    return [this.#scripts.now, this.#keys.wakeChannel, uid, hostUid];
  }

  #chunkOf(uid: string, podNumber: number): string {
    return this.#keys.podChunk(uid, Math.floor(podNumber / RECORDS_PER_CHUNK));
  }
}

/** One part after the other, in order. */
async function inParts<T, R>(
  all: readonly T[],
  take: (some: readonly T[]) => Promise<R[]>,
): Promise<R[]> {
  const taken: R[] = [];
  for (let from = 0; from < all.length; from += PODS_PER_CALL) {
    taken.push(...(await take(all.slice(from, from + PODS_PER_CALL))));
  }
  return taken;
}

function decodeAdopted(number: number, text: string): AdoptedPod {
  const [hostUid = '', podNumber, slot, index, state] = text.split(' ');
  return {
    number,
    hostUid,
    podNumber: Number(podNumber),
    slot: Number(slot),
    index: Number(index) === NO_INDEX ? null : Number(index),
    state: state as AdoptedState,
  };
}

/** What a host has of who adopted a pod of it. */
export function decodeAdopter(text: string): Adopter {
  const [uid = '-', number, resourceVersion, isLive, name = ''] = text.split(' ');
  return {
    uid: uid === '-' ? null : uid,
    name,
    number: Number(number),
    isCounted: isLive !== '1',
    resourceVersion: Number(resourceVersion),
  };
}
