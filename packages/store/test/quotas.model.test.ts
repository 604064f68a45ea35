/**
 * Random histories of what takes quota and gives it back, on a real Redis, beside a plain model: what is granted is what
 * open slots and pods without a slot hold, nothing is granted beyond what the quotas allow, and as much as they allow is.
 * A failure prints the seed and the shortest history; `MODEL_RUNS=N` makes a long run.
 */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import * as fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type HeldPod, newJob, StoreBed } from './support/bed.ts';

const RUNS = Number(process.env['MODEL_RUNS'] ?? 30);
const TIMEOUT_MS = 60_000 + RUNS * 1_000;
const NAMESPACE = 'default';
const RESOURCES = ['pods', 'requests.cpu', 'requests.memory', 'limits.cpu', 'limits.memory'];
const ALIASES: Readonly<Record<string, string>> = { cpu: 'requests.cpu' };
/** Of Jobs: requests and limits, and the bits of what is not stated. */
const SHARES = ['', '500 100 500 100 0', '250 0 0 0 14', '1000 300 2000 400 0'];
/** What a quota may bound; the last two want to be stated. */
const BOUNDS = ['pods', 'pods', 'cpu', 'requests.memory'];

type Hard = Record<string, string>;
type Step =
  | { readonly do: 'setQuota'; readonly name: string; readonly hard: Hard }
  | { readonly do: 'deleteQuota'; readonly name: string }
  | { readonly do: 'open'; readonly job: number; readonly count: number }
  | { readonly do: 'acquire'; readonly job: number }
  | {
      readonly do: 'report';
      readonly pod: number;
      readonly failed: boolean;
      readonly leave: boolean;
    }
  | { readonly do: 'stop'; readonly job: number; readonly count: number }
  | { readonly do: 'lose' }
  | { readonly do: 'wake' }
  | { readonly do: 'createPod'; readonly share: number }
  | { readonly do: 'deletePod' };

const quotaName = fc.constantFrom('a', 'b');
const hard = fc
  .tuple(fc.constantFrom(...BOUNDS), fc.integer({ min: 0, max: 4 }))
  .map(([name, n]): Hard => ({ [name]: String(name === 'pods' ? n : n * 400) }));
const job = fc.nat(SHARES.length - 1);
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constant('setQuota' as const), name: quotaName, hard }),
  },
  fc.record({ do: fc.constant('deleteQuota' as const), name: quotaName }),
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant('open' as const),
      job,
      count: fc.integer({ min: 1, max: 5 }),
    }),
  },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('acquire' as const), job }) },
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constant('report' as const),
      pod: fc.nat(20),
      failed: fc.boolean(),
      leave: fc.boolean(),
    }),
  },
  fc.record({ do: fc.constant('stop' as const), job, count: fc.integer({ min: 1, max: 3 }) }),
  fc.record({ do: fc.constant('lose' as const) }),
  { weight: 2, arbitrary: fc.record({ do: fc.constant('wake' as const) }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('createPod' as const), share: job }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('deletePod' as const) }) },
);

let server: StoreBed;
beforeAll(async () => {
  server = await StoreBed.open();
});
afterAll(() => server.server.stop());

/** One history: the real shard, and what is known of it. */
class History {
  readonly #bed: StoreBed;
  readonly #jobs: string[] = [];
  readonly #quotas = new Map<string, { uid: string; hard: Hard; resourceVersion: number }>();
  #isCounted = false;
  #session = '';
  #held: HeldPod[] = [];
  readonly #bare: string[] = [];

  constructor(bed: StoreBed) {
    this.#bed = bed;
  }

  async begin(): Promise<void> {
    this.#session = await this.#bed.registerSession({ lanes: {} });
    for (const share of SHARES) {
      const uid = await this.#bed.createJob({ share });
      await this.#bed.setGate(uid, { limit: 6, holdOnFailure: false });
      this.#jobs.push(uid);
    }
    // With room for most, so that there is something to give back.
    await this.#setQuota('a', { pods: '8' });
    await this.#wake();
  }

  async take(one: Step): Promise<void> {
    const before = await this.#used();
    switch (one.do) {
      case 'setQuota':
        await this.#setQuota(one.name, one.hard);
        break;
      case 'deleteQuota':
        await this.#deleteQuota(one.name);
        break;
      case 'open':
        await this.#open(one, before);
        break;
      case 'acquire':
        await this.#acquire(this.#jobs[one.job]!);
        break;
      case 'report':
        await this.#report(one);
        break;
      case 'stop': {
        const uid = this.#jobs[one.job]!;
        const pods = (await this.#bed.shard.allSlots(uid)).slice(0, one.count);
        await this.#bed.shard.stopPods({ uid, guard: null, pods, countAs: 'uncounted' });
        break;
      }
      case 'lose':
        await this.#lose();
        break;
      case 'wake':
        await this.#wake();
        break;
      case 'createPod':
        await this.#createPod(SHARES[one.share]!, before);
        break;
      case 'deletePod':
        await this.#deletePod();
        break;
    }
    await this.#check();
  }

  async #setQuota(name: string, hardNow: Hard): Promise<void> {
    const known = this.#quotas.get(name);
    const { objects } = this.#bed.shard;
    const object = {
      kind: 'ResourceQuota',
      namespace: NAMESPACE,
      name,
      uid: known?.uid ?? randomUUID(),
      object: JSON.stringify({ metadata: {}, spec: { hard: quantities(hardNow) } }),
      finalizerCount: 0,
    };
    if (this.#quotas.size === 0) this.#isCounted = false;
    const reply =
      known === undefined
        ? await objects.create(object)
        : await objects.update({ ...object, expectedResourceVersion: known.resourceVersion });
    assert(reply.type === 'created' || reply.type === 'updated', reply.type);
    const { resourceVersion } = reply;
    this.#quotas.set(name, { uid: object.uid, hard: hardNow, resourceVersion });
  }

  async #deleteQuota(name: string): Promise<void> {
    const known = this.#quotas.get(name);
    if (known === undefined) return;
    const path = { kind: 'ResourceQuota', namespace: NAMESPACE, name };
    assert.equal(await this.#bed.shard.objects.delete({ ...path, uid: known.uid }), 'deleted');
    this.#quotas.delete(name);
  }

  async #open(one: Extract<Step, { do: 'open' }>, before: Record<string, number>): Promise<void> {
    const uid = this.#jobs[one.job]!;
    const { counters } = (await this.#bed.shard.getJobByUid(uid))!;
    const wanted = Math.min(one.count, 6 - counters.active);
    const room = this.#roomFor(SHARES[one.job]!, before);
    const guard = await this.#bed.guard(uid);
    const args = [guard, one.count] as const;
    const reply = await this.#bed.shard.openSlots(...args);
    if (reply.type !== 'opened') throw new Error(reply.type);
    const opened = Math.max(0, Math.min(wanted, room));
    assert.equal(reply.slots.length, opened, 'slots opened');
    assert.equal(reply.denial !== null, wanted > 0 && room < wanted, 'denied');
    const waits = await this.#waiting(uid);
    if (reply.denial !== null) assert.equal(waits, 1, 'waits, once');
  }

  /** How many pods of a share the quotas have room for. */
  #roomFor(text: string, used: Record<string, number>): number {
    if (this.#quotas.size === 0) return Number.POSITIVE_INFINITY;
    let room = Number.POSITIVE_INFINITY;
    const [cpu = 0, memory = 0, , , unstated = 15] = text === '' ? [] : text.split(' ').map(Number);
    for (const { hard: bounds } of this.#quotas.values()) {
      if (!this.#isCounted) return 0;
      for (const [name, limit] of Object.entries(bounds)) {
        const resource = ALIASES[name] ?? name;
        const wants = { pods: 1, 'requests.cpu': cpu, 'requests.memory': memory }[resource] ?? 0;
        const bit = { 'requests.cpu': 1, 'requests.memory': 2 }[resource] ?? 0;
        if ((unstated & bit) !== 0) return 0;
        if (wants === 0) continue;
        room = Math.min(room, Math.floor((Number(limit) - used[resource]!) / wants));
      }
    }
    return Math.max(0, room);
  }

  async #acquire(uid: string): Promise<void> {
    const pending = (await this.#bed.shard.allSlots(uid)).find(({ phase }) => phase === 'Pending');
    if (pending === undefined) return;
    this.#held.push(await this.#bed.acquire(uid, pending.slot, this.#session));
  }

  async #report({ pod, failed, leave }: Extract<Step, { do: 'report' }>): Promise<void> {
    const held = this.#held[pod % Math.max(1, this.#held.length)];
    if (held === undefined) return;
    const end = failed ? ({ outcome: 'Failed', exitCode: 1, reason: 'Error' } as const) : {};
    const [answer] = await this.#bed.report([held], { ...end, leave });
    // A report that comes twice gives nothing back twice.
    const [again] = await this.#bed.report([held], { ...end, leave });
    assert.equal(again!.type, answer!.type === 'next' ? 'next' : 'stale');
    if (answer!.type === 'next') held.claim = answer!.claim;
    else this.#held = this.#held.filter((one) => one !== held);
  }

  /** The worker is gone, and another comes. */
  async #lose(): Promise<void> {
    const session = this.#session;
    const ended = await this.#bed.shard.expireSession(session, { force: true });
    const claims = ended.type === 'ended' ? ended.claims : [];
    for (const [uid, slots] of Map.groupBy(claims, (claim) => claim.uid)) {
      const numbers = slots.map(({ slot }) => slot);
      await this.#bed.shard.endLostPods(session, uid, numbers);
      await this.#bed.shard.endLostPods(session, uid, numbers);
    }
    this.#held = [];
    this.#session = await this.#bed.registerSession({ lanes: {} });
  }

  /** What a controller does when it looks at the quota of the namespace. */
  async #wake(): Promise<void> {
    const { quotas } = this.#bed.shard;
    const before = await this.#waitingOnes();
    const reply = await quotas.wake(NAMESPACE, '');
    if (reply.type === 'uncounted') {
      for (const uid of [...this.#jobs, ...this.#bare]) {
        const slots = (await this.#bed.shard.allSlots(uid)).map(({ slot }) => slot);
        if (slots.length === 0) continue;
        await quotas.count(uid, slots);
        assert.equal(await quotas.count(uid, slots), 0);
      }
      assert.equal((await quotas.wake(NAMESPACE, reply.counting)).type, 'woken');
    }
    this.#isCounted = true;
    if (this.#quotas.size === 0) {
      assert.deepEqual(await this.#waitingOnes(), [], 'all may go on');
      return;
    }
    // A wake-up reckons with a pod of each that it woke; whoever waits on has no room beside them.
    const waiting = await this.#waitingOnes();
    const used = await this.#used();
    for (const i of before.filter((one) => !waiting.includes(one))) {
      const [cpu = 0, memory = 0] = SHARES[i] === '' ? [] : SHARES[i]!.split(' ').map(Number);
      used['pods']! += 1;
      used['requests.cpu']! += cpu;
      used['requests.memory']! += memory;
    }
    for (const i of waiting) {
      assert.equal(this.#roomFor(SHARES[i]!, used), 0, `Job ${i} waits though there is room`);
    }
  }

  /** Jobs that wait, by their positions. */
  async #waitingOnes(): Promise<number[]> {
    const counts = await Promise.all(this.#jobs.map((uid) => this.#waiting(uid)));
    return counts.flatMap((count, i) => (count > 0 ? [i] : []));
  }

  async #createPod(share: string, before: Record<string, number>): Promise<void> {
    const uid = randomUUID();
    const room = this.#roomFor(share, before);
    const pod = { ...newJob(uid), completions: 1, bare: true, share };
    const reply = await this.#bed.shard.createJob(pod);
    assert.equal(reply.type, room > 0 ? 'created' : 'forbidden');
    if (reply.type !== 'created') return;
    assert.equal((await this.#bed.shard.createJob(pod)).type, 'replayed');
    await this.#bed.setGate(uid, { limit: 1 });
    this.#bare.push(uid);
    // Every other one has a slot before it is deleted: its share goes over to that.
    if (this.#bare.length % 2 === 0) await this.#bed.openSlots(uid, 1);
  }

  async #deletePod(): Promise<void> {
    const uid = this.#bare.shift();
    if (uid === undefined) return;
    const { shard } = this.#bed;
    await shard.deleteJob(uid);
    const pods = await shard.allSlots(uid);
    await shard.stopPods({ uid, guard: null, pods, countAs: 'uncounted' });
    while ((await shard.purgeJob(uid)) === 'more');
  }

  async #used(): Promise<Record<string, number>> {
    return { ...(await this.#bed.shard.quotas.usage(NAMESPACE, [])).pods };
  }

  async #waiting(uid: string): Promise<number> {
    const members = await this.#bed.redis.zrange(this.#bed.shard.keys.quotaWaiting, '0', '-1');
    return members.filter((member) => member.includes(uid)).length;
  }

  /** What is granted is what slots, and pods that have none yet, hold. */
  async #check(): Promise<void> {
    const held = Object.fromEntries(RESOURCES.map((name) => [name, 0]));
    const add = (grant: string): void => {
      const amounts = [1, ...grant.split(' ').slice(1).map(Number)];
      for (const [i, name] of RESOURCES.entries()) held[name]! += amounts[i]!;
    };
    for (const uid of [...this.#jobs, ...this.#bare]) {
      for (const { grant } of await this.#bed.shard.allSlots(uid))
        if (grant !== undefined) add(grant);
      const reserved = await this.#bed.redis.hget(this.#bed.shard.keys.job(uid).job, 'grant');
      if (reserved !== null) add(reserved);
    }
    assert.deepEqual(await this.#used(), held, 'what is granted');
    const fields = await this.#bed.redis.hgetall(this.#bed.shard.keys.quotaUsed);
    if (held['pods'] === 0) {
      delete fields[`${NAMESPACE} counting`];
      assert.deepEqual(fields, {}, 'nothing is left when nothing is held');
    }
  }
}

function quantities(amounts: Hard): Hard {
  return Object.fromEntries(
    Object.entries(amounts).map(([name, n]) => [name, name === 'cpu' ? `${n}m` : n]),
  );
}

test(
  'quota is granted and given back exactly, whatever happens',
  async () => {
    const histories = fc.asyncProperty(
      fc.array(step, { minLength: 1, maxLength: 60, size: 'max' }),
      async (steps) => {
        const history = new History(await server.fresh());
        await history.begin();
        for (const one of steps) await history.take(one);
      },
    );
    await fc.assert(histories, { numRuns: RUNS, interruptAfterTimeLimit: TIMEOUT_MS - 10_000 });
  },
  TIMEOUT_MS,
);

test('a pod that ends without ever having had a slot gives its share back', async () => {
  const bed = await server.fresh();
  const { shard } = bed;
  const path = { kind: 'ResourceQuota', namespace: NAMESPACE, name: 'a' };
  const object = JSON.stringify({ metadata: {}, spec: { hard: { pods: '1' } } });
  await shard.objects.create({ ...path, uid: randomUUID(), object, finalizerCount: 0 });
  const reply = await shard.quotas.wake(NAMESPACE, '');
  await shard.quotas.wake(NAMESPACE, reply.type === 'uncounted' ? reply.counting : '');
  const uid = await bed.createJob({ bare: true, completions: 1 });
  const taken = async () => (await shard.quotas.usage(NAMESPACE, [])).pods['pods'];
  expect(await taken()).toBe(1);
  const end = { status: '{}', finish: 'Failed', critical: true } as const;
  expect((await shard.writeStatus({ ...(await bed.guard(uid)), ...end })).type).toBe('written');
  expect(await taken()).toBe(0);
});
