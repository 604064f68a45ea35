import { jobEvents, parseJob, podEvents, type Job, type Pod, type PodStatus } from '@drover/shared';
import { describe, expect, test } from 'vitest';

import { eventLines } from '../../src/describe/events.ts';

const at = (seconds: number) => new Date(Date.UTC(2026, 0, 15, 12, 0, seconds)).toISOString();
const podSpec = { restartPolicy: 'Never', containers: [{ name: 'main', command: ['x'] }] };

function job(status: Job['status']): Job {
  const { job: parsed } = parseJob({
    metadata: { name: 'pi' },
    spec: { template: { spec: podSpec } },
  });
  return { ...parsed, metadata: { ...parsed.metadata, creationTimestamp: at(0) }, status };
}

function pod(name: string, status: PodStatus, nodeName = 'a'): Pod {
  const { spec } = job({}).spec.template;
  const metadata = { name, namespace: 'default', uid: `uid-of-${name}` };
  return { apiVersion: 'v1', kind: 'Pod', metadata, spec: { ...spec, nodeName }, status };
}

function failed(name: string, exitCode: number, seconds: number, nodeName = 'a'): Pod {
  const time = at(seconds);
  const state = { terminated: { exitCode, reason: 'Error', finishedAt: time } };
  const main = { name: 'main', ready: false, restartCount: 0, image: '', imageID: '', state };
  const ready = { type: 'Ready', status: 'False' as const, lastTransitionTime: time };
  const status = { phase: 'Failed' as const, conditions: [ready], containerStatuses: [main] };
  return pod(name, status, nodeName);
}

describe('of a Job', () => {
  test('are in order of time and end with how it ended', () => {
    const events = jobEvents(
      job({
        startTime: at(1),
        conditions: [
          { type: 'FailureTarget', status: 'True', message: 'soon', lastTransitionTime: at(8) },
          {
            type: 'Failed',
            status: 'True',
            reason: 'BackoffLimitExceeded',
            message: 'limit',
            lastTransitionTime: at(9),
          },
        ],
      }),
      [failed('pi-1', 3, 5)],
    );
    expect(events.map(({ type, reason }) => [type, reason])).toEqual([
      ['Normal', 'Created'],
      ['Normal', 'Started'],
      ['Warning', 'PodFailed'],
      ['Warning', 'BackoffLimitExceeded'],
    ]);
    expect(events[2]?.message).toBe('pod pi-1 failed: exit code 3');
  });

  test('an interim condition is told as long as there is no final one', () => {
    const condition = { type: 'FailureTarget', status: 'True' as const, message: 'soon' };
    const ending = job({ conditions: [{ ...condition, lastTransitionTime: at(8) }] });
    expect(jobEvents(ending, []).map(({ reason }) => reason)).toEqual(['Created', 'FailureTarget']);
  });

  test('have one line for failures of a kind, with their number and the last one', () => {
    const pods = [failed('c', 3, 7, 'b'), failed('a', 3, 5), failed('b', 4, 6), failed('d', 3, 6)];
    const events = jobEvents(job({}), pods).filter(({ reason }) => reason === 'PodFailed');
    expect(events).toMatchObject([
      { count: 1, message: 'pod b failed: exit code 4', from: 'a' },
      {
        count: 3,
        message: 'pod c failed: exit code 3',
        from: 'workers',
        firstTimestamp: at(5),
        lastTimestamp: at(7),
      },
    ]);
    expect(eventLines(events, Date.parse(at(10)))).toContain(
      'Warning   PodFailed   3s (x3 over 5s)   workers   pod c failed: exit code 3',
    );
  });

  test('tell of no more than ten kinds, the latest', () => {
    const pods = Array.from({ length: 15 }, (_, n) => failed(`p${n}`, n + 1, n));
    const events = jobEvents(job({}), pods).filter(({ reason }) => reason === 'PodFailed');
    expect(events).toHaveLength(10);
    expect(events.at(-1)?.message).toBe('pod p14 failed: exit code 15');
  });

  test('a suspension is told, and a resumption instead of the start', () => {
    const resumed = { type: 'Suspended', status: 'False', reason: 'JobResumed' } as const;
    const events = jobEvents(
      job({ startTime: at(4), conditions: [{ ...resumed, lastTransitionTime: at(4) }] }),
      [],
    );
    expect(events.map(({ reason }) => reason)).toEqual(['Created', 'Resumed']);
  });
});

describe('of a pod', () => {
  test('say why it is not running', () => {
    const waits = {
      type: 'PodScheduled',
      status: 'False' as const,
      reason: 'Unschedulable',
      message: 'no worker',
      lastTransitionTime: at(1),
    };
    const pending = pod('a', { phase: 'Pending', conditions: [waits] });
    const { nodeName: _none, ...spec } = pending.spec;
    expect(podEvents({ ...pending, spec })).toMatchObject([
      { type: 'Warning', reason: 'Unschedulable', message: 'no worker' },
    ]);
  });

  test('say how it ended', () => {
    expect(podEvents(failed('a', 3, 5))).toMatchObject([
      { type: 'Warning', reason: 'Failed', message: 'exit code 3', from: 'a' },
    ]);
  });
});
