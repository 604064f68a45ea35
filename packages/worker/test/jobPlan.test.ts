import { NO_PRIORITY } from '@drover/shared';
import type { Claim, StoredJob } from '@drover/store';
import { describe, expect, test } from 'vitest';

import { JobPlan, type PlanSurroundings } from '../src/jobPlan.ts';

const DAY_SECONDS = 24 * 60 * 60;
const uid = '6f1d2c3b-4a59-4687-9abc-def012345678';
const claim: Claim = { podNumber: 1, index: 0, createdMs: 0, startMs: 0, restarts: 0 };

const SURROUNDINGS: PlanSurroundings = {
  nodeName: 'node-1',
  hostIP: '10.0.0.7',
  resources: { cpuMilli: 2_000, memoryBytes: 2 ** 30 },
  client: { connection: 'redis://localhost', prefix: 'drover' },
  baseEnv: { PATH: '/bin' },
};

/** The plan of a Job whose pod spec has these fields too. */
function planOf(
  podSpec: Readonly<Record<string, unknown>>,
  jobSpec: Readonly<Record<string, unknown>> = {},
): JobPlan {
  const container = {
    name: 'main',
    command: ['true'],
    env: [{ name: 'ACCOUNT', valueFrom: { fieldRef: { fieldPath: 'spec.serviceAccountName' } } }],
  };
  const stored: StoredJob = {
    uid,
    namespace: 'default',
    name: 'pi',
    object: JSON.stringify({
      metadata: { name: 'pi' },
      spec: {
        ...jobSpec,
        template: { spec: { containers: [container], restartPolicy: 'Never', ...podSpec } },
      },
    }),
    status: '{}',
    resourceVersion: 1,
    generation: 1,
    createdMs: 0,
    queue: 'default.process',
    fittingKey: 'default/process',
    finished: false,
    finalizers: [],
    deletionMs: null,
    droppedTo: 0,
    failedDroppedTo: 0,
    droppedPods: 0,
    orphaned: false,
    hasFreePods: false,
    hasChangedPods: false,
    podsChangedVersion: 0,
    adoptedPods: 0,
    hasLentPods: false,
    hasSought: false,
    emptied: false,
    cut: null,
    bare: false,
    priority: NO_PRIORITY,
    deleted: false,
  };
  return new JobPlan(stored, SURROUNDINGS);
}

describe('the grace period of a pod', () => {
  test.each([
    { name: 'is 30 s when none is given', seconds: undefined, wantMs: 30_000 },
    { name: 'may be 0', seconds: 0, wantMs: 0 },
    { name: 'below 0 is a second', seconds: -5, wantMs: 1_000 },
    // A timer that is asked for more fires at once.
    { name: 'is at most what a timer can wait', seconds: 30 * DAY_SECONDS, wantMs: 2 ** 31 - 1 },
  ])('$name', ({ seconds, wantMs }) => {
    expect(planOf({ terminationGracePeriodSeconds: seconds }).graceMs).toBe(wantMs);
  });
});

describe('what a program sees of its pod', () => {
  test('an empty hostname is none: it sees the name of the pod', () => {
    const plan = planOf({ hostname: '' });
    expect(plan.programEnv(claim)['HOSTNAME']).toBe(plan.podName(claim));
    expect(planOf({ hostname: 'box' }).programEnv(claim)['HOSTNAME']).toBe('box');
  });

  test('a hostnameOverride is what it sees, also in an Indexed Job', () => {
    const indexed = { completionMode: 'Indexed', completions: 5 };
    const plan = planOf({ hostname: 'box', hostnameOverride: 'box.example.com' }, indexed);
    expect(plan.programEnv(claim)['HOSTNAME']).toBe('box.example.com');
  });

  test('the service account is the one that the template names', () => {
    expect(planOf({}).programEnv(claim)['ACCOUNT']).toBe('default');
    expect(planOf({ serviceAccountName: 'robot' }).programEnv(claim)['ACCOUNT']).toBe('robot');
  });
});

describe('what the pods of a Job have in common', () => {
  const indexed = { completionMode: 'Indexed', completions: 5 };
  const pods = [claim, { ...claim, podNumber: 7, index: 3 }];
  const value = { name: 'A', value: 'a$(PATH)' };
  const fromPod = { name: 'A', valueFrom: { fieldRef: { fieldPath: 'metadata.name' } } };

  test.each([
    { name: 'all but the hostname', container: { env: [value] } },
    {
      name: 'all, when the template names the hostname',
      container: { env: [{ name: 'HOSTNAME', value: 'h' }] },
    },
    { name: 'all but hostname and index', container: { env: [value] }, jobSpec: indexed },
    {
      name: 'the index, too, when the template has a variable of that name',
      container: { env: [{ name: 'JOB_COMPLETION_INDEX', value: 'x' }] },
      jobSpec: indexed,
    },
  ])('$name', ({ container, jobSpec }) => {
    const plan = planOf(
      { containers: [{ name: 'main', command: ['c', '$(A)'], ...container }] },
      jobSpec,
    );
    const common = plan.commonProgram(claim);
    for (const pod of pods) {
      expect(plan.commonProgram(pod)).toBe(common);
      const { command, args } = plan.invocation(pod);
      expect(common).toMatchObject({ command, args });
      const own = plan.ownVariables(pod).map((variable) => variable.split('='));
      // Nothing twice: which of the two would a program see?
      const names = [...Object.keys(common!.env), ...own.map(([name]) => name)];
      expect(new Set(names).size).toBe(names.length);
      expect({ ...common!.env, ...Object.fromEntries(own) }).toEqual(plan.programEnv(pod));
    }
  });

  test.each([
    { name: 'a variable is of the pod', container: { env: [fromPod] } },
    {
      name: 'variables are of a ConfigMap',
      container: { envFrom: [{ configMapRef: { name: 'c' } }] },
    },
    {
      name: 'the command has the index',
      container: { args: ['$(JOB_COMPLETION_INDEX)'] },
      jobSpec: indexed,
    },
  ])('too little when $name', ({ container, jobSpec }) => {
    const plan = planOf({ containers: [{ name: 'main', command: ['c'], ...container }] }, jobSpec);
    expect(plan.commonProgram(claim)).toBeNull();
  });

  test('nothing when a pod is given something of its own', () => {
    const plan = planOf({ containers: [{ name: 'main', command: ['c'] }] });
    const extras = {
      searchPath: null,
      variables: () => ({}),
      started: () => {},
      input: () => '/i',
    };
    plan.setExtras(claim, extras);
    expect(plan.commonProgram(claim)).toBeNull();
    plan.setExtras(claim, null);
    expect(plan.commonProgram(claim)).not.toBeNull();
  });
});

describe('a Job that can not be read', () => {
  test.each([
    { name: 'because it is no JSON', object: '{', want: /can not be read/ },
    {
      name: 'because it has no template',
      object: '{"metadata":{},"spec":{}}',
      want: /can not be read/,
    },
    {
      name: 'because it has no container',
      object: '{"metadata":{},"spec":{"template":{"spec":{"containers":[]}}}}',
      want: /no container/,
    },
  ])('has a plan that says so, $name', ({ object, want }) => {
    const stored = { uid, namespace: 'default', name: 'pi', object, generation: 1 } as StoredJob;
    const plan = new JobPlan(stored, SURROUNDINGS);
    expect(plan.fault).toMatch(want);
    expect(plan.podName(claim)).toMatch(/^pi-/);
  });
});
