import { describe, expect, test } from 'vitest';

import type { Pod } from '../src/pod.ts';
import { failureNote } from '../src/podFailure.ts';

function pod(status: object, labels: Record<string, string> = {}): Pod {
  return {
    metadata: { name: 'work-x7k2p', labels },
    status: { phase: 'Failed', ...status },
  } as Pod;
}

const ended = (terminated: object) => ({ containerStatuses: [{ state: { terminated } }] });

describe('failureNote', () => {
  test.each([
    ['an exit code', ended({ exitCode: 3, reason: 'Error' }), 'failed: exit code 3'],
    [
      'a message',
      ended({ exitCode: 1, reason: 'Error', message: 'no luck\nat x' }),
      'failed: no luck',
    ],
    ['a reason', ended({ exitCode: 137, reason: 'OOMKilled' }), 'failed: OOMKilled'],
    [
      'a lost worker',
      { message: 'the worker is gone', reason: 'NodeLost' },
      'failed: the worker is gone',
    ],
    ['nothing known', {}, 'failed: for an unknown reason'],
    [
      'the container that failed, not those that are well',
      {
        containerStatuses: [
          { name: 'good', state: { terminated: { exitCode: 0, reason: 'Completed' } } },
          { name: 'bad', state: { terminated: { exitCode: 7, reason: 'Error' } } },
        ],
        initContainerStatuses: [
          { name: 'sidecar', state: { terminated: { exitCode: 143, reason: 'Error' } } },
        ],
      },
      'failed: bad: exit code 7',
    ],
    [
      'an initContainer',
      {
        containerStatuses: [{ name: 'main', state: { waiting: { reason: 'PodInitializing' } } }],
        initContainerStatuses: [
          { name: 'setup', state: { terminated: { exitCode: 2, reason: 'Error' } } },
        ],
      },
      'failed: setup: exit code 2',
    ],
  ])('%s', (_name, status, want) => {
    expect(failureNote(pod(status))).toBe(`pod work-x7k2p ${want}`);
  });

  test('says which index it was', () => {
    const labels = { 'batch.kubernetes.io/job-completion-index': '3' };
    expect(failureNote(pod(ended({ exitCode: 1 }), labels))).toBe(
      'pod work-x7k2p (index 3) failed: exit code 1',
    );
  });
});
