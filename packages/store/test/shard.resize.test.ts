/** resizeJob in several steps, and whoever goes on in between. */
import { expect, test } from 'vitest';
import { OPEN_GATE, StoreBed } from './support/bed.ts';
import { violations } from './support/invariants.ts';

let bed: StoreBed;
let session: string;
StoreBed.forEachTest(async (fresh) => {
  bed = fresh;
  session = await bed.registerSession();
  await bed.createJob({ uid: 'u1', completions: 600, indexed: true });
  await bed.setGate('u1', { ...OPEN_GATE, limit: 400 });
  const slots = await bed.openSlots('u1', 400);
  const some = [slots[0]!, slots[50]!, slots[399]!];
  await bed.report(await Promise.all(some.map((slot) => bed.acquire('u1', slot, session))));
  const pods = await bed.shard.allSlots('u1');
  await bed.setGate('u1', { ...OPEN_GATE, limit: 0 });
  await bed.shard.stopPods({ uid: 'u1', guard: await bed.guard('u1'), pods, countAs: 'uncounted' });
});

async function input(completions: number) {
  return { ...(await bed.guard('u1')), completions, status: '{"ready":0}' };
}

/** Takes as many steps as it needs. */
async function resize(completions: number) {
  const asked = await input(completions);
  let reply = await bed.shard.resizeJob(asked);
  while (reply.type === 'more') reply = await bed.shard.resizeJob(asked, reply.from);
  return reply;
}

async function numbers() {
  const { hot, retry, done, job } = await bed.rawJob('u1');
  expect(violations(await bed.raw(['u1'], [session]))).toEqual([]);
  const { completions, cursor, succeeded } = hot!;
  return { completions, cursor, succeeded, done, retried: retry.length, cut: job['cut'] };
}

const SMALL = { completions: 100, cursor: 100, succeeded: 2, done: [0, 50], retried: 98 };

test('what is known of indexes that go is removed in steps', async () => {
  const { type } = await bed.shard.resizeJob(await input(100));
  expect(type).toBe('more');
  expect((await bed.rawJob('u1')).job['cut']).toBe('100');
  expect(await resize(100)).toMatchObject({ type: 'resized' });
  expect(await numbers()).toEqual({ ...SMALL, cut: undefined });
  expect((await bed.rawJob('u1')).job['status']).toBe('{"ready":0}');
});

test('growing gives out new indexes, and keeps what is known', async () => {
  expect(await resize(700)).toMatchObject({ type: 'resized' });
  const all = { completions: 700, cursor: 403, succeeded: 3, done: [0, 50, 399] };
  expect(await numbers()).toMatchObject(all);
});

test('a step was made, and then it is to grow: what went is not known any more', async () => {
  await bed.shard.resizeJob(await input(100));
  expect(await resize(800)).toMatchObject({ type: 'resized' });
  expect(await numbers()).toEqual({ ...SMALL, completions: 800, cut: undefined });
});

test('a step was made, and then it is to be as large as it was', async () => {
  await bed.shard.resizeJob(await input(100));
  expect(await resize(600)).toMatchObject({ type: 'resized' });
  expect(await numbers()).toEqual({ ...SMALL, completions: 600, cut: undefined });
});

test('an open gate, or a pod that waits for its verdict, is in the way', async () => {
  await bed.setGate('u1', { ...OPEN_GATE, limit: 2 });
  expect(await resize(100)).toEqual({ type: 'notSettled' });
  const [slot] = await bed.openSlots('u1', 1);
  const pods = (await bed.shard.allSlots('u1')).filter((one) => one.slot === slot);
  await bed.shard.stopPods({ uid: 'u1', guard: null, pods, countAs: 'unjudged' });
  await bed.setGate('u1', { ...OPEN_GATE, limit: 0 });
  expect(await resize(100)).toEqual({ type: 'notSettled' });
});

test('a decision from before is refused, also for what it has done already', async () => {
  const asked = await input(700);
  await bed.shard.resizeJob(asked);
  expect(await bed.shard.resizeJob(asked)).toEqual({ type: 'moved' });
});
