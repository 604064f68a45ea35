import { parseJob, type Job } from '@drover/shared';
import { describe, expect, test } from 'vitest';

import { warningsOf, workQueueEntries } from '../../src/describe/workQueue.ts';

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

describe('what a Job leaves in its work queue', () => {
  const left = '3 items are not settled: another Job on workqueue.drover.dev/pages would take them';
  const dead =
    '1 item is a dead letter of workqueue.drover.dev/pages: `drover queue dead pages` says why';
  const messages = (type: 'Complete' | 'Failed' | null, over: object = {}) =>
    warningsOf(job(type), { name: 'pages', stats: { ...stats, ...over } }).map(
      ({ message }) => message,
    );

  test('is told once it is over, whether well or not', () => {
    expect(messages(null)).toEqual([]);
    expect(messages('Complete')).toEqual([left, dead]);
    expect(messages('Failed', { dead: 0 })).toEqual([left]);
    expect(messages('Complete', { waiting: 0, dead: 2 })).toEqual([
      expect.stringMatching(/^1 item is not/),
      expect.stringMatching(/^2 items are dead letters/),
    ]);
    expect(messages('Complete', { waiting: 0, delayed: 0, dead: 0 })).toEqual([]);
    expect(warningsOf(job('Complete'), { name: 'pages', stats: null })).toEqual([]);
  });
});
