import { parseJob, type Job } from '@drover/shared';
import { describe, expect, test } from 'vitest';

import { jobEvents } from '../../src/describe/events.ts';
import { itemsLeft, workQueueEntries } from '../../src/describe/workQueue.ts';

const endedAt = '2026-01-15T12:00:00Z';

function job(type: 'Complete' | 'Failed' | null): Job {
  const { job: parsed } = parseJob({
    metadata: { name: 'crawl' },
    spec: {
      parallelism: 2,
      template: {
        spec: { restartPolicy: 'Never', containers: [{ name: 'main', command: ['x'] }] },
      },
    },
  });
  if (type === null) return parsed;
  const condition = { type, status: 'True' as const, lastTransitionTime: endedAt };
  return { ...parsed, status: { conditions: [condition] } };
}

const stats = {
  sealed: true,
  allDone: false,
  enqueued: 10,
  waiting: 2,
  delayed: 1,
  inFlight: 0,
  completed: 6,
  dead: 1,
};
const workQueue = { name: 'pages', stats };

describe('the work queue of a Job', () => {
  test('is told with its counts', () => {
    expect(workQueueEntries(job(null), workQueue)).toEqual([
      [
        'Work Queue',
        {
          part: [
            'Name:     pages',
            'Status:   Sealed',
            'Items:    10 Enqueued / 2 Waiting / 1 Delayed / 0 In Flight',
            'Settled:  6 Completed / 1 Dead',
          ],
        },
      ],
    ]);
  });

  test('may not be there, or not be named', () => {
    expect(workQueueEntries(job(null), { name: 'pages', stats: null })).toEqual([
      ['Work Queue', 'pages (there is none)'],
    ]);
    expect(workQueueEntries(job(null), null)).toEqual([]);
  });
});

describe('items that a Job leaves', () => {
  const left = '3 items are not settled: another Job on workqueue.drover.dev/pages would take them';

  test('are told once it is over, whether well or not', () => {
    expect(itemsLeft(job(null), workQueue)).toBeNull();
    expect(itemsLeft(job('Complete'), workQueue)).toBe(left);
    expect(itemsLeft(job('Failed'), workQueue)).toBe(left);
    const one = { ...stats, waiting: 0 };
    expect(itemsLeft(job('Complete'), { name: 'pages', stats: one })).toMatch(/^1 item is not/);
    const none = { ...one, delayed: 0 };
    expect(itemsLeft(job('Complete'), { name: 'pages', stats: none })).toBeNull();
    expect(itemsLeft(job('Complete'), { name: 'pages', stats: null })).toBeNull();
  });

  test('are an event, when the Job ended', () => {
    expect(jobEvents(job('Complete'), [], left)).toContainEqual(
      expect.objectContaining({ type: 'Warning', reason: 'ItemsLeft', lastTimestamp: endedAt }),
    );
    expect(jobEvents(job('Complete'), []).map(({ reason }) => reason)).not.toContain('ItemsLeft');
  });
});
