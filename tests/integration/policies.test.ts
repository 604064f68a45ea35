import { existsSync } from 'node:fs';

import { waitFor } from '@drover/testkit';
import { afterAll, beforeAll, expect, onTestFailed, test } from 'vitest';

import { Engine } from './support/engine.ts';
import { handlerJob, recordedScript } from './support/manifests.ts';
import { runsByIndex } from './support/records.ts';

/** One engine for all: the Jobs have nothing to do with each other. */
let engine: Engine;

beforeAll(async () => {
  engine = await Engine.open();
  await Promise.all([engine.controller({ backoffBaseMs: 50 }), engine.worker({ maxPods: 20 })]);
});

afterAll(async () => {
  await engine.close();
});

const INDEX = 'batch.kubernetes.io/job-completion-index';
const FAILURE_COUNT = 'batch.kubernetes.io/job-index-failure-count';

test('every index is run though some of them never work', async () => {
  onTestFailed(() => engine.show());
  const { drover, records } = engine;
  const shape = { name: 'some-fail', completions: 10, parallelism: 3, indexed: true };
  await drover.jobs.create(
    handlerJob('some-fail', { ...shape, backoffLimitPerIndex: 1 }, { failing: [1, 4, 8] }),
  );
  const job = await engine.finished('some-fail');
  expect(job.status).toMatchObject({
    succeeded: 7,
    failed: 6,
    completedIndexes: '0,2,3,5-7,9',
    failedIndexes: '1,4,8',
    conditions: [
      { type: 'FailureTarget', reason: 'FailedIndexes', message: 'Job has failed indexes' },
      { type: 'Failed', reason: 'FailedIndexes' },
    ],
  });
  const tries = runsByIndex(records.read('some-fail'));
  const wanted = [1, 2, 1, 1, 2, 1, 1, 1, 2, 1];
  expect(wanted.map((_, index) => tries.get(index))).toEqual(wanted);
});

test('more failed indexes than maxFailedIndexes end the Job, and what runs is stopped', async () => {
  onTestFailed(() => engine.show());
  const { drover, records } = engine;
  const shape = { name: 'too-many', completions: 50, parallelism: 5, indexed: true };
  const limits = { backoffLimitPerIndex: 0, maxFailedIndexes: 2 };
  await drover.jobs.create(
    handlerJob('some-fail', { ...shape, ...limits }, { failing: [2, 3, 5], waiting: [0, 1] }),
  );
  const job = await engine.finished('too-many');
  expect(job.status).toMatchObject({
    failedIndexes: '2,3,5',
    conditions: [{ reason: 'MaxFailedIndexesExceeded' }, { reason: 'MaxFailedIndexesExceeded' }],
  });
  const runs = records.read('too-many');
  expect(runs.length).toBeLessThan(50);
  // The two that waited were stopped, and are counted failed.
  expect(runs.filter(({ index }) => index === 0 || index === 1)).toHaveLength(2);
  expect(job.status?.failed).toBeGreaterThanOrEqual(5);
});

test('a pod says how often its index failed before it, in its environment too', async () => {
  onTestFailed(() => engine.show());
  const { drover, records } = engine;
  const shape = { name: 'counts', completions: 2, parallelism: 2, indexed: true };
  const script = `echo "try $TRY"; [ "$TRY" = 2 ] || [ "$JOB_COMPLETION_INDEX" = 1 ] || exit 1`;
  const fieldPath = `metadata.annotations['${FAILURE_COUNT}']`;
  await drover.jobs.create(
    recordedScript(records, script, { ...shape, backoffLimitPerIndex: 2 }, [
      { name: 'TRY', valueFrom: { fieldRef: { fieldPath } } },
    ]),
  );
  const job = await engine.finished('counts');
  expect(job.status).toMatchObject({ succeeded: 2, failed: 2, failedIndexes: '' });
  const pods = await engine.pods('counts');
  const tries = pods.map(({ metadata, status }) => {
    const { [INDEX]: index, [FAILURE_COUNT]: failures } = metadata.annotations ?? {};
    return `${index} ${failures} ${status?.phase}`;
  });
  expect(new Set(tries)).toEqual(
    new Set(['0 0 Failed', '0 1 Failed', '0 2 Succeeded', '1 0 Succeeded']),
  );
});

test('a pod that takes its time to stop is replaced only when it has ended', async () => {
  onTestFailed(() => engine.show());
  const { drover, records } = engine;
  const shape = { name: 'slow-end', completions: 1, graceSeconds: 30 };
  // The first pod hears of SIGTERM, and ends when the test lets it.
  const slow = `until [ -e "$GO" ]; do sleep 0.02; done; exit 3`;
  const script = `[ -e "$GO.first" ] || { trap : TERM; touch "$GO.first"; ${slow}; }`;
  await drover.jobs.create(
    recordedScript(records, script, { ...shape, spec: { podReplacementPolicy: 'Failed' } }),
  );
  // Before it would be ended by SIGTERM, and the second one be the slow one.
  await waitFor(() => existsSync(`${records.goFile('slow-end')}.first`));
  expect(records.read('slow-end')).toHaveLength(1);
  const [pod] = await engine.pods('slow-end');
  await drover.pods.delete(pod!.metadata.name);
  const between = await engine.until('slow-end', ({ terminating }) => terminating === 1);
  expect(between.status).toMatchObject({ ready: 0, terminating: 1 });
  expect(between.status).not.toHaveProperty('active');
  expect(between.status).not.toHaveProperty('failed');
  expect(records.read('slow-end')).toHaveLength(1);

  records.go('slow-end');
  const job = await engine.finished('slow-end');
  expect(job.status).toMatchObject({ succeeded: 1, failed: 1 });
  expect(records.read('slow-end')).toHaveLength(2);
});

test('an exit code ends the Job early, with retries left', async () => {
  onTestFailed(() => engine.show());
  const { drover, records } = engine;
  const shape = { name: 'fail-early', completions: 8, parallelism: 2, indexed: true };
  const podFailurePolicy = {
    rules: [{ action: 'FailJob', onExitCodes: { operator: 'In', values: [42] } }],
  };
  const script = `[ "$JOB_COMPLETION_INDEX" = 0 ] && until [ -e "$GO" ]; do sleep 0.02; done; exit 42`;
  await drover.jobs.create(
    recordedScript(records, script, { ...shape, backoffLimit: 6, spec: { podFailurePolicy } }),
  );
  const job = await engine.finished('fail-early');
  expect(job.status).toMatchObject({
    failed: 2,
    conditions: [
      { type: 'FailureTarget', reason: 'PodFailurePolicy' },
      { type: 'Failed', reason: 'PodFailurePolicy' },
    ],
  });
  const [failed] = await engine.pods('fail-early');
  expect(job.status?.conditions?.at(-1)?.message).toBe(
    `Container main for pod default/${failed?.metadata.name} failed with exit code 42 matching FailJob rule at index 0`,
  );
  expect(records.read('fail-early')).toHaveLength(2);
});

test('failures that are ignored go beyond backoffLimit', async () => {
  onTestFailed(() => engine.show());
  const { drover, records } = engine;
  const podFailurePolicy = {
    rules: [{ action: 'Ignore', onExitCodes: { operator: 'In', values: [42] } }],
  };
  // Three times 42, and then it works.
  const script = `n=$(ls "$GO".* 2>/dev/null | wc -l); touch "$GO.$n"; [ "$n" = 3 ] || exit 42`;
  await drover.jobs.create(
    recordedScript(records, script, {
      name: 'ignored',
      backoffLimit: 0,
      spec: { podFailurePolicy },
    }),
  );
  const job = await engine.finished('ignored');
  expect(job.status).toMatchObject({ succeeded: 1, conditions: [{}, { type: 'Complete' }] });
  expect(job.status?.failed ?? 0).toBe(0);
  const phases = (await engine.pods('ignored')).map(({ status }) => status?.phase);
  expect(phases.toSorted()).toEqual(['Failed', 'Failed', 'Failed', 'Succeeded']);
});

test('a disruption that is ignored does not count, even with backoffLimit 0', async () => {
  onTestFailed(() => engine.show());
  const { drover, records } = engine;
  const podFailurePolicy = {
    rules: [{ action: 'Ignore', onPodConditions: [{ type: 'DisruptionTarget' }] }],
  };
  const shape = { name: 'disrupted', completions: 2, parallelism: 2, indexed: true };
  const selector = { nodeSelector: { 'drover.dev/pool': 'doomed' } };
  const doomed = await engine.worker({ maxPods: 2, pool: 'doomed' });
  await drover.jobs.create(
    handlerJob('wait', { ...shape, backoffLimit: 0, spec: { podFailurePolicy }, pod: selector }),
  );
  await waitFor(() => records.read('disrupted').length === 2);
  await doomed.process.kill('SIGKILL');
  await engine.worker({ maxPods: 2, pool: 'doomed' });
  records.go('disrupted');
  const job = await engine.finished('disrupted');
  expect(job.status).toMatchObject({ succeeded: 2, conditions: [{}, { type: 'Complete' }] });
  expect(job.status?.failed ?? 0).toBe(0);
  const lost = (await engine.pods('disrupted')).filter(({ status }) => status?.phase === 'Failed');
  expect(lost).toHaveLength(2);
  for (const pod of lost) {
    expect(pod.status?.conditions?.at(-1)).toMatchObject({
      type: 'DisruptionTarget',
      status: 'True',
    });
  }
});

test('FailIndex gives up one index at once, and the others go on', async () => {
  onTestFailed(() => engine.show());
  const { drover, records } = engine;
  const podFailurePolicy = {
    rules: [
      { action: 'FailIndex', onExitCodes: { containerName: 'main', operator: 'In', values: [42] } },
    ],
  };
  const shape = { name: 'fail-index', completions: 4, parallelism: 2, indexed: true };
  const script = `[ "$JOB_COMPLETION_INDEX" = 1 ] && exit 42; true`;
  await drover.jobs.create(
    recordedScript(records, script, {
      ...shape,
      backoffLimitPerIndex: 3,
      spec: { podFailurePolicy },
    }),
  );
  const job = await engine.finished('fail-index');
  expect(job.status).toMatchObject({
    succeeded: 3,
    failed: 1,
    completedIndexes: '0,2,3',
    failedIndexes: '1',
    conditions: [{ reason: 'FailedIndexes' }, { type: 'Failed', reason: 'FailedIndexes' }],
  });
});

test('the index that matters completes the Job, others pending', async () => {
  onTestFailed(() => engine.show());
  const { drover, records } = engine;
  const shape = { name: 'leader', completions: 60, parallelism: 60, indexed: true };
  const followers = Array.from({ length: 59 }, (_, i) => i + 1);
  const successPolicy = { rules: [{ succeededIndexes: '0' }] };
  // There are fewer lanes than pods: most of them never get to run.
  await drover.jobs.create(
    handlerJob('some-fail', { ...shape, spec: { successPolicy } }, { waiting: followers }),
  );
  const job = await engine.finished('leader');
  expect(job.status).toMatchObject({
    conditions: [
      { type: 'SuccessCriteriaMet', reason: 'SuccessPolicy', message: 'Matched rules at index 0' },
      { type: 'Complete', reason: 'SuccessPolicy', message: 'Matched rules at index 0' },
    ],
  });
  expect(job.status).toMatchObject({ succeeded: 1, completedIndexes: '0', terminating: 0 });
  expect(job.status?.failed ?? 0).toBe(0);
  expect(records.read('leader').length).toBeLessThan(60);
  expect(await engine.pods('leader')).toHaveLength(1);
});
