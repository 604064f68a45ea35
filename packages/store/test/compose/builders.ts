import { generateSelectorAndLabels, parseJob, type Job, NO_PRIORITY } from '@drover/shared';

import type { HotCounters, PodRecord, SlotRecord, StoredJob } from '../../src/api.ts';

/** A whole second. */
export const T0 = Date.UTC(2026, 0, 15, 12, 0, 0);
export const UID = '11111111-2222-4333-8444-555555555555';

/** A Job as a user gave it, completed as on creation. */
export function job(spec: object = {}, metadata: object = {}, pod: object = {}): Job {
  const { job: parsed } = parseJob({
    metadata: { name: 'work', ...metadata },
    spec: {
      ...spec,
      template: {
        metadata: { labels: { app: 'x' }, annotations: { note: 'y' } },
        spec: {
          restartPolicy: 'Never',
          containers: [{ name: 'main', image: 'perl', command: ['true'] }],
          ...pod,
        },
      },
    },
  });
  return generateSelectorAndLabels({ ...parsed, metadata: { ...parsed.metadata, uid: UID } });
}

/** A Job as the store has it. */
export function stored(given: Job, status: object = {}, over: Partial<StoredJob> = {}): StoredJob {
  return {
    uid: UID,
    namespace: 'default',
    name: given.metadata.name,
    object: JSON.stringify({ metadata: given.metadata, spec: given.spec }),
    status: JSON.stringify(status),
    resourceVersion: T0 * 4096 + 1,
    generation: 3,
    createdMs: T0,
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
    queue: 'default.process',
    fittingKey: 'default/process',
    ...over,
  };
}

/** Counters that are 0 unless a test says otherwise. */
export function counters(over: Partial<HotCounters> = {}): HotCounters {
  return {
    kept: 0,
    active: 0,
    running: 0,
    terminating: 0,
    succeeded: 0,
    failed: 0,
    limitFailures: 0,
    unjudged: 0,
    restarts: 0,
    podCount: 0,
    failuresInRow: 0,
    lastFailureMs: 0,
    lastSuccessMs: 0,
    ...over,
  };
}

/** A pod that a worker runs. */
export function slot(over: Partial<SlotRecord> = {}): SlotRecord {
  return {
    slot: 1,
    podNumber: 1,
    index: 0,
    phase: 'Running',
    session: '0123456789abcdef',
    attemptsStarted: 1,
    nodeNumber: 1,
    createdMs: T0,
    startMs: T0 + 1_000,
    restarts: 0,
    resourceVersion: (T0 + 1_000) * 4096,
    ...over,
  };
}

/** A pod that succeeded. */
export function record(over: Partial<PodRecord> = {}): PodRecord {
  return {
    podNumber: 1,
    index: 0,
    nodeNumber: 1,
    startMs: T0,
    endMs: T0 + 2_000,
    exitCode: 0,
    outcome: 'Succeeded',
    reason: 'Completed',
    hasLog: false,
    hasOverlay: false,
    resourceVersion: (T0 + 2_000) * 4096,
    ...over,
  };
}
