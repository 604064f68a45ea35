/** Jobs with policies, on a real Redis. */
import { describe, expect, test } from 'vitest';
import { podName, podSuffix } from '@drover/shared';
import {
  type FakeWorker,
  type RunningPod,
  type SpecInput,
  TestBed,
  type TestController,
} from './bed.ts';

let bed: TestBed;
let controller: TestController;
let worker: FakeWorker;

TestBed.forEachTest(async (fresh) => {
  bed = fresh;
  controller = bed.controller();
  worker = await bed.worker();
});

async function deletePods(uid: string): Promise<void> {
  const pods = await bed.shard.allSlots(uid);
  await bed.shard.stopPods({ uid, guard: null, pods, countAs: 'unjudged' });
}

describe('podReplacementPolicy Failed', () => {
  test('a pod that its user deleted is replaced when it has ended, and counted for its end', async () => {
    const uid = await bed.createJob({
      parallelism: 2,
      completions: 4,
      podReplacementPolicy: 'Failed',
    });
    await bed.settle(controller);
    const [one, two] = await worker.acquireAll(uid);
    await deletePods(uid);
    await bed.pass(1_000, controller);
    const between = await bed.status(uid);
    expect(between).toMatchObject({ ready: 0, terminating: 2 });
    for (const field of ['active', 'failed', 'succeeded'])
      expect(between).not.toHaveProperty(field);
    expect(await bed.counters(uid)).toMatchObject({ podCount: 2 });

    await worker.succeed(one!);
    await bed.settle(controller);
    await worker.fail(two!);
    await bed.settle(controller);
    await bed.pass(1_000, controller);
    expect(await bed.status(uid)).toMatchObject({
      active: 2,
      terminating: 0,
      succeeded: 1,
      failed: 1,
    });
  });

  test('may be given while the Job runs, and then holds for pods that are told to stop', async () => {
    const spec = { parallelism: 2, completions: 4 };
    const uid = await bed.createJob(spec);
    await bed.settle(controller);
    await worker.acquireAll(uid);
    await bed.updateJob(uid, { ...spec, podReplacementPolicy: 'Failed' });
    await bed.settle(controller);
    await deletePods(uid);
    await bed.settle(controller);
    expect(await bed.counters(uid)).toMatchObject({ active: 0, terminating: 2, failed: 0 });

    await bed.updateJob(uid, spec);
    await bed.settle(controller);
    // Their indexes are still theirs, and two others are free.
    expect(await bed.counters(uid)).toMatchObject({ active: 2, terminating: 2, failed: 0 });
  });

  test('a Job that fails counts them all at once', async () => {
    const uid = await bed.createJob({
      parallelism: 3,
      completions: 4,
      backoffLimit: 0,
      podReplacementPolicy: 'Failed',
    });
    await bed.settle(controller);
    const pods = await worker.acquireAll(uid);
    const [first] = (await bed.shard.allSlots(uid)).filter((slot) => slot.slot === pods[0]!.slot);
    await bed.shard.stopPods({ uid, guard: null, pods: [first!], countAs: 'unjudged' });
    await worker.fail(pods[1]!);
    await bed.settle(controller);
    expect(await bed.counters(uid)).toMatchObject({ active: 0, terminating: 2, failed: 3 });
    await worker.succeed(pods[0]!);
    await worker.succeed(pods[2]!);
    await bed.settle(controller);
    expect(await bed.status(uid)).toMatchObject({
      failed: 3,
      terminating: 0,
      conditions: [{ type: 'FailureTarget' }, { type: 'Failed', reason: 'BackoffLimitExceeded' }],
    });
  });
});

describe('podFailurePolicy', () => {
  const onCodes = (action: string, ...values: number[]) => ({
    action,
    onExitCodes: { operator: 'In', values },
  });
  const onDisruption = (action: string) => ({
    action,
    onPodConditions: [{ type: 'DisruptionTarget', status: 'True' }],
  });

  async function failing(spec: Partial<SpecInput>): Promise<{ uid: string; pods: RunningPod[] }> {
    const uid = await bed.createJob({
      parallelism: 2,
      completions: 4,
      podReplacementPolicy: 'Failed',
      ...spec,
    });
    await bed.settle(controller);
    return { uid, pods: await worker.acquireAll(uid) };
  }

  test('an exit code ends the Job, and says which pod it was', async () => {
    const { uid, pods } = await failing({ podFailurePolicy: { rules: [onCodes('FailJob', 42)] } });
    await worker.fail(pods[0]!, 'Error', { exitCode: 42 });
    await bed.settle(controller);
    await worker.succeed(pods[1]!);
    await bed.settle(controller);
    const status = await bed.status(uid);
    expect(status).toMatchObject({
      failed: 2,
      conditions: [
        { type: 'FailureTarget', reason: 'PodFailurePolicy' },
        { type: 'Failed', reason: 'PodFailurePolicy' },
      ],
    });
    const name = podName(`job-${uid}`, null, podSuffix(uid, pods[0]!.claim.podNumber));
    expect(status.conditions?.at(-1)?.message).toBe(
      `Container main for pod default/${name} failed with exit code 42 matching FailJob rule at index 0`,
    );
  });

  test('of several containers each has its own exit code, initContainers too', async () => {
    const ended = (name: string, exitCode: number) => ({
      name,
      ready: false,
      restartCount: 0,
      state: { terminated: { exitCode } },
    });
    const rules = [
      { action: 'FailJob', onExitCodes: { containerName: 'main', operator: 'In', values: [3] } },
      { action: 'Ignore', onExitCodes: { containerName: 'prepare', operator: 'In', values: [3] } },
    ];
    const { uid, pods } = await failing({
      podFailurePolicy: { rules },
      podSpec: { initContainers: [{ name: 'prepare' }], containers: [{ name: 'main' }] },
    });
    const prepare = { details: { containers: [ended('prepare', 3)] } };
    await worker.fail(pods[0]!, 'Error', { exitCode: 3, overlay: prepare });
    await bed.pass(10_000, controller);
    expect(await bed.counters(uid)).toMatchObject({ active: 2, failed: 0, unjudged: 0 });

    const main = { details: { containers: [ended('prepare', 0), ended('main', 3)] } };
    await worker.fail(pods[1]!, 'Error', { exitCode: 3, overlay: main });
    await bed.settle(controller);
    expect((await bed.status(uid)).conditions?.[0]?.message).toMatch(/^Container main for pod/);
  });

  test('ignored failures do not count, however many; the pause between pods grows', async () => {
    const { uid, pods } = await failing({
      parallelism: 1,
      backoffLimit: 0,
      podFailurePolicy: { rules: [onCodes('Ignore', 42)] },
    });
    let [pod] = pods;
    for (const seconds of [10, 20, 40]) {
      await worker.fail(pod!, 'Error', { exitCode: 42 });
      await bed.settle(controller);
      await bed.pass(seconds * 1000 - 1, controller);
      expect((await bed.counters(uid)).active).toBe(0);
      await bed.pass(1, controller);
      [pod] = await worker.acquireAll(uid);
    }
    expect(await bed.counters(uid)).toMatchObject({ failed: 0, limitFailures: 0, podCount: 4 });
    await worker.fail(pod!, 'Error', { exitCode: 1 });
    await bed.settle(controller);
    expect((await bed.status(uid)).conditions?.at(-1)).toMatchObject({
      type: 'Failed',
      reason: 'BackoffLimitExceeded',
    });
  });

  test('a pod whose worker is lost has no exit code, but the condition of a disruption', async () => {
    const { uid } = await failing({
      backoffLimit: 0,
      podFailurePolicy: { rules: [onCodes('FailJob', 137), onDisruption('Ignore')] },
    });
    worker.isAlive = false;
    const other = await bed.worker();
    await bed.pass(9_000, controller);
    expect(await bed.counters(uid)).toMatchObject({ active: 2, failed: 0, podCount: 4 });
    worker = other;
    await worker.runAll(await worker.acquireAll(uid));
    await bed.settle(controller);
    expect((await bed.status(uid)).conditions?.at(-1)?.type).toBe('Complete');
  });

  test('a pod that its user deleted is looked at when it has ended, by its exit code', async () => {
    const { uid, pods } = await failing({ podFailurePolicy: { rules: [onCodes('Ignore', 143)] } });
    await deletePods(uid);
    await worker.fail(pods[0]!, 'Error', { exitCode: 143 });
    await worker.fail(pods[1]!, 'Error', { exitCode: 1 });
    await bed.settle(controller);
    // Both are replaced at once: a deletion is no reason to wait.
    expect(await bed.counters(uid)).toMatchObject({ active: 2, failed: 1, podCount: 4 });
  });

  test('FailIndex gives up an index, the others go on', async () => {
    const { uid, pods } = await failing({
      completionMode: 'Indexed',
      backoffLimit: 2 ** 31 - 1,
      backoffLimitPerIndex: 5,
      podFailurePolicy: { rules: [onCodes('FailIndex', 42)] },
    });
    const first = pods.find((pod) => pod.claim.index === 0)!;
    await worker.fail(first, 'Error', { exitCode: 42 });
    await bed.pass(1_000, controller);
    expect(await bed.status(uid)).toMatchObject({ active: 2, failed: 1, failedIndexes: '0' });
  });
});

describe('successPolicy', () => {
  test('the index that matters completes the Job; what runs and what waits is stopped, uncounted', async () => {
    const uid = await bed.createJob({
      completionMode: 'Indexed',
      parallelism: 3,
      completions: 9,
      successPolicy: { rules: [{ succeededIndexes: '1' }] },
    });
    await bed.settle(controller);
    // Index 2 waits for a worker.
    const slots = (await bed.shard.allSlots(uid)).toSorted((a, b) => a.index - b.index);
    const [other, leader] = [
      await worker.acquire(uid, slots[0]!.slot),
      await worker.acquire(uid, slots[1]!.slot),
    ] as [RunningPod, RunningPod];
    await worker.succeed(leader);
    await bed.settle(controller);
    expect(await bed.counters(uid)).toMatchObject({ succeeded: 1, failed: 0, terminating: 2 });
    const next = (await bed.shard.allSlots(uid)).find((slot) => slot.slot === leader.slot)!;
    await worker.fail({ ...leader, claim: { ...leader.claim, ...next } });
    await worker.fail(other);
    await bed.settle(controller);
    expect(await bed.status(uid)).toMatchObject({
      succeeded: 1,
      completedIndexes: '1',
      terminating: 0,
      conditions: [
        { type: 'SuccessCriteriaMet', reason: 'SuccessPolicy' },
        { type: 'Complete', reason: 'SuccessPolicy', message: 'Matched rules at index 0' },
      ],
    });
    expect(await bed.status(uid)).not.toHaveProperty('failed');
  });

  test('as many successes as it asks for are enough', async () => {
    const uid = await bed.createJob({
      completionMode: 'Indexed',
      parallelism: 2,
      completions: 100,
      successPolicy: {
        rules: [{ succeededIndexes: '50-99', succeededCount: 5 }, { succeededCount: 3 }],
      },
    });
    await bed.settle(controller);
    const [pod, ...others] = await worker.acquireAll(uid);
    let claim = pod!.claim;
    for (let count = 1; count <= 3; count++) {
      const answer = await worker.succeed({ ...pod!, claim });
      if (answer.type === 'next') claim = answer.claim;
      // Each success is looked at, not only when figures are folded.
      const dueMs = await bed.store.redis.zscore(bed.shard.keys.due, `job:${uid}`);
      expect(Number(dueMs)).toBe(bed.clock.now());
      await bed.settle(controller);
    }
    expect((await bed.status(uid)).conditions).toMatchObject([
      { type: 'SuccessCriteriaMet', message: 'Matched rules at index 1' },
    ]);
    expect(others).toHaveLength(1);
  });
});

describe('managedBy', () => {
  test('a Job of another controller is left alone: no status, no pod, no further look', async () => {
    const uid = await bed.createJob({ parallelism: 2, completions: 2, managedBy: 'acme.io/foo' });
    const before = (await bed.shard.getJobByUid(uid))!;
    await bed.settle(controller);
    await bed.pass(60_000, controller);
    expect(await bed.shard.getJobByUid(uid)).toEqual(before);
    expect(await bed.status(uid)).toEqual({});
    expect(await bed.store.redis.zscore(bed.shard.keys.due, `job:${uid}`)).toBeNull();
  });

  test('it is deleted as any other', async () => {
    const uid = await bed.createJob({ managedBy: 'acme.io/foo' });
    await bed.settle(controller);
    await bed.shard.deleteJob(uid);
    await bed.settle(controller);
    expect(await bed.shard.getJobByUid(uid)).toBeNull();
  });

  test('the name of our own controller is the same as none', async () => {
    const uid = await bed.createJob({ managedBy: 'kubernetes.io/job-controller' });
    await bed.settle(controller);
    expect(await bed.status(uid)).toMatchObject({ active: 1 });
  });
});
