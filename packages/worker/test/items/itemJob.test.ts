import type { ItemQueueJobData } from '@drover/store';
import type { JobsOptions, Job as QueueJob } from 'bullmq';
import { expect, test } from 'vitest';

import { ItemJob } from '../../src/items/itemJob.ts';

function itemJob(data: ItemQueueJobData, opts: JobsOptions): ItemJob {
  const queueJob = { id: '1', data, opts: { attempts: 0, ...opts }, attemptsMade: 0 };
  return new ItemJob({ stalledCounter: 0, ...queueJob } as QueueJob<ItemQueueJobData, void>, 't');
}

const usual = { type: 'exponential', delay: 1_000 };

test.each([
  { name: 'the default', data: { i: 1, d: 0 }, opts: {}, max: 3, left: 3, backoff: usual },
  {
    name: 'the default of one that left a chunk after an attempt',
    data: { i: 1, d: 0, a: 1 },
    opts: {},
    max: 3,
    left: 2,
    backoff: { type: 'exponential', delay: 2_000 },
  },
  {
    name: 'attempts of its own',
    data: { i: 1, d: 0 },
    opts: { attempts: 7 },
    max: 7,
    left: 7,
    backoff: usual,
  },
  {
    name: 'a back-off of its own',
    data: { i: 1, d: 0 },
    opts: { backoff: { type: 'fixed', delay: 5 } },
    max: 3,
    left: 3,
    backoff: { type: 'fixed', delay: 5 },
  },
])('an item is tried again by $name', ({ data, opts, max, left, backoff }) => {
  const job = itemJob(data, opts);
  expect(job.items(null)[0]?.maxAttempts).toBe(max);
  job.sayHowToRetry();
  expect(job.queueJob.opts).toMatchObject({ attempts: left, backoff });
});
