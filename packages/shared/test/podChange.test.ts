import { describe, expect, test } from 'vitest';

import { InvalidSpecError } from '../src/errors.ts';
import type { Pod } from '../src/pod.ts';
import { parsePodChange, PROGRESS_ANNOTATION } from '../src/podChange.ts';

const POD = {
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: {
    name: 'pi-x2b4c',
    generateName: 'pi-',
    namespace: 'default',
    uid: '4be0b0a2-0000-4000-8000-000000000001',
    resourceVersion: '7',
    creationTimestamp: '2026-01-01T00:00:00Z',
    labels: { app: 'pi' },
    annotations: { note: 'x', [PROGRESS_ANNOTATION]: '1/2' },
    ownerReferences: [{ apiVersion: 'batch/v1', kind: 'Job', name: 'pi', uid: 'u' }],
    finalizers: ['batch.kubernetes.io/job-tracking'],
  },
  spec: { containers: [{ name: 'main' }], restartPolicy: 'Never' },
  status: { phase: 'Running' },
} as unknown as Pod;

function change(metadata: object, more: object = {}): unknown {
  return parsePodChange(POD, { ...POD, ...more, metadata: { ...POD.metadata, ...metadata } });
}

function issuesOf(parse: () => unknown): string[] {
  try {
    parse();
  } catch (error) {
    if (!(error instanceof InvalidSpecError)) throw error;
    return error.issues.map(({ path, kind, detail }) => `${path} ${kind} ${detail}`.trim());
  }
  return [];
}

describe('a changed pod of a Job', () => {
  test('has the labels and annotations that it is given, all of them; what it says itself is not among them', () => {
    const labels = { app: 'e' };
    const annotations = { [PROGRESS_ANNOTATION]: '1/2', why: 'so' };
    expect(change({ labels, annotations })).toEqual({ labels, annotations: { why: 'so' } });
    const none = { labels: undefined, annotations: { [PROGRESS_ANNOTATION]: '1/2' } };
    expect(change(none)).toEqual({ labels: {} });
  });

  test('is not asked for what the store sets, and its status is not looked at', () => {
    const own = { uid: undefined, resourceVersion: '9', creationTimestamp: null, generation: 4 };
    expect(change(own, { status: {} })).toEqual({
      labels: { app: 'pi' },
      annotations: { note: 'x' },
    });
  });

  test('is refused with everything that can not be changed, or is wrong', () => {
    const metadata = {
      name: 'e',
      labels: { '-': 'a', b: '/' },
      annotations: { 'a b': '', [PROGRESS_ANNOTATION]: '2/2' },
      ownerReferences: undefined,
      finalizers: [],
      label: {},
    };
    const spec = { ...POD.spec, priority: 7 };
    expect(issuesOf(() => change(metadata, { spec, extra: 1 })).toSorted()).toEqual([
      'extra UnknownField',
      expect.stringMatching(/^metadata\.annotations Invalid /),
      `metadata.annotations[${PROGRESS_ANNOTATION}] Forbidden only the pod itself can say this`,
      'metadata.finalizers Forbidden whose a pod of a Job is follows from its labels',
      expect.stringMatching(/^metadata\.label UnknownField/),
      expect.stringMatching(/^metadata\.labels Invalid /),
      expect.stringMatching(/^metadata\.labels Invalid /),
      'metadata.name Invalid field is immutable',
      'metadata.ownerReferences Forbidden whose a pod of a Job is follows from its labels',
      'spec Forbidden what a pod of a Job runs can not be changed: change the Job, or delete the pod',
    ]);
    expect(issuesOf(() => parsePodChange(POD, 'x'))).toContain(
      '(root) Invalid must be an object with metadata and spec',
    );
  });
});
