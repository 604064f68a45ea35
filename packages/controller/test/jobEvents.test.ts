/** What is told of Jobs, as `kubectl describe job` shows it. */
import { podName, podSuffix } from '@drover/shared';
import { describe, expect, test } from 'vitest';
import { conditionEvents } from '../src/decide/events.ts';
import { TestBed, type TestController } from './bed.ts';

let bed: TestBed;
let controller: TestController;

TestBed.forEachTest((fresh) => {
  bed = fresh;
  controller = bed.controller();
});

/** Events of a Job: reason, count, and the message with the names of pods left out. */
async function told(uid: string): Promise<string[]> {
  await controller.writeEvents();
  const events = await bed.shard.events.list({ namespace: 'default', objectName: `job-${uid}` });
  return events
    .toSorted((a, b) => Number(a.metadata.resourceVersion) - Number(b.metadata.resourceVersion))
    .map(({ type, reason, count, message, source }) => {
      expect(source).toEqual({ component: 'job-controller' });
      const text = message.replaceAll(`job-${uid}`, 'job').replaceAll(/-[b-z2-9]{5}\b/g, '-?');
      return `${type} ${reason} x${count} ${text}`;
    });
}

describe('pods for which no worker is', () => {
  async function failures(): Promise<string[]> {
    await controller.writeEvents();
    const all = await bed.shard.events.list({ namespace: 'default' });
    const events = all.filter(({ reason }) => reason === 'FailedScheduling');
    return events.map(({ type, count, message, involvedObject, source }) => {
      expect(source).toEqual({ component: 'default-scheduler' });
      expect(involvedObject).toMatchObject({ kind: 'Pod', apiVersion: 'v1' });
      return `${type} x${count} ${involvedObject.name} ${message}`;
    });
  }

  test('are told of once, by the first of them, whoever looks', async () => {
    const other = bed.controller();
    const uid = await bed.createJob({ parallelism: 3, completions: 3 });
    await bed.settle(controller, other);
    await bed.pass(40_000, controller, other);
    await other.writeEvents();
    const name = podName(`job-${uid}`, null, podSuffix(uid, 1));
    const why = "no worker offers runtime 'process' in pool 'default'";
    expect(await failures()).toEqual([`Warning x1 ${name} ${why}`]);
  });

  test('are not told of while a worker fits, though all of its lanes are taken', async () => {
    await bed.worker();
    await bed.createJob({ parallelism: 1_000, completions: 1_000 });
    await bed.settle(controller);
    await bed.pass(40_000, controller);
    expect(await failures()).toEqual([]);
  });
});

describe('pods that are created', () => {
  test('are told of one by one, those of a slot that followed each other too', async () => {
    const worker = await bed.worker();
    const uid = await bed.createJob({ parallelism: 1, completions: 3, completionMode: 'Indexed' });
    await bed.settle(controller);
    await worker.runAll(await worker.acquireAll(uid));
    await bed.settle(controller);
    expect(await told(uid)).toEqual([
      'Normal SuccessfulCreate x1 Created pod: job-0-?',
      'Normal SuccessfulCreate x1 Created pod: job-1-?',
      'Normal SuccessfulCreate x1 Created pod: job-2-?',
      'Normal Completed x1 Job completed',
    ]);
  });

  test('from the tenth on are told of together, once a second at most', async () => {
    const worker = await bed.worker();
    const uid = await bed.createJob({ parallelism: 2, completions: 1000 });
    await bed.settle(controller);
    const pods = await worker.acquireAll(uid);
    await worker.runAll(pods, 100);
    await bed.pass(1_000, controller);
    const before = controller.told.length;
    for (let round = 0; round < 20; round++) {
      bed.clock.advance(100);
      for (const pod of pods) {
        const slot = (await bed.shard.allSlots(uid)).find(({ slot: s }) => s === pod.slot);
        pod.claim = { ...pod.claim, podNumber: slot?.podNumber ?? 0 };
        await worker.succeed(pod);
      }
      await controller.jobs.reconcile(uid);
    }
    expect(controller.told.length - before).toBeLessThanOrEqual(3);
    const events = await told(uid);
    expect(events).toHaveLength(10);
    const { podCount } = await bed.counters(uid);
    expect(podCount).toBe(142);
    expect(events.at(-1)).toMatch(
      /^Normal SuccessfulCreate x1\d\d \(combined from similar events\): Created pod: job-\?$/,
    );
  });

  test('by two controllers are counted once', async () => {
    const other = bed.controller();
    const worker = await bed.worker();
    const uid = await bed.createJob({ parallelism: 20, completions: 40 });
    await bed.settle(controller, other);
    await worker.runAll(await worker.acquireAll(uid));
    await bed.settle(other, controller);
    await bed.pass(2_000, other, controller);
    await other.writeEvents();
    const events = await told(uid);
    expect(events.filter((event) => event.includes('Created pod'))).toHaveLength(10);
    expect(events.find((event) => event.includes('combined'))).toContain('SuccessfulCreate x31 ');
    expect(events.filter((event) => event.includes('Completed'))).toHaveLength(1);
  });
});

test('failures are told by what was wrong, and the Job’s end after them', async () => {
  const worker = await bed.worker();
  const uid = await bed.createJob({ parallelism: 4, completions: 4, backoffLimit: 2 });
  await bed.settle(controller);
  const pods = await worker.acquireAll(uid);
  await worker.fail(pods[0]!, 'Error', { exitCode: 3 });
  await worker.fail(pods[1]!, 'Error', { exitCode: 3 });
  await worker.fail(pods[2]!, 'OOMKilled', { exitCode: 137 });
  await bed.settle(controller);
  await worker.fail(pods[3]!, 'Error', { exitCode: 143 });
  await bed.settle(controller);
  expect(await told(uid)).toEqual([
    ...Array.from({ length: 4 }, () => 'Normal SuccessfulCreate x1 Created pod: job-?'),
    'Warning PodFailed x2 pod job-? failed: exit code 3',
    'Warning PodFailed x1 pod job-? failed: OOMKilled',
    'Normal SuccessfulDelete x1 Deleted pod: job-?',
    'Warning BackoffLimitExceeded x1 Job has reached the specified backoff limit',
  ]);
});

test('a suspension, the pods that it ends, and the resumption', async () => {
  const worker = await bed.worker();
  const spec = { parallelism: 12, completions: 12 };
  const uid = await bed.createJob(spec);
  await bed.settle(controller);
  const pods = await worker.acquireAll(uid);
  await bed.updateJob(uid, { ...spec, suspend: true });
  await bed.settle(controller);
  for (const pod of pods) await worker.fail(pod);
  await bed.pass(1_000, controller);
  await bed.updateJob(uid, spec);
  await bed.settle(controller);
  const events = (await told(uid)).slice(9);
  expect(events.slice(0, 9)).toEqual(
    Array.from({ length: 9 }, () => 'Normal SuccessfulDelete x1 Deleted pod: job-?'),
  );
  expect(events.slice(9)).toEqual([
    'Normal SuccessfulDelete x3 (combined from similar events): Deleted pod: job-?',
    'Normal Suspended x1 Job suspended',
    'Normal SuccessfulCreate x15 (combined from similar events): Created pod: job-?',
    'Normal Resumed x1 Job resumed',
  ]);
});

describe('conditionEvents', () => {
  const time = '2026-01-15T12:00:00Z';
  const condition = (type: string, status: 'True' | 'False', reason: string) => ({
    type,
    status,
    reason,
    message: `about ${reason}`,
    lastTransitionTime: time,
  });

  test('tells of what is new only, and of the end with its final condition', () => {
    const interim = condition('FailureTarget', 'True', 'DeadlineExceeded');
    const final = condition('Failed', 'True', 'DeadlineExceeded');
    expect(conditionEvents([], [interim])).toEqual([]);
    expect(conditionEvents([interim], [interim, final])).toEqual([
      { type: 'Warning', reason: 'DeadlineExceeded', message: 'about DeadlineExceeded' },
    ]);
    expect(conditionEvents([interim, final], [interim, final])).toEqual([]);
  });

  test('tells of each suspension and resumption', () => {
    const suspended = condition('Suspended', 'True', 'JobSuspended');
    const resumed = condition('Suspended', 'False', 'JobResumed');
    expect(conditionEvents([], [suspended]).map(({ reason }) => reason)).toEqual(['Suspended']);
    expect(conditionEvents([suspended], [resumed]).map(({ reason }) => reason)).toEqual([
      'Resumed',
    ]);
    expect(conditionEvents([resumed], [suspended]).map(({ reason }) => reason)).toEqual([
      'Suspended',
    ]);
  });
});
