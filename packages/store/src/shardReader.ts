import assert from 'node:assert/strict';
import { parseFittingKey, parsePodName, podsThatFit } from '@drover/shared';
import type {
  ChangedPod,
  Dependent,
  IndexState,
  JobView,
  PodDetails,
  PodNotes,
  PodOverlay,
  PodRecord,
  SessionCapacity,
  SessionLoad,
  SlotRecord,
  StoredJob,
  StoredPod,
} from './api.ts';
import { decodeAdopter } from './adoption.ts';
import { readArguments, type Arguments } from './argumentList.ts';
import { Gather } from './gather.ts';
import { decodeHot } from './hot.ts';
import { podLogKey, RECORDS_PER_CHUNK, type ShardKeys } from './keys.ts';
import { decodePodRecord, decodeSlotRecord, isPodRecord, POD_RECORD_BYTES } from './records.ts';
import { storedJob } from './replies.ts';
import type { RedisClient } from './redisClient.ts';

/** Jobs read by one pipeline at most. */
const READS_PER_PIPELINE = 200;
/** Scores of `retry` from here on are times: of indexes that wait for their back-off. */
const FIRST_TIME = 2 ** 32;
/** Slots per page of `listSlots`, about. */
const SLOTS_PER_PAGE = 500;

/** A Job as Redis answered it: one that can not be read must not take the others with it. */
interface RawJob {
  readonly job: [Error | null, unknown];
  readonly hot: [Error | null, unknown];
}

/** What is to be known of a Job to read its pods. */
interface PodFacts {
  readonly podCount: number;
  readonly isChanged: boolean;
  readonly isLent: boolean;
  readonly onlyFree: boolean;
}

/** What is plainly read of a shard: Jobs, pods, slots, nodes. Nothing here writes. */
export class ShardReader {
  readonly keys: ShardKeys;
  protected readonly redis: RedisClient;
  protected readonly prefix: string;

  readonly #reads = new Gather({ calls: READS_PER_PIPELINE }, (uids: readonly string[]) =>
    this.#readRaw(uids),
  );

  constructor(options: {
    readonly redis: RedisClient;
    readonly keys: ShardKeys;
    readonly prefix: string;
  }) {
    this.redis = options.redis;
    this.keys = options.keys;
    this.prefix = options.prefix;
  }

  /** Key of a pod's log stream. */
  podLogKey(uid: string, podNumber: number): string {
    return podLogKey(this.prefix, uid, podNumber);
  }

  /** uid of the Job of a name, or null. */
  async findJob(namespace: string, name: string): Promise<string | null> {
    if (isOfBarePods(namespace)) return null;
    return await this.redis.hget(this.keys.uids, `${namespace}/${name}`);
  }

  /** A pod without a Job, by name. */
  async getBarePod(namespace: string, name: string): Promise<JobView | null> {
    const uid = await this.redis.hget(this.keys.uids, `~${namespace}/${name}`);
    const pod = uid === null ? null : await this.getJobByUid(uid);
    return pod === null || pod.deleted ? null : pod;
  }

  /** A Job that was not deleted, by name. */
  async getJob(namespace: string, name: string): Promise<JobView | null> {
    const uid = await this.findJob(namespace, name);
    if (uid === null) return null;
    const job = await this.getJobByUid(uid);
    return job === null || job.deleted ? null : job;
  }

  /** A Job by uid; deleted ones too while their pods end. Those asked for in one tick go together. */
  async getJobByUid(uid: string): Promise<JobView | null> {
    return jobView(uid, await this.#reads.call(uid));
  }

  /**
   * A page of Jobs in order of namespace and name.
   *
   * @param options.after - Continue after this `<namespace>/<name>`.
   */
  async listJobs(options: {
    readonly namespace: string | null;
    readonly after?: string;
    readonly limit: number;
  }): Promise<{ jobs: JobView[]; next: string | null; resourceVersion: number }> {
    return await this.#listNamed(options, '');
  }

  /** A page of pods without a Job, in order of namespace and name; as `listJobs`. */
  async listBarePods(options: {
    readonly namespace: string | null;
    readonly after?: string;
    readonly limit: number;
  }): Promise<{ jobs: JobView[]; next: string | null; resourceVersion: number }> {
    return await this.#listNamed(options, '~');
  }

  /** @param prefix - Of the names: of pods it is '~', which comes after all that names may contain. */
  async #listNamed(
    options: {
      readonly namespace: string | null;
      readonly after?: string;
      readonly limit: number;
    },
    prefix: '' | '~',
  ): Promise<{ jobs: JobView[]; next: string | null; resourceVersion: number }> {
    const { namespace, after, limit } = options;
    const resourceVersion = await this.resourceVersion();
    if (namespace !== null && isOfBarePods(namespace)) {
      return { jobs: [], next: null, resourceVersion };
    }
    const all = prefix === '' ? ['-', '(~'] : ['[~', '+'];
    // '0' is the character after '/', so this bounds exactly one namespace.
    const one = [`[${prefix}${namespace}/`, `(${prefix}${namespace}0`];
    const [first = '', to = ''] = namespace === null ? all : one;
    const from = after === undefined ? first : `(${after}`;
    const paths = await this.redis.zrangebylex(this.keys.names, from, to, 'LIMIT', 0, limit);
    if (paths.length === 0) return { jobs: [], next: null, resourceVersion };
    const uids = await this.redis.hmget(this.keys.uids, ...paths);
    const known = uids.filter((uid) => uid !== null);
    const raw = await this.#readRaw(known);
    const jobs = known.map((uid, i) => jobView(uid, raw[i]!));
    const next = paths.length < limit ? null : paths.at(-1)!;
    return {
      jobs: jobs.filter((job): job is JobView => job !== null && !job.deleted),
      next,
      resourceVersion,
    };
  }

  /** A page of what belongs to an owner, in no order that means something. */
  async dependents(
    ownerUid: string,
    options: { readonly after?: string; readonly limit: number },
  ): Promise<{ dependents: Dependent[]; next: string | null }> {
    const { after, limit } = options;
    const from = after === undefined ? `[${ownerUid}/` : `(${after}`;
    // '0' is the character after '/', so this bounds exactly one owner.
    const to = `(${ownerUid}0`;
    const found = await this.redis.zrangebylex(this.keys.owned, from, to, 'LIMIT', 0, limit);
    const dependents = found.map((entry) => {
      const [, blocks, ...member] = entry.split('/');
      return { member: member.join('/'), blocks: blocks === '1' };
    });
    return { dependents, next: found.length < limit ? null : found.at(-1)! };
  }

  /** How many pods of finished Jobs are kept. */
  async keptTotal(): Promise<number> {
    return Number((await this.redis.get(this.keys.keptTotal)) ?? 0);
  }

  /**
   * The Job that finished first of those that keep pods; of those that keep only failed pods when there
   * is no other.
   */
  async oldestKept(): Promise<{ uid: string; finishedMs: number; failed: boolean } | null> {
    for (const failed of [false, true]) {
      const key = failed ? this.keys.keptFailed : this.keys.kept;
      const [uid, finishedMs] = (await this.redis.zrange(key, '0', '0', 'WITHSCORES')).flat();
      if (uid !== undefined) return { uid, finishedMs: Number(finishedMs), failed };
    }
    return null;
  }

  /** Uids of pods of a Job to which something belongs, ended and gone ones too. At most `limit`. */
  async owningPods(uid: string, limit: number): Promise<string[]> {
    const prefix = uid.slice(0, 24);
    const { owned } = this.keys;
    // What belongs to the Job itself lies between them.
    const [below, above] = await Promise.all([
      this.redis.zrangebylex(owned, `[${prefix}`, `(${uid}/`, 'LIMIT', 0, limit),
      this.redis.zrangebylex(owned, `[${uid}0`, `(${prefix}g`, 'LIMIT', 0, limit),
    ]);
    return [...new Set([...below, ...above].map((entry) => entry.split('/')[0]!))];
  }

  /**
   * A page of deleted Jobs of which only pods were left, in order of namespace and name.
   *
   * @param options.after - Continue after this entry, as `next` gave it.
   */
  async listOrphaned(options: {
    readonly namespace: string | null;
    readonly after?: string;
    readonly limit: number;
  }): Promise<{ jobs: JobView[]; next: string | null }> {
    const { namespace, after, limit } = options;
    const to = namespace === null ? '+' : `(${namespace}0`;
    let from = namespace === null ? '-' : `[${namespace}/`;
    if (after !== undefined) from = `(${after}`;
    const found = await this.redis.zrangebylex(this.keys.orphaned, from, to, 'LIMIT', 0, limit);
    const jobs = await Promise.all(found.map((entry) => this.getJobByUid(uidOfOrphaned(entry))));
    return {
      jobs: jobs.filter((job) => job !== null),
      next: found.length < limit ? null : found.at(-1)!,
    };
  }

  /** The Jobs of a namespace, and what is left of some, with pods that are nobody's: such pods themselves, too. */
  async *hostsOfLoosePods(namespace: string): AsyncGenerator<JobView> {
    for (const list of ['listBarePods', 'listOrphaned'] as const) {
      let after: string | null = null;
      do {
        const from: { after?: string } = after === null ? {} : { after };
        const page: { jobs: JobView[]; next: string | null } = await this[list]({
          namespace,
          limit: READS_PER_PIPELINE,
          ...from,
        });
        yield* page.jobs;
        after = page.next;
      } while (after !== null);
    }
    const range = [`[${namespace}/`, `(${namespace}0`] as const;
    for (const entry of await this.redis.zrangebylex(this.keys.changed, ...range)) {
      const job = await this.getJobByUid(uidOfOrphaned(entry));
      if (job !== null && job.hasFreePods && !job.orphaned) yield job;
    }
  }

  /** Pods of a Job, or of what is left of it, that are nobody's, or that another Job has adopted. */
  async loosePods({ uid, bare, orphaned }: StoredJob): Promise<StoredPod[]> {
    if (!bare && !orphaned) {
      const free = await this.freePods(uid);
      const wanted = free.map(([podNumber, slot]) => ({ podNumber, slot }));
      return await this.readPods(uid, wanted);
    }
    const pods: StoredPod[] = [];
    let after: number | null = 0;
    do {
      const page: { pods: StoredPod[]; next: number | null } = await this.listPods(uid, {
        after,
        limit: RECORDS_PER_CHUNK,
      });
      pods.push(...page.pods);
      after = page.next;
    } while (after !== null);
    return pods;
  }

  /** Uids of the Jobs that have the name, or had it and left pods. */
  async findPodOwners(namespace: string, name: string): Promise<string[]> {
    const path = `${namespace}/${name}`;
    const [uid, orphaned] = await Promise.all([
      this.findJob(namespace, name),
      this.redis.zrangebylex(this.keys.orphaned, `[${path}/`, `(${path}0`),
    ]);
    return [...(uid === null ? [] : [uid]), ...orphaned.map(uidOfOrphaned)];
  }

  /** Uids of the Jobs that a pod of this name may belong to, or belonged to. */
  async findOwnersOfPod(namespace: string, podName: string): Promise<string[]> {
    const uids = new Set<string>();
    for (const { jobName, isCut } of parsePodName(podName)) {
      const names = isCut ? await this.#namesWithPrefix(namespace, jobName) : [jobName];
      for (const name of names) {
        for (const uid of await this.findPodOwners(namespace, name)) uids.add(uid);
      }
    }
    return [...uids];
  }

  /** Names of Jobs that begin so, of those too that left pods. At most 1000 of each. */
  async #namesWithPrefix(namespace: string, prefix: string): Promise<Set<string>> {
    const [from, to] = [`[${namespace}/${prefix}`, `(${namespace}/${prefix}\u{10FFFF}`];
    const [paths, orphaned] = await Promise.all([
      this.redis.zrangebylex(this.keys.names, from, to, 'LIMIT', 0, 1000),
      this.redis.zrangebylex(this.keys.orphaned, from, to, 'LIMIT', 0, 1000),
    ]);
    return new Set([...paths, ...orphaned].map((path) => path.split('/')[1]!));
  }

  /** As {@link findPodOwners}, with the Jobs of the namespace whose pods may have other labels than they gave them. */
  async findJobsWithPods(namespace: string, name: string): Promise<string[]> {
    const [owners, changed] = await Promise.all([
      this.findPodOwners(namespace, name),
      this.redis.zrangebylex(this.keys.changed, `[${namespace}/`, `(${namespace}0`),
    ]);
    return [...new Set([...owners, ...changed.map(uidOfOrphaned)])];
  }

  /**
   * Namespaces that have something in them, in order: Jobs, pods, work queues, kept objects of some
   * kinds. One short read for each of them and kind of thing.
   */
  async namespaces(kinds: readonly string[]): Promise<string[]> {
    const found = await Promise.all(
      this.#nameSets(kinds).map(({ key, from, to }) => this.#namespacesOf(key, from, to)),
    );
    const all = found.flat().map((name) => (name.startsWith('~') ? name.slice(1) : name));
    return [...new Set(all)].toSorted();
  }

  /** Whether a namespace has something of that in it. */
  async isInUse(namespace: string, kinds: readonly string[]): Promise<boolean> {
    const found = await Promise.all(
      this.#nameSets(kinds).map(({ key, mark }) =>
        // '0' is the character after '/'.
        this.redis.zrangebylex(
          key,
          `[${mark}${namespace}/`,
          `(${mark}${namespace}0`,
          'LIMIT',
          0,
          1,
        ),
      ),
    );
    return found.some((members) => members.length > 0);
  }

  /** Where the names of what makes a namespace used are, and what stands before the namespace there. */
  #nameSets(kinds: readonly string[]) {
    const { names, orphaned, workQueueNames } = this.keys;
    return [
      { key: names, from: '-', to: '(~', mark: '' },
      // Pods without a Job.
      { key: names, from: '[~', to: '+', mark: '~' },
      ...[orphaned, workQueueNames, ...kinds.map((kind) => this.keys.objectNames(kind))].map(
        (key) => ({ key, from: '-', to: '+', mark: '' }),
      ),
    ];
  }

  /** What comes before the first slash of the members of a sorted set: jumps from one to the next. */
  async #namespacesOf(key: string, from: string, to: string): Promise<string[]> {
    const namespaces: string[] = [];
    for (let begin = from; ;) {
      const [first] = await this.redis.zrangebylex(key, begin, to, 'LIMIT', 0, 1);
      if (first === undefined) return namespaces;
      const namespace = first.slice(0, first.indexOf('/'));
      namespaces.push(namespace);
      // '0' is the character after '/'.
      begin = `[${namespace}0`;
    }
  }

  /** The newest resourceVersion of the shard. */
  async resourceVersion(): Promise<number> {
    return Number((await this.redis.get(this.keys.clock)) ?? 0);
  }

  /** A chunk of the arguments of a Job's indexes; null when there is none. */
  async readArguments(uid: string, chunk: number): Promise<readonly Arguments[] | null> {
    return await readArguments(this.redis, this.keys.job(uid).args, chunk);
  }

  /** How many indexes were noted by `noteEndedIndex`. */
  async endedIndexCount(uid: string): Promise<number> {
    return await this.redis.scard(this.keys.job(uid).ended);
  }

  /** Bits of the indexes that succeeded, most significant bit first; empty when none did. */
  async doneBitmap(uid: string): Promise<Buffer> {
    return (await this.redis.getBuffer(this.keys.job(uid).done)) ?? Buffer.alloc(0);
  }

  /** As {@link doneBitmap}, of the indexes up to `last` and a few more. */
  async doneUpTo(uid: string, last: number): Promise<Buffer> {
    return await this.redis.getrangeBuffer(this.keys.job(uid).done, 0, last >> 3);
  }

  /** Bits of the indexes that failed for good, as in {@link doneBitmap}. */
  async failedBitmap(uid: string): Promise<Buffer> {
    return (await this.redis.getBuffer(this.keys.job(uid).failed)) ?? Buffer.alloc(0);
  }

  /**
   * What of a Job that counts failures for each index is not in its hot state. Only verdicts change
   * it: who looked at the Job before, and is not refused as `moved`, has both of one moment.
   *
   * @param nowMs - By the shard's clock.
   */
  async indexState(uid: string, nowMs: number): Promise<IndexState> {
    const { losses, retry } = this.keys.job(uid);
    const pipeline = this.redis.pipeline();
    pipeline.hget(losses, 'failed');
    pipeline.zcount(retry, FIRST_TIME, nowMs);
    pipeline.zrange(retry, `(${nowMs}`, '+inf', 'BYSCORE', 'LIMIT', 0, 1, 'WITHSCORES');
    const [failed, ready, next] = ((await pipeline.exec()) ?? []).map(pipelineValue);
    const [first] = pairsOf(next as readonly unknown[]);
    return {
      failedCount: Number(failed ?? 0),
      readyCount: Number(ready),
      nextReadyMs: first === undefined ? null : Number(first[1]),
    };
  }

  /** The packed hot states of Jobs, for `decodeHot`; null for a Job that there is not. */
  async packedHots(uids: readonly string[]): Promise<(Buffer | null)[]> {
    if (uids.length === 0) return [];
    return await this.redis.mgetBuffer(uids.map((uid) => this.keys.job(uid).hot));
  }

  /** How many Jobs and pods without a Job there are. */
  async jobCount(): Promise<number> {
    return await this.redis.zcard(this.keys.names);
  }

  async #readRaw(uids: readonly string[]): Promise<RawJob[]> {
    const pipeline = this.redis.pipeline();
    for (const uid of uids) {
      const keys = this.keys.job(uid);
      pipeline.hgetall(keys.job);
      pipeline.getBuffer(keys.hot);
    }
    const replies = (await pipeline.exec()) ?? [];
    return uids.map((_uid, i) => ({ job: replies[2 * i]!, hot: replies[2 * i + 1]! }));
  }

  /** How many pods a Job had, and whether labels of some were changed, or only those are shown that it released. */
  async #podFacts(uid: string): Promise<PodFacts> {
    const pipeline = this.redis.pipeline();
    pipeline.getBuffer(this.keys.job(uid).hot);
    pipeline.hmget(this.keys.job(uid).job, 'changed', 'free', 'deleted', 'orphaned', 'lent');
    const [hot, fields] = ((await pipeline.exec()) ?? []).map(pipelineValue);
    const [changed, free, deleted, orphaned, lent] = fields as (string | null)[];
    return {
      podCount: hot === null ? 0 : decodeHot(hot as Buffer).counters.podCount,
      isChanged: changed !== null,
      isLent: lent === '1',
      onlyFree: free === '1' && deleted === '1' && orphaned !== '1',
    };
  }

  /** Pods with the labels and annotations that were given to them, and who has adopted them, as far as they are shown. */
  async #withChanges(
    uid: string,
    pods: readonly StoredPod[],
    { isChanged, isLent, onlyFree }: Omit<PodFacts, 'podCount'>,
  ): Promise<StoredPod[]> {
    if ((!isChanged && !isLent) || pods.length === 0) return [...pods];
    const numbers = pods.map(({ podNumber }) => String(podNumber));
    const { changed, adopters } = this.keys.job(uid);
    const [changes, owners] = await Promise.all([
      isChanged ? this.redis.hmget(changed, ...numbers) : [],
      isLent ? this.redis.hmget(adopters, ...numbers) : [],
    ]);
    return pods.flatMap((pod, i) => {
      const [change, owner] = [changes[i] ?? null, owners[i] ?? null];
      const its = change === null ? null : (JSON.parse(change) as ChangedPod);
      if (onlyFree && its?.isFree !== true) return [];
      const more = {
        ...(its !== null && { changed: its }),
        ...(owner !== null && { adopter: decodeAdopter(owner) }),
      };
      return [change === null && owner === null ? pod : { ...pod, ...more }];
    });
  }

  /** Pods of a Job of which their slots are known, 0 = they have ended; those that are there any more. */
  async readPods(
    uid: string,
    wanted: readonly Pick<SlotRecord, 'podNumber' | 'slot'>[],
  ): Promise<StoredPod[]> {
    if (wanted.length === 0) return [];
    const [facts, slots] = await Promise.all([
      this.#podFacts(uid),
      this.redis.hmgetBuffer(this.keys.job(uid).slots, ...wanted.map(({ slot }) => String(slot))),
    ]);
    const found = await Promise.all(
      wanted.map(async ({ podNumber, slot }, i): Promise<StoredPod | null> => {
        const packed = slots[i] ?? null;
        const held = packed === null ? null : decodeSlotRecord(slot, packed);
        if (held?.podNumber === podNumber) return { kind: 'slot', ...held };
        return await this.readRecord(uid, podNumber);
      }),
    );
    const pods = found.filter((pod) => pod !== null);
    return await this.#withChanges(uid, pods, facts);
  }

  /** Pods that a Job has released, with their slots. */
  async freePods(uid: string): Promise<[podNumber: number, slot: number][]> {
    const slots = await this.redis.hgetall(this.keys.job(uid).free);
    return Object.entries(slots).map(([pod, slot]) => [Number(pod), Number(slot)]);
  }

  /**
   * A page of a Job's pods, in order of their numbers.
   *
   * @param options.after - Continue after this pod number.
   */
  async listPods(
    uid: string,
    options: { readonly after?: number; readonly limit: number },
  ): Promise<{ pods: StoredPod[]; next: number | null }> {
    const after = options.after ?? 0;
    const facts = await this.#podFacts(uid);
    const { podCount } = facts;
    const early = podCount === 0 && after === 0 ? await this.#barePodToCome(uid) : null;
    if (early !== null) return { pods: [early], next: null };
    const byNumber = new Map<number, StoredPod>();
    // Slots before records: a pod that ends in between is then seen twice, never not at all.
    for (const slot of await this.allSlots(uid)) {
      if (slot.podNumber > after) byNumber.set(slot.podNumber, { kind: 'slot', ...slot });
    }
    let chunk = Math.floor((after + 1) / RECORDS_PER_CHUNK);
    const lastChunk = Math.floor(podCount / RECORDS_PER_CHUNK);
    let found = 0;
    while (chunk <= lastChunk && found <= options.limit) {
      // As many as may be needed, at once.
      const wanted = Math.floor((options.limit - found) / RECORDS_PER_CHUNK) + 1;
      const count = Math.min(wanted, lastChunk - chunk + 1);
      const first = chunk;
      chunk += count;
      const read = Array.from({ length: count }, (_, i) => this.readChunk(uid, first + i));
      for (const pod of (await Promise.all(read)).flat()) {
        if (pod.podNumber <= after) continue;
        byNumber.set(pod.podNumber, pod);
        found++;
      }
    }
    // What lies beyond the chunks that were read belongs to a later page.
    const readUpTo = chunk > lastChunk ? Number.POSITIVE_INFINITY : chunk * RECORDS_PER_CHUNK - 1;
    const all = [...byNumber.values()].toSorted((a, b) => a.podNumber - b.podNumber);
    const pods = all.filter((pod) => pod.podNumber <= readUpTo).slice(0, options.limit);
    const complete = pods.length === all.length && chunk > lastChunk;
    const next = complete ? null : (pods.at(-1)?.podNumber ?? readUpTo);
    return { pods: await this.#withChanges(uid, pods, facts), next };
  }

  /** One pod, or null when there is none of this number (any more). */
  async getPod(uid: string, podNumber: number): Promise<StoredPod | null> {
    const stored = await this.#findPod(uid, podNumber);
    if (stored === null) return null;
    return (await this.#withChanges(uid, [stored], await this.#podFacts(uid)))[0] ?? null;
  }

  async #findPod(uid: string, podNumber: number): Promise<StoredPod | null> {
    const record = await this.readRecord(uid, podNumber);
    if (record !== null) return record;
    // Before the slots: one that is opened in between is found there.
    const early = podNumber === 1 ? await this.#barePodToCome(uid) : null;
    if (early !== null) return early;
    const slot = (await this.allSlots(uid)).find((held) => held.podNumber === podNumber);
    if (slot !== undefined) return { kind: 'slot', ...slot };
    return await this.readRecord(uid, podNumber);
  }

  /** A pod without a Job that no controller has seen yet: it is there as soon as it is created. */
  async #barePodToCome(uid: string): Promise<StoredPod | null> {
    const job = await this.getJobByUid(uid);
    if (job === null || !job.bare || job.deleted || job.counters.podCount > 0) return null;
    return {
      kind: 'slot',
      slot: 0,
      podNumber: 1,
      index: 0,
      phase: 'Pending',
      restarts: 0,
      attemptsStarted: 0,
      nodeNumber: 0,
      session: '',
      createdMs: job.createdMs,
      startMs: 0,
      resourceVersion: job.resourceVersion,
    };
  }

  /** What running pods say of themselves, of those that said something, by number. */
  async podNotes(uid: string, podNumbers: readonly number[]): Promise<Map<number, PodNotes>> {
    const byNumber = new Map<number, PodNotes>();
    if (podNumbers.length === 0) return byNumber;
    const keys = podNumbers.flatMap((podNumber) => [
      this.keys.podProgress(uid, podNumber),
      this.keys.podContainers(uid, podNumber),
    ]);
    const texts = await this.redis.mget(...keys);
    for (const [i, podNumber] of podNumbers.entries()) {
      const [progress, details] = [texts[2 * i] ?? null, texts[2 * i + 1] ?? null];
      if (progress === null && details === null) continue;
      byNumber.set(podNumber, {
        ...(progress === null ? {} : { progress }),
        ...(details === null ? {} : { details: JSON.parse(details) as PodDetails }),
      });
    }
    return byNumber;
  }

  /** What the slots of a Job hold; a page of a few hundred. Begin with cursor '0', end at '0'. */
  async listSlots(uid: string, cursor: string): Promise<{ slots: SlotRecord[]; cursor: string }> {
    const [next, flat] = await this.redis.hscanBuffer(
      this.keys.job(uid).slots,
      cursor,
      'COUNT',
      SLOTS_PER_PAGE,
    );
    const slots: SlotRecord[] = [];
    for (let i = 0; i < flat.length; i += 2) {
      slots.push(decodeSlotRecord(Number(String(flat[i])), flat[i + 1]!));
    }
    return { slots, cursor: String(next) };
  }

  /** All slots of a Job, each once, by pages: O(active pods). */
  async allSlots(uid: string): Promise<SlotRecord[]> {
    const bySlot = new Map<number, SlotRecord>();
    let cursor = '0';
    do {
      const page = await this.listSlots(uid, cursor);
      for (const slot of page.slots) bySlot.set(slot.slot, slot);
      cursor = page.cursor;
    } while (cursor !== '0');
    return [...bySlot.values()];
  }

  /** Names of the shard's nodes by their numbers in records. */
  async nodeNames(): Promise<Map<number, string>> {
    const names = new Map<number, string>();
    for (const [field, value] of Object.entries(await this.redis.hgetall(this.keys.nodes))) {
      if (field.startsWith('#') && field !== '#') names.set(Number(field.slice(1)), value);
    }
    return names;
  }

  /** The worker sessions of the shard with the number of pods that each runs. O(sessions). */
  async sessions(): Promise<SessionLoad[]> {
    const ids = await this.redis.zrange(this.keys.sessions, '0', '-1');
    const pipeline = this.redis.pipeline();
    for (const id of ids) {
      const keys = this.keys.session(id);
      pipeline.hmget(keys.session, 'node', 'withheld');
      pipeline.scard(keys.claims);
    }
    const replies = ids.length === 0 ? [] : ((await pipeline.exec()) ?? []);
    return ids.flatMap((id, i) => {
      const [node, withheld] = pipelineValue(replies[2 * i]) as (string | null)[];
      // Ended between the two reads.
      if (typeof node !== 'string') return [];
      const podCount = Number(pipelineValue(replies[2 * i + 1]));
      return [{ id, node, podCount, isWithheld: withheld === '1' }];
    });
  }

  /** What a session runs: slots of Jobs by their uids. O(pods that it runs). */
  async sessionSlots(id: string): Promise<Map<string, SlotRecord[]>> {
    const claims = await this.redis.smembers(this.keys.session(id).claims);
    const slotsOf = new Map<string, string[]>();
    for (const claim of claims) {
      const at = claim.lastIndexOf(':');
      const uid = claim.slice(0, at);
      const slots = slotsOf.get(uid) ?? [];
      slotsOf.set(uid, slots);
      slots.push(claim.slice(at + 1));
    }
    const found = new Map<string, SlotRecord[]>();
    for (const [uid, slots] of slotsOf) {
      const packed = await this.redis.hmgetBuffer(this.keys.job(uid).slots, ...slots);
      const records = slots.flatMap((slot, i) => {
        const record = packed[i];
        return record === null || record === undefined
          ? []
          : [decodeSlotRecord(Number(slot), record)];
      });
      found.set(
        uid,
        records.filter((record) => record.session === id),
      );
    }
    return found;
  }

  /** The record of a finished pod, or null. */
  /** The record of a pod that ended; null when it has not, or nothing is kept of it. */
  async readRecord(uid: string, podNumber: number): Promise<StoredPod | null> {
    const key = this.keys.podChunk(uid, Math.floor(podNumber / RECORDS_PER_CHUNK));
    const offset = (podNumber % RECORDS_PER_CHUNK) * POD_RECORD_BYTES;
    const packed = await this.redis.getrangeBuffer(key, offset, offset + POD_RECORD_BYTES - 1);
    if (!isPodRecord(packed)) return null;
    const record = decodePodRecord(podNumber, packed);
    const overlays = await this.#overlaysOf(uid, [record]);
    return { kind: 'record', ...record, overlay: overlays.get(podNumber) ?? null };
  }

  /** The records of a chunk. */
  protected async readChunk(uid: string, chunk: number): Promise<StoredPod[]> {
    const packed = await this.redis.getBuffer(this.keys.podChunk(uid, chunk));
    if (packed === null) return [];
    const records: PodRecord[] = [];
    for (let at = 0; at < packed.length; at += POD_RECORD_BYTES) {
      const record = packed.subarray(at, at + POD_RECORD_BYTES);
      if (!isPodRecord(record)) continue;
      records.push(decodePodRecord(chunk * RECORDS_PER_CHUNK + at / POD_RECORD_BYTES, record));
    }
    const overlays = await this.#overlaysOf(uid, records);
    return records.map((record) => ({
      kind: 'record',
      ...record,
      overlay: overlays.get(record.podNumber) ?? null,
    }));
  }

  /** What finished pods have beyond their records, by number; of those that have it. */
  async podOverlays(uid: string, podNumbers: readonly number[]): Promise<Map<number, PodOverlay>> {
    const overlays = new Map<number, PodOverlay>();
    if (podNumbers.length === 0) return overlays;
    const texts = await this.redis.hmget(this.keys.job(uid).overlay, ...podNumbers.map(String));
    for (const [i, text] of texts.entries()) {
      if (text !== null) overlays.set(podNumbers[i]!, JSON.parse(text) as PodOverlay);
    }
    return overlays;
  }

  async #overlaysOf(uid: string, pods: readonly PodRecord[]): Promise<Map<number, PodOverlay>> {
    const numbers = pods.filter((pod) => pod.hasOverlay).map(({ podNumber }) => podNumber);
    return await this.podOverlays(uid, numbers);
  }

  /** Lanes of live workers for a fitting key; of one with requests, the pods that they have room for when idle. */
  async fittingLanes(fittingKey: string): Promise<number> {
    const { lanes, requests } = parseFittingKey(fittingKey);
    if (requests === null) return Number((await this.redis.hget(this.keys.lanes, lanes)) ?? 0);
    const capacities = await this.#capacities(lanes);
    return capacities.reduce(
      (sum, has) => sum + Math.min(has.lanes, podsThatFit(has.resources, requests)),
      0,
    );
  }

  /**
   * The live sessions with lanes for a fitting key, and how much room they have. O(sessions + pods
   * that they run): for those who look only.
   */
  async capacities(fittingKey: string): Promise<SessionCapacity[]> {
    const { lanes } = parseFittingKey(fittingKey);
    const [capacities, sessions] = await Promise.all([this.#capacities(lanes), this.sessions()]);
    const loads = new Map(sessions.map((session) => [session.id, session]));
    const claims = await Promise.all(
      capacities.map(({ id }) => this.redis.smembers(this.keys.session(id).claims)),
    );
    const uidsOf = claims.map((some) => some.map((claim) => claim.slice(0, claim.indexOf(':'))));
    const keyOf = await this.#fittingKeys([...new Set(uidsOf.flat())]);
    return capacities.flatMap((has, i) => {
      const load = loads.get(has.id);
      if (load === undefined) return [];
      const taken = { cpuMilli: 0, memoryBytes: 0 };
      for (const uid of uidsOf[i] ?? []) {
        const { requests } = parseFittingKey(keyOf.get(uid) ?? '');
        taken.cpuMilli += requests?.cpuMilli ?? 0;
        taken.memoryBytes += requests?.memoryBytes ?? 0;
      }
      return [{ ...load, ...has, taken }];
    });
  }

  async #capacities(
    lanes: string,
  ): Promise<Omit<SessionCapacity, Exclude<keyof SessionLoad, 'id'> | 'taken'>[]> {
    const members = await this.redis.zrangebylex(this.keys.capacity, `[${lanes} `, `(${lanes}!`);
    return members.map((member) => {
      const [cpu, memory, count, id = ''] = member.slice(lanes.length + 1).split(',');
      const resources = { cpuMilli: Number(cpu), memoryBytes: Number(memory) };
      return { id, lanes: Number(count), resources };
    });
  }

  async #fittingKeys(uids: readonly string[]): Promise<Map<string, string>> {
    const pipeline = this.redis.pipeline();
    for (const uid of uids) pipeline.hget(this.keys.job(uid).job, 'fittingKey');
    const replies = uids.length === 0 ? [] : ((await pipeline.exec()) ?? []);
    return new Map(
      uids.flatMap((uid, i) => {
        const key = pipelineValue(replies[i]);
        return typeof key === 'string' ? [[uid, key] as const] : [];
      }),
    );
  }
}

/** Whether a Job, or what is left of it, has pods that are shown: its own, those that it left behind, or has released. */
export function showsPods(view: Pick<JobView, 'deleted' | 'orphaned' | 'hasFreePods'>): boolean {
  return !view.deleted || view.orphaned || view.hasFreePods;
}

/** No namespace is called like this: it is where the Jobs that stand for pods have their names. */
function isOfBarePods(namespace: string): boolean {
  return namespace.startsWith('~');
}

function jobView(uid: string, raw: RawJob): JobView | null {
  const job = pipelineMap(raw.job);
  const hot = pipelineValue(raw.hot);
  if (job.size === 0 || hot === null) return null;
  const { counters, gate } = decodeHot(hot as Buffer);
  return { ...storedJob(uid, job), counters, gate };
}

/** An entry is `<namespace>/<name>/<uid>`. */
function uidOfOrphaned(entry: string): string {
  return entry.slice(entry.lastIndexOf('/') + 1);
}

function pipelineValue(reply: [Error | null, unknown] | undefined): unknown {
  assert(reply !== undefined);
  const [error, value] = reply;
  if (error !== null) throw error;
  return value;
}

/** Members and scores: a flat list under RESP2, pairs under RESP3. */
function pairsOf(reply: readonly unknown[]): (readonly unknown[])[] {
  const flat = reply.flat();
  return flat.flatMap((member, i) => (i % 2 === 0 ? [[member, flat[i + 1]]] : []));
}

function pipelineMap(reply: [Error | null, unknown] | undefined): Map<string, string> {
  return new Map(Object.entries(pipelineValue(reply) as Record<string, string>));
}
