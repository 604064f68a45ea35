import { describe, expect, test } from 'vitest';

import { completionsText, jobDurationText, jobStatusWord, type JobStatus } from '../src/index.ts';
import { jobOf } from './manifests.ts';

const T0 = Date.UTC(2026, 0, 1);
const START = '2026-01-01T00:00:00Z';

describe('jobStatusWord', () => {
  const all = ['SuccessCriteriaMet', 'FailureTarget', 'Suspended', 'Failed', 'Complete'];
  const job = jobOf();

  test.each([
    [[], 'Running'],
    [['SuccessCriteriaMet'], 'SuccessCriteriaMet'],
    [['FailureTarget'], 'FailureTarget'],
    [['Suspended', 'FailureTarget'], 'Suspended'],
    [['FailureTarget', 'Failed'], 'Failed'],
    [['SuccessCriteriaMet', 'Complete'], 'Complete'],
    [all, 'Complete'],
  ])('%j: %s', (types, want) => {
    const conditions = types.map((type) => ({ type, status: 'True' as const }));
    expect(jobStatusWord({ ...job, status: { conditions } })).toBe(want);
  });

  test('a condition that is False does not count', () => {
    const status: JobStatus = { conditions: [{ type: 'Suspended', status: 'False' }] };
    expect(jobStatusWord({ ...job, status })).toBe('Running');
  });

  test('a Job that is being deleted is Terminating, unless it is finished', () => {
    const metadata = { ...job.metadata, deletionTimestamp: START };
    const conditions = [{ type: 'Suspended', status: 'True' as const }];
    expect(jobStatusWord({ metadata, status: { conditions } })).toBe('Terminating');
    const complete = [{ type: 'Complete', status: 'True' as const }];
    expect(jobStatusWord({ metadata, status: { conditions: complete } })).toBe('Complete');
  });
});

test.each([
  [{ completions: 10 }, { succeeded: 3 }, '3/10'],
  [{}, {}, '0/1'],
  [{ parallelism: 1 }, {}, '0/1'],
  [{ parallelism: 4 }, { succeeded: 1 }, '1/1 of 4'],
  [{ completions: 0 }, {}, '0/0'],
])('completions of %j with %j are %s', (spec, status, want) => {
  expect(completionsText({ ...jobOf({ spec }), status })).toBe(want);
});

test.each([
  [{}, ''],
  [{ startTime: START }, '90s'],
  [{ startTime: START, completionTime: '2026-01-01T00:00:05Z' }, '5s'],
])('duration of %j is "%s"', (status, want) => {
  expect(jobDurationText({ status }, T0 + 90_000)).toBe(want);
});
