import { waitFor } from '@drover/testkit';
import { describe, expect, test } from 'vitest';
import { StoreBed, T0 } from './support/bed.ts';

let bed: StoreBed;
StoreBed.forEachTest((fresh) => {
  bed = fresh;
});

const X = 'job:x';

async function take() {
  return (await bed.shard.take(10, 5000)).taken;
}

describe('take', () => {
  test('gives a due member to one taker, until the taking ends', async () => {
    await bed.shard.trigger(X);
    const [first] = await take();
    expect(first).toMatchObject({ member: X, count: 1 });
    expect(await take()).toEqual([]);
    bed.clock.advance(4_999);
    expect(await take()).toEqual([]);
    bed.clock.advance(1);
    const [second] = await take();
    expect(second?.member).toBe(X);
    expect(second?.token).not.toBe(first?.token);
  });

  test('takes no more than asked for, earliest first, and says when the next is due', async () => {
    await bed.shard.trigger('job:c', T0 + 30);
    await bed.shard.trigger('job:b', T0 + 10);
    await bed.shard.trigger('job:a', T0 + 20);
    expect(await bed.shard.take(2, 5000)).toEqual({ nowMs: T0, nextAtMs: T0 + 10, taken: [] });
    bed.clock.advance(25);
    const { taken, nextAtMs } = await bed.shard.take(1, 5000);
    expect(taken.map((one) => one.member)).toEqual(['job:b']);
    expect(nextAtMs).toBe(T0 + 20);
  });

  test('with nothing there is never', async () => {
    expect(await bed.shard.take(10, 5000)).toMatchObject({ nextAtMs: null, taken: [] });
  });
});

describe('takeAndObserve', () => {
  test('takes as take does, and answers what a look at the Job would', async () => {
    const uid = await bed.createJob();
    await bed.shard.trigger(X);
    const look = await bed.shard.observeJob(uid, 5);
    const got = await bed.shard.takeAndObserve(10, 5000, uid, 5);
    expect(got.taken.map((one) => one.member).toSorted()).toEqual([X, `job:${uid}`].toSorted());
    expect(got.look).toEqual(look);
    expect(got.nowMs).toBe(T0);
    expect(await take()).toEqual([]);
  });

  test('does not look at a Job that another one has taken, or that is gone', async () => {
    const uid = await bed.createJob();
    await take();
    expect(await bed.shard.takeAndObserve(10, 5000, uid, 5)).toMatchObject({
      taken: [],
      look: null,
    });
    await bed.shard.trigger(X);
    const got = await bed.shard.takeAndObserve(10, 5000, 'x', 5);
    expect(got).toMatchObject({ taken: [{ member: X }], look: null });
  });
});

describe('what is told', () => {
  test('names the one member that is due at once, and no other', async () => {
    const messages: string[] = [];
    const subscriber = bed.store.openSubscriber();
    await subscriber.subscribe(bed.shard.keys.wakeChannel, (message) => messages.push(message));
    await bed.shard.trigger(X, T0 + 50);
    const uid = await bed.createJob();
    await bed.settleDue();
    await Promise.all([bed.createJob(), bed.createJob()]);
    await bed.settleDue();
    await bed.shard.trigger('session:s');
    await waitFor(() => messages.length === 4);
    subscriber.close();
    expect(messages).toEqual([`${T0 + 50}`, `${T0} job:${uid}`, `${T0}`, `${T0} session:s`]);
  });
});

describe('done', () => {
  test('puts the next look where it is wanted', async () => {
    await bed.shard.trigger(X);
    const [taken] = await take();
    expect(await bed.shard.done(taken!, T0 + 700)).toBe('done');
    expect(await bed.dueAtMs(X)).toBe(T0 + 700);
  });

  test('with never forgets the member, counts included', async () => {
    await bed.shard.trigger(X);
    const [taken] = await take();
    expect(await bed.shard.done(taken!, null)).toBe('done');
    expect(await bed.dueAtMs(X)).toBeNull();
    expect(await bed.redis.hlen(bed.shard.keys.dueCounts)).toBe(0);
    expect(await bed.redis.hlen(bed.shard.keys.dueTaken)).toBe(0);
  });

  test('a second time is a replay and changes nothing', async () => {
    await bed.shard.trigger(X);
    const [taken] = await take();
    await bed.shard.done(taken!, T0 + 700);
    expect(await bed.shard.done(taken!, null)).toBe('replayed');
    expect(await bed.dueAtMs(X)).toBe(T0 + 700);
  });

  test('of a taking that ended is a replay once another has the member', async () => {
    await bed.shard.trigger(X);
    const [late] = await take();
    bed.clock.advance(5_000);
    const [present] = await take();
    expect(await bed.shard.done(late!, null)).toBe('replayed');
    expect(await bed.shard.done(present!, T0 + 9_000)).toBe('done');
    expect(await bed.dueAtMs(X)).toBe(T0 + 9_000);
  });

  test('after a trigger in between has the member due again at once, whatever was wanted', async () => {
    await bed.shard.trigger(X);
    const [taken] = await take();
    await bed.shard.trigger(X, T0 + 60_000);
    expect(await bed.dueAtMs(X)).toBe(T0 + 5_000);
    expect(await bed.shard.done(taken!, null)).toBe('again');
    expect(await bed.dueAtMs(X)).toBe(T0);
    expect((await take())[0]?.count).toBe(2);
  });
});

describe('trigger', () => {
  test('only ever makes a member due sooner', async () => {
    await bed.shard.trigger(X, T0 + 500);
    await bed.shard.trigger(X, T0 + 900);
    expect(await bed.dueAtMs(X)).toBe(T0 + 500);
    await bed.shard.trigger(X, T0 + 100);
    expect(await bed.dueAtMs(X)).toBe(T0 + 100);
  });

  test('reaches a member whose taker died and whose taking ended', async () => {
    await bed.shard.trigger(X);
    await take();
    bed.clock.advance(6_000);
    await bed.shard.trigger(X);
    expect((await take()).map((one) => one.member)).toEqual([X]);
  });

  test('wakes when it is the next one due, and only then', async () => {
    const subscriber = bed.store.openSubscriber();
    const heard: number[] = [];
    await subscriber.subscribe(bed.shard.keys.wakeChannel, (message) =>
      heard.push(Number(message)),
    );
    await bed.shard.trigger('job:a', T0 + 500);
    await bed.shard.trigger('job:b', T0 + 900);
    await bed.shard.trigger('job:c', T0 + 100);
    await bed.shard.trigger('job:d', T0 + 50);
    await waitFor(() => heard.length >= 3);
    expect(heard).toEqual([T0 + 500, T0 + 100, T0 + 50]);
    subscriber.close();
  });
});

test('the clock of a shard never goes back, though that of its callers does', async () => {
  await bed.createJob({ uid: 'u1' });
  const version = await bed.shard.resourceVersion();
  bed.clock.set(T0 - 60_000);
  expect((await bed.shard.take(1, 5000)).nowMs).toBe(T0);
  await bed.createJob({ uid: 'u2' });
  expect(await bed.shard.resourceVersion()).toBe(version + 1);
  expect((await bed.shard.getJobByUid('u2'))?.createdMs).toBe(T0);
});
