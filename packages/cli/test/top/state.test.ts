import { parseJob, type Job, type Node } from '@drover/shared';
import { describe, expect, test } from 'vitest';

import { TopState } from '../../src/top/state.ts';

const T0 = Date.UTC(2026, 0, 15, 12, 0, 0);
const at = (ms: number) => new Date(T0 + ms).toISOString();

function job(name: string, status: Job['status'], spec: object = {}): Job {
  const podSpec = { restartPolicy: 'Never', containers: [{ name: 'c', command: ['x'] }] };
  const { job: parsed } = parseJob({
    metadata: { name },
    spec: { completions: 100, parallelism: 4, ...spec, template: { spec: podSpec } },
  });
  return { ...parsed, metadata: { ...parsed.metadata, uid: name }, status };
}

const running = (succeeded: number) =>
  job('work', { startTime: at(0), active: 4, ready: 3, succeeded, failed: 1 });

describe('rates', () => {
  test('are those of the last seconds in a live view, and go down when nothing comes', () => {
    const state = new TopState();
    state.setJob(running(0), T0);
    state.setJob(running(20), T0 + 2_000);
    const [row] = state.view('recent', T0 + 2_000).jobs;
    expect(row).toMatchObject({ perSecond: 10, etaSeconds: 8, running: 3, pending: 1, failed: 1 });
    state.tick(T0 + 10_000);
    expect(state.view('recent', T0 + 10_000).perSecond).toBe(2);
    state.tick(T0 + 20_000);
    state.tick(T0 + 40_000);
    expect(state.view('recent', T0 + 40_000).perSecond).toBe(0);
  });

  test('are the average since the start in one look', () => {
    const state = new TopState();
    state.setJob(running(49), T0 + 10_000);
    expect(state.view('average', T0 + 10_000).jobs[0]).toMatchObject({ perSecond: 5, seconds: 10 });
  });

  test('a Job that is over has none', () => {
    const state = new TopState();
    const condition = { type: 'Complete', status: 'True' as const, lastTransitionTime: at(5_000) };
    const over = { startTime: at(0), succeeded: 100, conditions: [condition] };
    state.setJob(running(0), T0);
    state.setJob(job('work', over), T0 + 5_000);
    for (const rate of ['recent', 'average'] as const) {
      const [row] = state.view(rate, T0 + 60_000).jobs;
      expect(row).toMatchObject({ perSecond: 0, etaSeconds: null, seconds: 5, status: 'Complete' });
    }
  });
});

test('Jobs with pods come first, then those that wait, then those that ended, the last one first', () => {
  const state = new TopState();
  const over = (ms: number) => ({
    startTime: at(0),
    conditions: [{ type: 'Complete', status: 'True' as const, lastTransitionTime: at(ms) }],
  });
  state.setJob(job('early', over(1_000)), T0);
  state.setJob(job('late', over(2_000)), T0);
  state.setJob(job('idle', {}), T0);
  state.setJob(job('busy', { active: 1 }), T0);
  const names = () => state.view('recent', T0).jobs.map(({ name }) => name);
  expect(names()).toEqual(['busy', 'idle', 'late', 'early']);
  state.removeJob('busy');
  expect(names()).toEqual(['idle', 'late', 'early']);
});

test('workers have the pods that they run', () => {
  const state = new TopState();
  const node = (name: string): Node => ({
    apiVersion: 'v1',
    kind: 'Node',
    metadata: { name, namespace: '', uid: '', labels: { 'drover.dev/pool': 'gpu' } },
    spec: {},
    status: { capacity: { pods: '8' }, conditions: [{ type: 'Ready', status: 'True' }] },
  });
  state.setNodes([node('a'), node('b')], new Map([['a', 3]]));
  expect(state.view('recent', T0).nodes).toMatchObject([
    { name: 'a', pods: 3, capacity: 8, pool: 'gpu', status: 'Ready' },
    { name: 'b', pods: 0, capacity: 8 },
  ]);
});
