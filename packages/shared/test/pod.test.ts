import { describe, expect, test } from 'vitest';

import {
  generateSelectorAndLabels,
  podMetadata,
  podNameOf,
  podNumberFromName,
  podSpec,
  podStatusWord,
  podUid,
  type ContainerState,
  type ContainerStatus,
  type Job,
  type PodStatus,
} from '../src/index.ts';
import { jobOf, type Changes } from './manifests.ts';

const UID = '6f1d2c3b-4a59-4687-9abc-def012345678';

function job(spec: Changes = {}, container: Changes = {}): Job {
  return generateSelectorAndLabels(
    jobOf({ metadata: { uid: UID, namespace: 'lab' }, spec, container }),
  );
}

const indexedSpec = { completionMode: 'Indexed', completions: 5 };

describe('podMetadata', () => {
  test('of a plain Job', () => {
    const metadata = podMetadata(job(), { podNumber: 3, index: null });
    expect(metadata).toEqual({
      name: expect.stringMatching(/^pi-[a-z0-9]{5}$/) as string,
      generateName: 'pi-',
      namespace: 'lab',
      uid: podUid(UID, 3),
      labels: {
        'batch.kubernetes.io/controller-uid': UID,
        'batch.kubernetes.io/job-name': 'pi',
        'controller-uid': UID,
        'job-name': 'pi',
      },
      ownerReferences: [
        {
          apiVersion: 'batch/v1',
          kind: 'Job',
          name: 'pi',
          uid: UID,
          controller: true,
          blockOwnerDeletion: true,
        },
      ],
    });
    expect(podNumberFromName(UID, metadata.name)).toBe(3);
    expect(podNameOf(job(), { podNumber: 3, index: null })).toBe(metadata.name);
  });

  test('of an Indexed Job it says which index, as label and as annotation', () => {
    const metadata = podMetadata(job(indexedSpec), { podNumber: 3, index: 0 });
    const key = 'batch.kubernetes.io/job-completion-index';
    expect(metadata.name).toMatch(/^pi-0-[a-z0-9]{5}$/);
    expect(metadata.labels?.[key]).toBe('0');
    expect(metadata.annotations).toEqual({ [key]: '0' });
  });

  test('with a limit for each index it says how often the index failed', () => {
    const whole = job(indexedSpec);
    const limited = { ...whole, spec: { ...whole.spec, backoffLimitPerIndex: 2 } };
    const key = 'batch.kubernetes.io/job-index-failure-count';
    const first = podMetadata(limited, { podNumber: 1, index: 0 });
    expect(first.annotations?.[key]).toBe('0');
    const failures = { counted: 1, ignored: 2 };
    const second = podMetadata(limited, { podNumber: 2, index: 0, failures });
    expect(second.annotations?.[key]).toBe('1');
    const ignoredKey = 'batch.kubernetes.io/job-index-ignored-failure-count';
    expect(first.annotations).not.toHaveProperty([ignoredKey]);
    expect(second.annotations?.[ignoredKey]).toBe('2');
  });
});

describe('podSpec', () => {
  test('of a plain Job is the template', () => {
    const plain = job();
    expect(podSpec(plain, { podNumber: 1, index: null })).toBe(plain.spec.template.spec);
  });

  test('of an Indexed Job has hostname and index', () => {
    const spec = podSpec(job(indexedSpec, { env: [{ name: 'A', value: 'b' }] }), {
      podNumber: 1,
      index: 4,
    });
    expect(spec.hostname).toBe('pi-4');
    expect(spec.containers[0]?.env).toEqual([
      { name: 'A', value: 'b' },
      {
        name: 'JOB_COMPLETION_INDEX',
        valueFrom: {
          fieldRef: {
            apiVersion: 'v1',
            fieldPath: "metadata.labels['batch.kubernetes.io/job-completion-index']",
          },
        },
      },
    ]);
  });

  test("a user's own JOB_COMPLETION_INDEX stays", () => {
    const env = [{ name: 'JOB_COMPLETION_INDEX', value: 'mine' }];
    const spec = podSpec(job(indexedSpec, { env }), { podNumber: 1, index: 4 });
    expect(spec.containers[0]?.env).toEqual(env);
  });

  test('every container has JOB_COMPLETION_INDEX, initContainers too', () => {
    const given = job(indexedSpec);
    const { spec: template } = given.spec.template;
    template.initContainers = [...template.containers];
    const spec = podSpec(given, { podNumber: 1, index: 4 });
    const names = [...spec.containers, ...(spec.initContainers ?? [])].map(
      ({ env }) => env?.[0]?.name,
    );
    expect(names).toEqual(['JOB_COMPLETION_INDEX', 'JOB_COMPLETION_INDEX']);
  });
});

describe('podStatusWord', () => {
  const metadata = podMetadata(job(), { podNumber: 1, index: null });
  const stopped = { ...metadata, deletionTimestamp: '2026-01-01T00:00:00Z' };
  const container = (state: ContainerStatus['state'] & object): ContainerStatus => ({
    name: 'main',
    ready: false,
    restartCount: 0,
    image: '',
    imageID: '',
    state,
  });
  const terminated = (more: object): PodStatus => ({
    phase: 'Failed',
    containerStatuses: [container({ terminated: { exitCode: 3, ...more } })],
  });

  const cases: [string, PodStatus, string, typeof metadata][] = [
    ['the phase', { phase: 'Pending' }, 'Pending', metadata],
    ['the reason of the pod', { phase: 'Failed', reason: 'NodeLost' }, 'NodeLost', metadata],
    ['why its container ended', terminated({ reason: 'Error' }), 'Error', metadata],
    ['the signal', terminated({ signal: 9 }), 'Signal:9', metadata],
    ['the exit code', terminated({}), 'ExitCode:3', metadata],
    [
      'why its container waits',
      {
        phase: 'Running',
        containerStatuses: [container({ waiting: { reason: 'CrashLoopBackOff' } })],
      },
      'CrashLoopBackOff',
      metadata,
    ],
    [
      'nothing else while it runs',
      { phase: 'Running', containerStatuses: [container({ running: {} })] },
      'Running',
      metadata,
    ],
    ['that it is being stopped', { phase: 'Running' }, 'Terminating', stopped],
    ['that nobody knows', { phase: 'Running', reason: 'NodeLost' }, 'Unknown', stopped],
    ['how it ended, even when deleted', { phase: 'Succeeded' }, 'Succeeded', stopped],
  ];

  const plain = job().spec.template.spec;

  test.each(cases)('says %s', (_, status, want, meta) => {
    expect(podStatusWord({ metadata: meta, spec: plain, status })).toBe(want);
  });

  const main = { name: 'main', command: ['true'] };
  const { spec } = jobOf({
    pod: {
      initContainers: [
        { ...main, name: 'first' },
        { ...main, name: 'proxy', restartPolicy: 'Always' },
        { ...main, name: 'second' },
      ],
      containers: [main, { ...main, name: 'other' }],
    },
  }).spec.template;
  const status = (name: string, state: ContainerState, started = state.running !== undefined) => ({
    ...container(state),
    name,
    started,
    ready: started,
  });
  const done = { terminated: { exitCode: 0, reason: 'Completed' } };
  const failed = { terminated: { exitCode: 1, reason: 'Error' } };
  const waiting = { waiting: { reason: 'PodInitializing' } };
  const ready = [{ type: 'Ready', status: 'True' as const }];

  const several: [string, PodStatus, string][] = [
    [
      'how many initContainers are done',
      {
        phase: 'Pending',
        initContainerStatuses: [
          status('first', done),
          status('proxy', { running: {} }),
          status('second', { running: {} }),
        ],
        containerStatuses: [status('main', waiting), status('other', waiting)],
      },
      'Init:2/3',
    ],
    [
      'why an initContainer failed',
      { phase: 'Failed', initContainerStatuses: [status('first', failed)] },
      'Init:Error',
    ],
    [
      'why an initContainer waits',
      {
        phase: 'Pending',
        initContainerStatuses: [status('first', { waiting: { reason: 'CrashLoopBackOff' } })],
      },
      'Init:CrashLoopBackOff',
    ],
    [
      'how the containers ended, not how the sidecar did',
      {
        phase: 'Succeeded',
        initContainerStatuses: [
          status('first', done),
          status('proxy', { terminated: { exitCode: 143, reason: 'Error' } }),
          status('second', done),
        ],
        containerStatuses: [status('main', done), status('other', done)],
      },
      'Completed',
    ],
    [
      'what the first container says',
      {
        phase: 'Failed',
        containerStatuses: [status('main', failed), status('other', done)],
      },
      'Error',
    ],
    [
      'that one is done while another goes on',
      {
        phase: 'Running',
        containerStatuses: [status('main', done), status('other', { running: {} })],
      },
      'NotReady',
    ],
    [
      'that one is done while the pod is ready',
      {
        phase: 'Running',
        conditions: ready,
        containerStatuses: [status('main', done), status('other', { running: {} })],
      },
      'Running',
    ],
  ];

  test.each(several)('of several containers says %s', (_, podStatus, want) => {
    expect(podStatusWord({ metadata, spec, status: podStatus })).toBe(want);
  });
});
