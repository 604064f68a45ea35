/** The model is Kubernetes: facts of its documentation and source, with every deviation off. */
import { expect, test } from 'vitest';
import { KUBERNETES, ReferenceJob } from './model.ts';
import type { PodRef, Spec } from './spec.ts';

const T0_MS = Date.UTC(2026, 0, 15, 12, 0, 0);

const SPEC: Spec = {
  parallelism: 1,
  completions: 1,
  indexed: false,
  backoffLimit: 6,
  backoffLimitPerIndex: null,
  maxFailedIndexes: null,
  activeDeadlineSeconds: null,
  suspend: false,
  restartPolicy: 'Never',
  podReplacementPolicy: 'TerminatingOrFailed',
  failureRules: null,
  successRules: null,
  containers: ['main'],
};

/** A Job whose pods run, and a clock of its own. */
class Play {
  readonly job: ReferenceJob;
  #nowMs = T0_MS;

  constructor(spec: Partial<Spec>) {
    this.job = new ReferenceJob({ ...SPEC, ...spec }, T0_MS, KUBERNETES);
    this.job.bringWorkers();
    this.after(0);
  }

  after(seconds: number, act: (job: ReferenceJob) => void = () => {}): this {
    this.#nowMs += seconds * 1000;
    this.job.settle(this.#nowMs);
    act(this.job);
    this.job.settle(this.#nowMs);
    return this;
  }

  get waitSeconds(): number {
    return (this.job.wakeMs - this.#nowMs) / 1000;
  }
}

const pod = (index: number, terminating = false): PodRef => ({ index, terminating, at: 0 });
const failed = { exitCodes: [1], drained: false };

test('backoffLimit 2: three failed pods, 10 and 20 s apart', () => {
  const play = new Play({ backoffLimit: 2 });
  play.after(1, (job) => job.end(pod(0), failed));
  expect(play.waitSeconds).toBe(10);
  play.after(10).after(1, (job) => job.end(pod(0), failed));
  expect(play.waitSeconds).toBe(20);
  play.after(20).after(1, (job) => job.end(pod(0), failed));
  expect(play.job.view()).toMatchObject({
    failed: 3,
    completionMs: null,
    conditions: [
      { type: 'FailureTarget', reason: 'BackoffLimitExceeded' },
      { type: 'Failed', reason: 'BackoffLimitExceeded' },
    ],
  });
});

test('four pods that fail at once are four failures in a row: 80 s', () => {
  const play = new Play({ parallelism: 4, completions: 4 });
  play.after(1, (job) => {
    for (const index of [0, 1, 2, 3]) job.end(pod(index), failed);
  });
  expect(play.waitSeconds).toBe(80);
});

test('a node that dies fails a Job without retries', () => {
  const play = new Play({ backoffLimit: 1 }).after(1, (job) => job.lose(pod(0)));
  play.after(10).after(1, (job) => job.lose(pod(0)));
  expect(play.job.isFinished).toBe(true);
});

test('a pod that terminates with podReplacementPolicy Failed is neither active nor failed', () => {
  const play = new Play({ podReplacementPolicy: 'Failed' });
  play.after(1, (job) => job.remove(pod(0)));
  expect(play.job.view()).toMatchObject({ active: 0, failed: 0, terminating: 1 });
  play.after(1, (job) => job.end(pod(0, true), failed));
  expect(play.job.view()).toMatchObject({ active: 0, failed: 1, terminating: 0 });
});

test('a failed pod of an index that goes on is counted when its replacement is there', () => {
  const play = new Play({ indexed: true, completions: 2, backoffLimitPerIndex: 1 });
  play.after(1, (job) => job.end(pod(0), failed));
  expect(play.job.view()).toMatchObject({ active: 0, failed: 0, failedIndexes: '' });
  play.after(10);
  expect(play.job.view()).toMatchObject({ active: 1, failed: 1, pods: ['0 Running'] });
});

test('with OnFailure restarts of pods that terminate count as well', () => {
  const play = new Play({
    restartPolicy: 'OnFailure',
    parallelism: 2,
    completions: 5,
    backoffLimit: 2,
  });
  play.after(1, (job) => job.restart(pod(0))).after(1, (job) => job.edit({ parallelism: 1 }));
  expect(play.job.view().pods).toEqual(['0 Terminating', '1 Running']);
  play.after(1, (job) => job.restart(pod(1)));
  expect(play.job.view().conditions.at(-1)).toMatchObject({ reason: 'BackoffLimitExceeded' });
});

test('suspended: no start time, no deadline, nothing counted; resumed: the clock begins anew', () => {
  const play = new Play({ activeDeadlineSeconds: 10 });
  play.after(5, (job) => job.edit({ suspend: true })).after(60);
  expect(play.job.view()).toMatchObject({
    startMs: null,
    failed: 0,
    terminating: 1,
    conditions: [{ type: 'Suspended', status: 'True', reason: 'JobSuspended' }],
  });
  play.after(1, (job) => job.edit({ suspend: false }));
  expect(play.waitSeconds).toBe(10);
  expect(play.job.view()).toMatchObject({
    startMs: T0_MS + 66_000,
    conditions: [{ type: 'Suspended', status: 'False', reason: 'JobResumed' }],
  });
});
