/** The short way of reports: it writes what the long one would, or refuses and writes nothing. */
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { NewJob, ReportAnswer, ReportEntry } from '../src/api.ts';
import { entryOf, FAILED, type HeldPod, LEASE_MS, QUEUE, StoreBed } from './support/bed.ts';

const SESSION = '00112233445566aa';
const NEXT = { type: 'next' };
let bed: StoreBed;
StoreBed.forEachTest((fresh) => {
  bed = fresh;
});

async function registerSession(one: StoreBed): Promise<void> {
  const lanes = { 'default/process': 10 };
  await one.shard.registerSession({ id: SESSION, node: 'n', lanes, leaseTtlMs: LEASE_MS });
}

/** A Job whose first report was made, so that its next fold is planned. */
async function goingJob(
  one: StoreBed,
  count: number,
  over: Partial<NewJob> = {},
): Promise<HeldPod[]> {
  const pods = await one.runningJob(SESSION, count, { uid: 'u1', ...over });
  const [answer] = await one.report([pods[0]!]);
  goOn(pods[0]!, answer!);
  return pods;
}

function goOn(pod: HeldPod, answer: ReportAnswer | null): void {
  if (answer?.type !== 'next') throw new Error(`no next pod but ${answer?.type}`);
  pod.claim = answer.claim;
}

/** All keys of a bed with what they hold, without its prefix. */
async function everything({ redis, store: { prefix } }: StoreBed): Promise<Map<string, string>> {
  const keys = await redis.keys(`{${prefix}:*`);
  const held = await Promise.all(
    keys.map(async (key): Promise<[string, string]> => {
      const type = await redis.type(key);
      const name = key.replace(prefix, '');
      if (type === 'string') return [name, (await redis.getBuffer(key))!.toString('hex')];
      if (type !== 'hash') return [name, await redis.dump(key)];
      const fields = Object.entries(await redis.hgetallBuffer(key));
      const texts = fields.map(([field, value]) => `${field}=${value.toString('hex')}`);
      return [name, texts.toSorted().join()];
    }),
  );
  return new Map(held.toSorted(([a], [b]) => (a < b ? -1 : 1)));
}

const rounds = fc.array(
  fc.record({
    waitMs: fc.constantFrom(0, 1, 80),
    /** Bits choose the pods that end. */
    ending: fc.integer({ min: 1, max: 255 }),
    hasLog: fc.boolean(),
    exitCode: fc.constantFrom(0, 3),
    quantumOver: fc.boolean(),
    isReversed: fc.boolean(),
  }),
  { minLength: 1, maxLength: 12 },
);

test('writes what report writes, and answers the same', async () => {
  await fc.assert(
    fc.asyncProperty(rounds, fc.constantFrom(0, 1_018), async (steps, podsBefore) => {
      const beds = [await bed.fresh(), await bed.fresh()] as const;
      const crews = await Promise.all(
        beds.map(async (one) => {
          await registerSession(one);
          const ofOne = await goingJob(one, 5, { completions: 5_000, indexed: true });
          // Records that go over the border of a chunk, and a slot with something granted of quota.
          for (let pod = 0; pod < podsBefore; pod += 5) {
            const answers = await one.report(ofOne);
            for (const [i, answer] of answers.entries()) goOn(ofOne[i]!, answer);
          }
          const ofOther = await one.runningJob(SESSION, 3, { uid: 'u2', completions: 5_000 });
          const { slots } = one.shard.keys.job('u2');
          const slot = await one.redis.hgetBuffer(slots, '1');
          await one.redis.hset(slots, '1', Buffer.concat([slot!, Buffer.from('default 1 2 0 0')]));
          const answers = await one.report(ofOther);
          for (const [i, answer] of answers.entries()) goOn(ofOther[i]!, answer);
          return [...ofOne, ...ofOther];
        }),
      );
      for (const { waitMs, ending, isReversed, ...over } of steps) {
        const replies = await Promise.all(
          beds.map(async (one, i) => {
            one.clock.advance(waitMs);
            const chosen = crews[i]!.filter((_, n) => (ending & (1 << n)) !== 0);
            const ended = isReversed ? chosen.toReversed() : chosen;
            const entries = ended.map((pod) => entryOf(pod, over));
            const answers =
              i === 0
                ? await one.shard.reportSuccesses(SESSION, entries)
                : await one.shard.report(SESSION, entries);
            for (const [n, answer] of answers.entries()) goOn(ended[n]!, answer);
            return answers;
          }),
        );
        expect(replies[0]).toEqual(replies[1]);
        expect(await everything(beds[0])).toEqual(await everything(beds[1]));
      }
    }),
    { numRuns: 12 },
  );
});

/** What makes it refuse a batch of both pods. */
const REFUSALS: readonly [
  name: string,
  arrange: (pods: readonly HeldPod[]) => unknown,
  over?: { readonly job?: Partial<NewJob>; readonly entry?: Partial<ReportEntry> },
][] = [
  ['of which one was reported before', ([pod]) => bed.report([pod!])],
  [
    'of which one was told to stop',
    ([pod]) => {
      const stopping = [{ slot: pod!.slot, podNumber: pod!.claim.podNumber, session: SESSION }];
      return bed.shard.stopPods({ uid: 'u1', guard: null, pods: stopping, countAs: 'uncounted' });
    },
  ],
  ['of another delivery', ([pod]) => Object.assign(pod!, { attemptsStarted: 7 })],
  ['that finish their Job', () => {}, { job: { completions: 3 } }],
  ['after which a slot has no next pod', () => {}, { job: { completions: 4 } }],
  ['of a work-queue Job', () => {}, { job: { completions: null } }],
  ['of which there are more than the gate allows', () => bed.setGate('u1', { limit: 1 })],
  ['in the pod back-off', () => bed.setGate('u1', { notBeforeMs: bed.clock.now() + 5 })],
  ['of a Job that looks at each success', () => bed.setGate('u1', { lookAtSuccesses: true })],
  ['of a Job that counts failures by index', () => bed.setGate('u1', { perIndex: true })],
  ['when a fold is due', () => bed.clock.advance(1_000)],
  ['while pods are watched', () => bed.redis.set(bed.shard.keys.podWatchers, '1')],
  ['of a session that was ended', () => bed.shard.expireSession(SESSION, { force: true })],
  ['of a Job that is gone', () => bed.redis.del(bed.shard.keys.job('u1').hot)],
  [
    'whose quantum is over, when others wait for the queue',
    () => bed.shard.markContended(QUEUE, bed.clock.now() + 1_000),
    { entry: { quantumOver: true } },
  ],
  [
    'while a failed one has no verdict',
    async ([pod]) => {
      const [slot] = await bed.openSlots('u1', 1);
      await bed.report([await bed.acquire(pod!.uid, slot!, SESSION)], FAILED);
    },
  ],
];

describe('refuses pods', () => {
  test.each(REFUSALS)('%s, and writes nothing', async (_name, arrange, { job, entry } = {}) => {
    await registerSession(bed);
    const pods =
      job?.completions === null
        ? await bed.runningJob(SESSION, 2, { uid: 'u1', ...job })
        : await goingJob(bed, 2, job);
    await arrange(pods);
    const before = await everything(bed);
    const entries = pods.map((pod) => entryOf(pod, entry));
    expect(await bed.shard.reportSuccesses(SESSION, entries)).toEqual([null, null]);
    expect(await everything(bed)).toEqual(before);
  });
});

test('one Job that is refused does not hold up another', async () => {
  await registerSession(bed);
  const [pod] = await goingJob(bed, 1);
  const [last] = await bed.runningJob(SESSION, 1, { uid: 'u2', completions: 1 });
  const entries = [entryOf(last!), entryOf(pod!)];
  const answers = await bed.shard.reportSuccesses(SESSION, entries);
  expect(answers).toEqual([null, expect.objectContaining(NEXT)]);
  expect(await bed.shard.report(SESSION, entries)).toEqual([{ type: 'released' }, answers[1]]);
});
