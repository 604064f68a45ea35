import { parseJob, type Job } from '@drover/shared';
import { waitFor } from '@drover/testkit';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { InvalidSpecError, NotFoundError } from '../src/index.ts';
import { waitReasons } from '../src/waiting.ts';
import { Engine, handlerJob } from './engine.ts';

const T0 = 1_700_000_000_000;

interface Given {
  readonly spec?: object;
  readonly annotations?: Record<string, string>;
  readonly status?: Job['status'];
  readonly counters?: Partial<Record<'active' | 'running' | 'unjudged' | 'failuresInRow', number>>;
  readonly notBeforeMs?: number;
  readonly lanes?: number;
  readonly unschedulable?: string;
  readonly lacksWorkQueue?: boolean;
  readonly denial?: string;
}

const STARTED = { startTime: '2023-11-14T22:13:20Z' };

/** The reasons of a Job `work`, with what the case is about. */
function reasonsOf({
  spec,
  annotations,
  status,
  counters,
  notBeforeMs,
  lanes = 4,
  unschedulable,
  lacksWorkQueue = false,
  denial,
}: Given) {
  const manifest = handlerJob('work', 'h', { ...spec });
  const metadata = { name: 'work', ...(annotations === undefined ? {} : { annotations }) };
  const { job } = parseJob({ ...manifest, metadata });
  const figures = {
    active: 0,
    running: 0,
    terminating: 0,
    succeeded: 0,
    failed: 0,
    limitFailures: 0,
    unjudged: 0,
    restarts: 0,
    podCount: 0,
    failuresInRow: 0,
    lastFailureMs: T0 - 60_000,
    lastSuccessMs: 0,
    kept: 0,
    ...counters,
  };
  const gate = {
    limit: 1,
    notBeforeMs: notBeforeMs ?? 0,
    deadlineMs: 0,
    holdOnFailure: true,
  };
  const found = { ...job, status: status ?? STARTED };
  const hindrances = { lacksWorkQueue, denial: denial ?? null };
  const places = { lanes, unschedulable: unschedulable ?? null };
  return waitReasons(found, { counters: figures, gate }, places, hindrances, T0);
}

describe('waitReasons', () => {
  const cases: { name: string; given: Given; want: readonly [string, RegExp][] }[] = [
    {
      name: 'nothing holds a Job up that runs',
      given: { counters: { active: 1, running: 1 } },
      want: [],
    },
    {
      name: 'nobody has looked at it',
      given: { status: {} },
      want: [['NoController', /is `drover controller` running/]],
    },
    {
      name: 'another controller takes care of it',
      given: { status: {}, spec: { managedBy: 'acme.io/foo' } },
      want: [['ManagedByOther', /managed by acme\.io\/foo/]],
    },
    {
      name: 'it is suspended',
      given: { spec: { suspend: true } },
      want: [['Suspended', /`drover resume job\/work`/]],
    },
    {
      name: 'it was suspended from the start',
      given: {
        spec: { suspend: true },
        status: { conditions: [{ type: 'Suspended', status: 'True' }] },
      },
      want: [['Suspended', /suspended/]],
    },
    {
      name: 'a Job that is over waits for nothing',
      given: {
        spec: { suspend: true },
        status: { ...STARTED, conditions: [{ type: 'Failed', status: 'True' }] },
      },
      want: [],
    },
    {
      name: 'the hold of drover run',
      given: { annotations: { 'drover.dev/hold-new-pods': 'true' } },
      want: [['Held', /drover.dev\/hold-new-pods/]],
    },
    {
      name: 'a work queue that does not exist',
      given: {
        spec: { parallelism: 2, completions: undefined },
        annotations: { 'drover.dev/work-queue': 'pages' },
        lacksWorkQueue: true,
      },
      want: [['NoWorkQueue', /there is a work queue "pages"/]],
    },
    {
      name: 'parallelism 0',
      given: { spec: { parallelism: 0 } },
      want: [['ZeroParallelism', /`drover scale job\/work --parallelism N`/]],
    },
    {
      name: 'back-off, rounded up',
      given: { notBeforeMs: T0 + 8_500, counters: { failuresInRow: 2 } },
      want: [['BackOff', /^the next pod starts in 9 s \(back-off after 2 failures in a row\)$/]],
    },
    { name: 'the back-off is over now', given: { notBeforeMs: T0 }, want: [] },
    {
      name: 'ended pods that no controller judges',
      given: { counters: { unjudged: 1 } },
      want: [['Unjudged', /^1 ended pod waits for the verdict/]],
    },
    {
      name: 'quota',
      given: { denial: 'exceeded quota: small, requested: pods=1, used: pods=3, limited: pods=3' },
      want: [['Quota', /^further pods wait for quota: exceeded quota: small, requested: pods=1/]],
    },
    {
      name: 'no worker fits',
      given: { counters: { active: 2 }, lanes: 0 },
      want: [['NoWorkerFits', /^2 pods wait: no worker offers runtime 'handler' with handler 'h'/]],
    },
    {
      name: 'no worker has the room that its pods request',
      given: {
        counters: { active: 1, running: 0 },
        unschedulable: '0/2 nodes are available: 2 Insufficient cpu.',
      },
      want: [
        ['InsufficientResources', /^1 pod waits: 0\/2 nodes are available: 2 Insufficient cpu\.$/],
      ],
    },
    {
      name: 'all lanes are taken',
      given: { counters: { active: 3, running: 2 }, lanes: 2 },
      want: [['LanesTaken', /^1 pod waits for a place: the workers that fit run 2 pods at once/]],
    },
  ];

  test.each(cases)('$name', ({ given, want }) => {
    const reasons = reasonsOf(given);
    expect(reasons.map(({ reason }) => reason)).toEqual(want.map(([reason]) => reason));
    for (const [i, [, text]] of want.entries()) expect(reasons[i]?.message).toMatch(text);
  });
});

describe('with an engine that has no worker', () => {
  let engine: Engine;
  beforeAll(async () => {
    engine = await Engine.start();
  });
  afterAll(() => engine.stop());

  test('whyWaiting says what is missing; scale changes it', async () => {
    const { jobs } = engine.drover;
    const job = await jobs.create(
      handlerJob('stuck', 'square', { completions: 5, parallelism: 2 }),
    );
    const reasons = await waitFor(async () => {
      const found = await jobs.whyWaiting(job);
      return found[0]?.reason === 'NoWorkerFits' ? found : undefined;
    });
    expect(reasons[0]?.message).toBe(
      "2 pods wait: no worker offers runtime 'handler' with handler 'square' in pool 'default'",
    );
    expect((await jobs.scale(job, 0)).spec.parallelism).toBe(0);
    await waitFor(async () => {
      const found = await jobs.whyWaiting(job);
      return found.length === 1 && found[0]?.reason === 'ZeroParallelism';
    });
    await expect(jobs.scale(job, -1)).rejects.toThrow(InvalidSpecError);
    await expect(jobs.scale(job, 1.5)).rejects.toThrow(InvalidSpecError);
    await expect(jobs.whyWaiting('nobody')).rejects.toThrow(NotFoundError);
  });
});
