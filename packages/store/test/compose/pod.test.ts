import { constants } from 'node:os';

import { podName, podStatusWord, podSuffix, podUid, type Pod } from '@drover/shared';
import { describe, expect, test } from 'vitest';

import type { ContainerRecord, PodDetails, PodOverlay, PodRecord } from '../../src/api.ts';
import { composePod, type PodSource } from '../../src/compose/pod.ts';
import { job, record, slot, T0, UID } from './builders.ts';

const source = (over: Partial<PodSource> = {}): PodSource => ({
  job: job(),
  pod: slot(),
  overlay: null,
  nodeName: 'node-a',
  ...over,
});

const indexed = job({ completions: 10, parallelism: 2, completionMode: 'Indexed' });

describe('metadata', () => {
  test('is that of the Job controller', () => {
    const { metadata } = composePod(source());
    const labels = {
      app: 'x',
      'controller-uid': UID,
      'job-name': 'work',
      'batch.kubernetes.io/controller-uid': UID,
      'batch.kubernetes.io/job-name': 'work',
    };
    expect(metadata).toEqual({
      name: podName('work', null, podSuffix(UID, 1)),
      generateName: 'work-',
      namespace: 'default',
      uid: podUid(UID, 1),
      resourceVersion: String((T0 + 1_000) * 4096),
      creationTimestamp: '2026-01-15T12:00:00Z',
      labels,
      annotations: { note: 'y' },
      finalizers: ['batch.kubernetes.io/job-tracking'],
      ownerReferences: [
        {
          apiVersion: 'batch/v1',
          kind: 'Job',
          name: 'work',
          uid: UID,
          controller: true,
          blockOwnerDeletion: true,
        },
      ],
    });
  });

  test('of an Indexed Job has the index in name, label, annotation, hostname and environment', () => {
    const { metadata, spec } = composePod(source({ job: indexed, pod: slot({ index: 7 }) }));
    expect(metadata.name).toBe(podName('work', 7, podSuffix(UID, 1)));
    expect(metadata.generateName).toBe('work-7-');
    expect(metadata.labels?.['batch.kubernetes.io/job-completion-index']).toBe('7');
    expect(metadata.annotations?.['batch.kubernetes.io/job-completion-index']).toBe('7');
    expect(spec.hostname).toBe('work-7');
    expect(spec.containers[0]?.env).toMatchObject([{ name: 'JOB_COMPLETION_INDEX' }]);
  });

  test('of a pod that was told to stop has its deletion', () => {
    const { metadata } = composePod(source({ pod: slot({ phase: 'Stopping' }) }));
    // Told a second after T0, as the resourceVersion says, with 30 s of grace.
    expect(metadata).toMatchObject({
      deletionTimestamp: '2026-01-15T12:00:31Z',
      deletionGracePeriodSeconds: 30,
    });
  });

  test('of a pod that outlived its Job has no owner and no finalizer', () => {
    const { metadata } = composePod({ ...source({ pod: slot() }), isOrphan: true });
    expect(metadata).not.toHaveProperty('ownerReferences');
    expect(metadata).not.toHaveProperty('finalizers');
    expect(metadata.labels).toMatchObject({ 'job-name': 'work' });
  });

  test('of an adopted pod has its new owner, a finalizer until it is counted, and the version of that', () => {
    const adopter = {
      uid: 'u2',
      name: 'new',
      number: 1,
      isCounted: false,
      resourceVersion: T0 * 5000,
    };
    const left = { ...source({ pod: slot() }), isOrphan: true };
    const { metadata } = composePod({ ...left, adopter });
    expect(metadata).toMatchObject({
      ownerReferences: [
        {
          apiVersion: 'batch/v1',
          kind: 'Job',
          name: 'new',
          uid: 'u2',
          controller: true,
          blockOwnerDeletion: true,
        },
      ],
      finalizers: ['batch.kubernetes.io/job-tracking'],
      resourceVersion: String(T0 * 5000),
    });
    const counted = composePod({ ...left, adopter: { ...adopter, isCounted: true } });
    expect(counted.metadata.ownerReferences).toHaveLength(1);
    expect(counted.metadata).not.toHaveProperty('finalizers');
    const released = composePod({ ...left, adopter: { ...adopter, isCounted: true, uid: null } });
    expect(released.metadata).not.toHaveProperty('ownerReferences');
    expect(released.metadata.resourceVersion).toBe(String(T0 * 5000));
  });

  test('of a pod without a Job is its own, but for what says how the store deletes it', () => {
    const { job: whole } = source({ pod: slot() });
    const metadata = {
      ...whole.metadata,
      generation: 1,
      resourceVersion: String(T0 * 5000),
      finalizers: ['foregroundDeletion'],
      deletionTimestamp: '2026-01-15T12:00:05Z',
      deletionGracePeriodSeconds: 0,
    };
    const bare = { ...source({ pod: slot() }), job: { ...whole, metadata }, isBare: true };
    expect(composePod(bare).metadata).toEqual({
      ...whole.metadata,
      resourceVersion: String(T0 * 5000),
      creationTimestamp: '2026-01-15T12:00:00Z',
      deletionTimestamp: '2026-01-15T12:00:35Z',
      deletionGracePeriodSeconds: 30,
    });
  });

  test('of a pod that ended has no finalizer, and its result', () => {
    const { metadata } = composePod(source({ pod: record(), overlay: { result: '{"a":1}' } }));
    expect(metadata.finalizers).toBeUndefined();
    expect(metadata.annotations).toEqual({ note: 'y', 'drover.dev/result': '{"a":1}' });
  });
});

describe('status of a pod that is active', () => {
  test('Pending says why it waits', () => {
    const pod = slot({ phase: 'Pending', nodeNumber: 0, startMs: 0 });
    const waiting = composePod(source({ pod, nodeName: '' }));
    expect(waiting.spec.nodeName).toBeUndefined();
    expect(waiting.status).toEqual({
      phase: 'Pending',
      conditions: [
        {
          type: 'PodScheduled',
          status: 'False',
          reason: 'Unschedulable',
          message: 'all lanes of the workers that fit are taken',
          lastTransitionTime: '2026-01-15T12:00:00Z',
        },
      ],
    });
    const nobody = composePod(source({ pod, nodeName: '', pendingMessage: 'no worker fits' }));
    expect(nobody.status.conditions?.[0]?.message).toBe('no worker fits');
  });

  test('Running is ready on its node', () => {
    const { spec, status } = composePod(source({ pod: slot({ restarts: 2 }) }));
    expect(spec.nodeName).toBe('node-a');
    expect(status).toMatchObject({
      phase: 'Running',
      startTime: '2026-01-15T12:00:01Z',
      containerStatuses: [
        {
          name: 'main',
          image: 'perl',
          imageID: '',
          ready: true,
          restartCount: 2,
          state: { running: { startedAt: '2026-01-15T12:00:01Z' } },
        },
      ],
    });
  });

  test('Stopping is Running, not ready, and shown as Terminating', () => {
    const pod = composePod(source({ pod: slot({ phase: 'Stopping' }) }));
    expect(pod.status.phase).toBe('Running');
    expect(pod.status.conditions?.find(({ type }) => type === 'Ready')?.status).toBe('False');
    expect(podStatusWord(pod)).toBe('Terminating');
  });
});

describe('status of a pod that ended', () => {
  const failed = (over: Partial<PodRecord>) =>
    record({ outcome: 'Failed', reason: 'Error', exitCode: 1, ...over });
  const cases: {
    name: string;
    pod: PodRecord;
    overlay?: PodOverlay;
    word: string;
    terminated: object;
    reason?: string;
  }[] = [
    {
      name: 'success',
      pod: record(),
      word: 'Completed',
      terminated: { exitCode: 0, reason: 'Completed' },
    },
    {
      name: 'an exit code',
      pod: failed({ exitCode: 3 }),
      word: 'Error',
      terminated: { exitCode: 3, reason: 'Error' },
    },
    {
      name: 'a signal and a message',
      pod: failed({ exitCode: 137 }),
      overlay: { signal: 'SIGKILL', message: 'killed' },
      word: 'Error',
      terminated: { exitCode: 137, signal: constants.signals.SIGKILL, message: 'killed' },
    },
    {
      name: 'a program that does not exist',
      pod: failed({ reason: 'StartError', exitCode: 127 }),
      overlay: { message: 'no such program' },
      word: 'StartError',
      terminated: { exitCode: 127, reason: 'StartError', message: 'no such program' },
    },
    {
      name: 'a lost worker',
      pod: failed({ reason: 'NodeLost', exitCode: 137 }),
      word: 'NodeLost',
      terminated: { reason: 'NodeLost' },
      reason: 'NodeLost',
    },
    {
      name: 'a deletion',
      pod: failed({ reason: 'Deleted', exitCode: 143 }),
      word: 'Error',
      terminated: { reason: 'Error' },
      reason: 'Deleted',
    },
  ];

  test.each(cases)('$name', ({ pod, overlay = null, word, terminated, reason }) => {
    const composed = composePod(source({ pod, overlay }));
    expect(podStatusWord(composed)).toBe(word);
    expect(composed.status.phase).toBe(pod.outcome);
    expect(composed.status.reason).toBe(reason);
    expect(composed.status.containerStatuses?.[0]?.state?.terminated).toMatchObject({
      startedAt: '2026-01-15T12:00:00Z',
      finishedAt: '2026-01-15T12:00:02Z',
      ...terminated,
    });
  });

  test.each(['NodeLost', 'Drained', 'RolledBack'] as const)('%s is a disruption', (reason) => {
    const { status } = composePod(source({ pod: failed({ reason }) }));
    expect(status.conditions?.find(({ type }) => type === 'DisruptionTarget')).toMatchObject({
      status: 'True',
      reason,
    });
    expect(status.message).toBeTruthy();
  });

  test('restarts are those of the overlay', () => {
    const { status } = composePod(source({ pod: record(), overlay: { restarts: 4 } }));
    expect(status.containerStatuses?.[0]?.restartCount).toBe(4);
  });
});

describe('status of several containers', () => {
  const container = (name: string, more: object = {}) => ({ name, command: ['true'], ...more });
  const several = job(
    {},
    {},
    {
      initContainers: [container('first'), container('proxy', { restartPolicy: 'Always' })],
      containers: [container('main'), container('other')],
    },
  );
  const done: ContainerRecord['state'] = { terminated: { exitCode: 0, reason: 'Completed' } };
  const failed: ContainerRecord['state'] = { terminated: { exitCode: 1, reason: 'Error' } };
  const known = (name: string, state: ContainerRecord['state'], restartCount = 0) => ({
    name,
    state: state!,
    ready: state?.running !== undefined,
    started: state?.running !== undefined,
    restartCount,
  });
  const running = { running: { startedAt: '2026-01-15T12:00:01Z' } };
  const pod = (details: PodDetails | null, ended: PodRecord | null = null) =>
    composePod(
      source({
        job: several,
        pod: ended ?? slot(),
        ...(details === null ? {} : { notes: { details } }),
        overlay: details === null || ended === null ? null : { details },
      }),
    );
  const conditionOf = ({ status }: Pod, type: string) =>
    status.conditions?.find((condition) => condition.type === type);

  test('before anything is known: the pod is Pending, initializing', () => {
    const composed = pod(null);
    expect(podStatusWord(composed)).toBe('Init:0/2');
    expect(composed.status.phase).toBe('Pending');
    expect(composed.status.containerStatuses?.map(({ state }) => state)).toEqual([
      { waiting: { reason: 'PodInitializing' } },
      { waiting: { reason: 'PodInitializing' } },
    ]);
    expect(conditionOf(composed, 'Initialized')).toMatchObject({
      status: 'False',
      reason: 'ContainersNotInitialized',
      message: 'containers with incomplete status: [first proxy]',
    });
  });

  test('while a sidecar is to start', () => {
    const composed = pod({ containers: [known('first', done)] });
    expect(podStatusWord(composed)).toBe('Init:1/2');
    expect(composed.status.phase).toBe('Pending');
  });

  test('while all run, the pod is ready', () => {
    const composed = pod({
      containers: [
        known('first', done),
        known('proxy', running, 3),
        known('main', running),
        known('other', running),
      ],
    });
    expect(podStatusWord(composed)).toBe('Running');
    expect(composed.status.phase).toBe('Running');
    expect(conditionOf(composed, 'Ready')?.status).toBe('True');
    expect(composed.status.initContainerStatuses?.[1]).toMatchObject({
      name: 'proxy',
      imageID: '',
      restartCount: 3,
      ready: true,
    });
  });

  test('while one waits for its restart, the pod is not ready and says which', () => {
    const composed = pod({
      containers: [
        known('first', done),
        known('proxy', running),
        {
          ...known('main', { waiting: { reason: 'CrashLoopBackOff' } }, 1),
          lastState: failed,
        },
        known('other', running),
      ],
    });
    expect(podStatusWord(composed)).toBe('CrashLoopBackOff');
    expect(composed.status.containerStatuses?.[0]?.lastState).toEqual(failed);
    expect(conditionOf(composed, 'Ready')).toMatchObject({
      status: 'False',
      message: 'containers with unready status: [main]',
    });
  });

  test('one that waits for what it needs keeps the pod Pending, until it has run once', () => {
    const message = 'configmap "settings" not found';
    const waiting = { waiting: { reason: 'CreateContainerConfigError', message } };
    const others = [known('first', done), known('proxy', running), known('other', running)];
    const composed = pod({ containers: [...others, known('main', waiting)] });
    expect(composed.status.phase).toBe('Pending');
    expect(podStatusWord(composed)).toBe('CreateContainerConfigError');
    expect(composed.status.containerStatuses?.[0]?.state).toEqual(waiting);
    expect(pod({ containers: [...others, known('main', waiting, 1)] }).status.phase).toBe(
      'Running',
    );
  });

  test('when an initContainer failed, what never began is shown so', () => {
    const ended = record({ outcome: 'Failed', reason: 'Error', exitCode: 1, hasOverlay: true });
    const composed = pod({ containers: [known('first', failed)] }, ended);
    expect(podStatusWord(composed)).toBe('Init:Error');
    expect(composed.status.phase).toBe('Failed');
    expect(composed.status.containerStatuses?.[0]?.state).toEqual({
      waiting: { reason: 'PodInitializing' },
    });
    expect(conditionOf(composed, 'Initialized')?.status).toBe('False');
  });

  test('of a pod that was lost nothing is known but that', () => {
    const lost = record({ outcome: 'Failed', reason: 'NodeLost', exitCode: 137 });
    const { status } = pod(null, lost);
    const states = [...(status.initContainerStatuses ?? []), ...(status.containerStatuses ?? [])];
    expect(states.map(({ state }) => state?.terminated?.reason)).toEqual(
      Array.from({ length: 4 }, () => 'NodeLost'),
    );
  });

  test('of an evicted pod, the pod says why', () => {
    const ended = record({ outcome: 'Failed', reason: 'Evicted', exitCode: 137 });
    const composed = composePod(source({ pod: ended, overlay: { message: 'too much in "data"' } }));
    expect(composed.status).toMatchObject({ reason: 'Evicted', message: 'too much in "data"' });
    expect(composed.status.containerStatuses?.[0]?.state?.terminated?.reason).toBe('Error');
  });

  test('volumes that could not be mounted are a condition', () => {
    const composed = composePod(
      source({ notes: { details: { containers: [known('main', running)], unmounted: 'why' } } }),
    );
    expect(conditionOf(composed, 'drover.dev/VolumesMounted')).toMatchObject({
      status: 'False',
      message: 'why',
    });
  });
});
