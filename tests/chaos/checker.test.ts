import type { JobStatus } from '@drover/shared';
import { describe, expect, test } from 'vitest';

import { check } from './checker.ts';
import type {
  BarePodEvidence,
  CronJobEvidence,
  EndedPod,
  Evidence,
  JobEvidence,
  QueueEvidence,
  SeenStatus,
} from './evidence.ts';
import { parseRuns, type ItemRun, type PodRun } from './records.ts';

const T0 = 1_700_000_000_000;

function run(pod: string, fromMs: number, toMs: number | null, outcome: PodRun['outcome']): PodRun {
  const endMs = toMs === null ? null : T0 + toMs;
  return { owner: 'a-1', pod, node: 'w', pid: 1, startMs: T0 + fromMs, endMs, outcome };
}

function ended(
  index: number,
  fromMs: number,
  toMs: number,
  over: Partial<EndedPod> = {},
): EndedPod {
  const times = { startMs: T0 + fromMs, endMs: T0 + toMs };
  return {
    name: `a-1-${index}-x`,
    index,
    outcome: 'Succeeded',
    reason: 'Completed',
    ...times,
    ...over,
  };
}

function status(
  over: Partial<JobStatus> = {},
  type: 'Complete' | 'Failed' = 'Complete',
): JobStatus {
  const condition = { type, status: 'True' as const, reason: 'CompletionsReached', message: '' };
  return { succeeded: 2, completedIndexes: '0-1', conditions: [condition], ...over };
}

/** A status that was written at a time, and seen a moment later. */
function seenAt(ms: number, active: number): SeenStatus {
  return seen({ atMs: T0 + ms + 1, resourceVersion: (T0 + ms) * 4_096, active });
}

function seen(over: Partial<SeenStatus>): SeenStatus {
  const counts = { active: 0, terminating: 0, succeeded: 0, failed: 0 };
  return { atMs: T0, resourceVersion: 1, ...counts, conditions: [], ...over };
}

/** An Indexed Job of two pods, one after the other, where all was right. */
function job(over: Partial<Omit<JobEvidence, 'plan'>> & { plan?: object } = {}): JobEvidence {
  const { plan, ...rest } = over;
  return {
    plan: {
      name: 'a-1',
      uid: 'uid',
      completions: 2,
      isIndexed: true,
      waitsForStopped: false,
      restarts: false,
      backoffLimitPerIndex: null,
      ignoresFailures: false,
      endings: [{ type: 'Complete' }],
      ...plan,
    },
    limits: [{ parallelism: 1, sentMs: T0 - 100, heardMs: T0 - 90 }],
    deletedPods: 0,
    isDisturbed: false,
    isDeleted: false,
    status: status(),
    seen: [seen({ active: 1 }), seen({ succeeded: 2, conditions: ['Complete'] })],
    pods: [ended(0, 0, 100), ended(1, 100, 200)],
    runs: [run('a-1-0-x', 10, 90, 'ok'), run('a-1-1-x', 110, 190, 'ok')],
    ...rest,
  };
}

function evidence(over: Partial<Evidence>): Evidence {
  const nothing = { jobs: [], queues: [], barePods: [], cronJobs: [] };
  return { ...nothing, leaks: [], remains: [], crashes: [], ...over };
}

describe('a Job', () => {
  const lost = ended(0, 0, 50, { name: 'a-1-0-y', outcome: 'Failed', reason: 'NodeLost' });
  const cases: { name: string; given: JobEvidence; want: readonly string[] }[] = [
    { name: 'where all was right', given: job(), want: [] },
    {
      name: 'whose lost pod goes on after it was given up: that counts for nothing',
      given: job({
        status: status({ failed: 1 }),
        pods: [lost, ended(0, 51, 100), ended(1, 100, 200)],
        runs: [
          run('a-1-0-y', 5, 300, 'ok'),
          run('a-1-0-x', 60, 90, 'ok'),
          run('a-1-1-x', 110, 190, 'ok'),
        ],
      }),
      want: [],
    },
    {
      name: 'that was deleted and is gone',
      given: job({ isDeleted: true, status: null, pods: [] }),
      want: [],
    },
    { name: 'that is gone by itself', given: job({ status: null, pods: [] }), want: ['lost'] },
    { name: 'that is deleted and stays', given: job({ isDeleted: true }), want: ['stuck'] },
    {
      name: 'that never ends',
      given: job({ status: status({ conditions: [] }) }),
      want: ['stuck'],
    },
    { name: 'that fails', given: job({ status: status({}, 'Failed') }), want: ['ending'] },
    {
      name: 'that should have failed for another reason',
      given: job({ plan: { endings: [{ type: 'Complete', reason: 'SuccessPolicy' }] } }),
      want: ['ending'],
    },
    {
      name: 'with two pods at once of one',
      given: job({ pods: [ended(0, 0, 101), ended(1, 100, 200)] }),
      want: ['parallelism'],
    },
    {
      name: 'with two pods at once while it may have had two',
      given: job({
        pods: [ended(0, 0, 101), ended(1, 100, 200)],
        limits: [
          { parallelism: 2, sentMs: T0 - 100, heardMs: T0 - 90 },
          { parallelism: 1, sentMs: T0, heardMs: T0 + 100 },
        ],
      }),
      want: [],
    },
    {
      name: 'with two pods at once when it had come down to the one that it may have',
      given: job({
        pods: [ended(0, 0, 101), ended(1, 100, 200)],
        limits: [
          { parallelism: 2, sentMs: T0 - 100, heardMs: T0 - 90 },
          { parallelism: 1, sentMs: T0, heardMs: T0 + 40 },
        ],
        seen: [seenAt(-50, 1), seenAt(45, 1)],
      }),
      want: ['parallelism'],
    },
    {
      name: 'with a pod that waited already when it was answered that it may have one',
      given: job({
        pods: [ended(0, 0, 101), ended(1, 100, 200)],
        limits: [
          { parallelism: 2, sentMs: T0 - 100, heardMs: T0 - 90 },
          { parallelism: 1, sentMs: T0, heardMs: T0 + 40 },
        ],
        seen: [seenAt(-50, 1), seenAt(45, 2)],
      }),
      want: [],
    },
    {
      name: 'with a pod while it was suspended',
      given: job({
        limits: [
          { parallelism: 1, sentMs: T0 - 100, heardMs: T0 - 90 },
          { parallelism: 0, sentMs: T0, heardMs: T0 + 20 },
          { parallelism: 1, sentMs: T0 + 300, heardMs: T0 + 310 },
        ],
        seen: [seenAt(30, 0)],
      }),
      want: ['parallelism'],
    },
    {
      name: 'whose pods from before it may have fewer go on to their end',
      given: job({
        pods: [ended(0, 0, 500), ended(1, 0, 200)],
        runs: [run('a-1-0-x', 10, 490, 'ok'), run('a-1-1-x', 10, 190, 'ok')],
        limits: [
          { parallelism: 2, sentMs: T0 - 100, heardMs: T0 - 90 },
          { parallelism: 1, sentMs: T0 + 60, heardMs: T0 + 70 },
        ],
      }),
      want: [],
    },
    {
      name: 'with a success of a pod that failed',
      given: job({ runs: [run('a-1-0-x', 10, 90, 'fail'), run('a-1-1-x', 110, 190, 'ok')] }),
      want: ['fencing'],
    },
    {
      name: 'with a success of a pod that never ran',
      given: job({ runs: [run('a-1-1-x', 110, 190, 'ok')] }),
      want: ['fencing'],
    },
    {
      name: 'with a success that was counted before the pod ended',
      given: job({ runs: [run('a-1-0-x', 10, 190, 'ok'), run('a-1-1-x', 110, 190, 'ok')] }),
      want: ['fencing'],
    },
    {
      name: 'with a pod that ran before it was claimed',
      given: job({ runs: [run('a-1-0-x', 10, 90, 'ok'), run('a-1-1-x', 40, 190, 'ok')] }),
      want: ['fencing'],
    },
    {
      name: 'with a pod that ran twice',
      given: job({ runs: [...job().runs, run('a-1-1-x', 150, null, null)] }),
      want: ['once', 'fencing'],
    },
    {
      name: 'with more successes than pods',
      given: job({ plan: { completions: 3 }, status: status({ succeeded: 3 }) }),
      want: ['counts', 'counts'],
    },
    {
      name: 'with an index that succeeded twice',
      given: job({
        pods: [ended(0, 0, 100), ended(0, 100, 200, { name: 'a-1-1-x' })],
        status: status({ completedIndexes: '0' }),
      }),
      want: ['counts', 'counts'],
    },
    {
      name: 'with a failure that is not counted',
      given: job({ pods: [lost, ended(0, 51, 100), ended(1, 100, 200)] }),
      want: ['counts'],
    },
    {
      name: 'with a failure too many',
      given: job({ status: status({ failed: 1 }) }),
      want: ['counts'],
    },
    {
      name: 'whose user deleted a pod',
      given: job({ status: status({ failed: 1 }), deletedPods: 1 }),
      want: [],
    },
    {
      name: 'that is Complete with too few',
      given: job({
        plan: { completions: 3 },
      }),
      want: ['counts'],
    },
    {
      name: 'with an index that failed too early',
      given: job({
        plan: { backoffLimitPerIndex: 1, endings: [{ type: 'Failed', reason: 'FailedIndexes' }] },
        status: {
          ...status({ succeeded: 1, completedIndexes: '1', failedIndexes: '0', failed: 1 }),
          conditions: [
            { type: 'Failed', status: 'True', reason: 'FailedIndexes', message: '' },
          ] as never,
        },
        pods: [ended(0, 0, 100, { outcome: 'Failed', reason: 'Error' }), ended(1, 100, 200)],
        runs: [run('a-1-0-x', 10, 90, 'fail'), run('a-1-1-x', 110, 190, 'ok')],
      }),
      want: ['counts'],
    },
    {
      name: 'that is finished and then is not',
      given: job({ seen: [seen({ conditions: ['Failed'] }), seen({})] }),
      want: ['final'],
    },
    {
      name: 'that is finished while a pod runs',
      given: job({ seen: [seen({ active: 1, conditions: ['Complete'] })] }),
      want: ['final'],
    },
    {
      name: 'whose counts shrink',
      given: job({ seen: [seen({ succeeded: 2 }), seen({ succeeded: 1 })] }),
      want: ['final'],
    },
  ];

  test.each(cases)('$name', ({ given, want }) => {
    expect(check(evidence({ jobs: [given] })).map(({ rule }) => rule)).toEqual(want);
  });
});

describe('a work queue', () => {
  const itemRun = (id: number, outcome: ItemRun['outcome']): ItemRun => ({
    queue: 'items-1',
    id,
    node: 'w',
    pid: 1,
    startMs: T0,
    endMs: T0 + 1,
    outcome,
  });
  const queue = (over: Partial<QueueEvidence> = {}): QueueEvidence => ({
    name: 'items-1',
    accepted: 2,
    completed: [{ id: 1, resultId: 1 }],
    dead: [2],
    isAbandoned: false,
    runs: [itemRun(1, 'fail'), itemRun(1, 'ok'), itemRun(2, 'fail')],
    ...over,
  });
  const cases: { name: string; given: QueueEvidence; want: RegExp | null }[] = [
    { name: 'where all was right', given: queue(), want: null },
    {
      name: 'that lost an item',
      given: queue({ dead: [] }),
      want: /items 2 of 2 were never settled/,
    },
    { name: 'whose Job was deleted', given: queue({ dead: [], isAbandoned: true }), want: null },
    {
      name: 'with an item that has two ends',
      given: queue({ dead: [1, 2] }),
      want: /1 was settled 2 times/,
    },
    {
      name: 'with an item that nobody enqueued',
      given: queue({ dead: [2, 3] }),
      want: /3 was never enqueued/,
    },
    {
      name: 'with a result of another item',
      given: queue({ completed: [{ id: 1, resultId: 2 }] }),
      want: /of item 1 is of item 2/,
    },
    {
      name: 'with a result of a run that failed',
      given: queue({ runs: [itemRun(1, 'fail')] }),
      want: /no run of it came to its end/,
    },
  ];

  test.each(cases)('$name', ({ given, want }) => {
    const messages = check(evidence({ queues: [given] })).map(({ message }) => message);
    const expected = want === null ? [] : [want];
    expect(messages).toHaveLength(expected.length);
    for (const [i, pattern] of expected.entries()) expect(messages[i]).toMatch(pattern);
  });
});

describe('a pod without a Job', () => {
  const pod = (over: Partial<BarePodEvidence>): BarePodEvidence => ({
    name: 'bare-1',
    isDeleted: false,
    phase: 'Succeeded',
    runs: [run('bare-1', 0, 10, 'ok')],
    ...over,
  });
  test.each([
    { name: 'that succeeded', given: pod({}), want: [] },
    { name: 'that was lost', given: pod({ phase: 'Failed', runs: [] }), want: [] },
    { name: 'that is gone', given: pod({ phase: null }), want: ['lost'] },
    { name: 'that waits for ever', given: pod({ phase: 'Pending', runs: [] }), want: ['stuck'] },
    { name: 'whose success nobody saw', given: pod({ runs: [] }), want: ['fencing'] },
    {
      name: 'that ran twice',
      given: pod({ runs: [run('bare-1', 0, 10, 'ok'), run('bare-1', 0, 10, 'ok')] }),
      want: ['once'],
    },
  ])('$name', ({ given, want }) => {
    expect(check(evidence({ barePods: [given] })).map(({ rule }) => rule)).toEqual(want);
  });
});

describe('a CronJob', () => {
  const cronJob = (...seconds: number[]): CronJobEvidence => ({
    name: 'tick',
    everyMs: 2_000,
    startedForMs: seconds.map((second) => T0 + second * 1_000),
    fromMs: T0,
    untilMs: T0 + 10_000,
  });
  test.each([
    { name: 'with a Job for each time', given: cronJob(2, 4, 6, 8, 10), want: 0 },
    { name: 'with a time that was missed', given: cronJob(2, 4, 8, 10), want: 1 },
    { name: 'with two Jobs for a time', given: cronJob(2, 4, 4, 6, 8, 10), want: 1 },
    { name: 'that stopped', given: cronJob(2, 4), want: 1 },
    { name: 'that began late', given: cronJob(6, 8, 10), want: 1 },
    { name: 'without Jobs', given: cronJob(), want: 2 },
  ])('$name', ({ given, want }) => {
    expect(check(evidence({ cronJobs: [given] }))).toHaveLength(want);
  });
});

test('what belongs to nobody is told, and who ended by itself', () => {
  const given = evidence({ leaks: ['key x'], remains: ['y'], crashes: ['worker-1 ended'] });
  expect(check(given)).toEqual([
    { rule: 'leak', about: 'keys', message: 'key x' },
    { rule: 'leak', about: 'keys', message: 'y is there when everything was deleted' },
    { rule: 'crash', about: 'processes', message: 'worker-1 ended' },
  ]);
});

test('records: runs of pods and items, of several processes, with and without an end', () => {
  const lines = [
    'pod a-1-0-xxxxx w1 10 start 5',
    'item a-2/7 w1 10 start 6',
    'item a-2/7 w1 10 fail 8',
    'item a-2/7 w1 10 start 9',
    'pod bare-3 w2 11 start 1',
    'pod bare-3 w2 11 ok 2',
  ];
  const times = { pid: 10, endMs: null, outcome: null };
  expect(parseRuns(lines)).toEqual({
    pods: [
      { owner: 'bare-3', pod: 'bare-3', node: 'w2', pid: 11, startMs: 1, endMs: 2, outcome: 'ok' },
      { owner: 'a-1', pod: 'a-1-0-xxxxx', node: 'w1', startMs: 5, ...times },
    ],
    items: [
      { queue: 'a-2', id: 7, node: 'w1', startMs: 6, pid: 10, endMs: 8, outcome: 'fail' },
      { queue: 'a-2', id: 7, node: 'w1', startMs: 9, ...times },
    ],
  });
  expect(() => parseRuns(['pod a-1-xxxxx w1 10 ok 5'])).toThrow('an end without a start');
});
