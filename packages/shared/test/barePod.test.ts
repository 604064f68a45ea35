import { describe, expect, test } from 'vitest';

import {
  barePodOf,
  InvalidSpecError,
  jobOfBarePod,
  parseBarePod,
  parseBarePodUpdate,
  podMetadata,
  type BarePod,
} from '../src/index.ts';
import { issuesIn } from './manifests.ts';

const CONTAINERS = [{ name: 'main', command: ['true'] }];

function manifest(over: { metadata?: object; spec?: object; top?: object } = {}): object {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'backup', ...over.metadata },
    spec: { restartPolicy: 'Never', containers: CONTAINERS, ...over.spec },
    ...over.top,
  };
}

describe('a pod without a Job', () => {
  test('has the defaults of a pod', () => {
    const { pod, warnings } = parseBarePod(manifest());
    expect(pod).toMatchObject({
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: 'backup', namespace: 'default' },
      spec: { restartPolicy: 'Never', terminationGracePeriodSeconds: 30 },
    });
    expect(warnings).toEqual([]);
  });

  test('that was read from a running one is a new one', () => {
    const metadata = { deletionTimestamp: '2026-01-15T12:00:00Z', resourceVersion: '5' };
    const { pod } = parseBarePod(manifest({ metadata, top: { status: { phase: 'Running' } } }));
    expect(pod.metadata).not.toHaveProperty('deletionTimestamp');
    expect(pod.metadata).not.toHaveProperty('resourceVersion');
  });

  const cases: { name: string; given: object; want: string[] }[] = [
    {
      name: 'the restartPolicy that pods have by default',
      given: manifest({ spec: { restartPolicy: 'Always' } }),
      want: ['spec.restartPolicy Required Never or OnFailure: a pod without a Job runs once'],
    },
    {
      name: 'no restartPolicy',
      given: manifest({ spec: { restartPolicy: undefined } }),
      want: ['spec.restartPolicy Required Never or OnFailure: a pod without a Job runs once'],
    },
    {
      name: 'an unknown field, with what was meant',
      given: manifest({ spec: { container: [] } }),
      want: ['spec.container UnknownField did you mean "spec.containers"?'],
    },
    {
      name: 'an unknown field at the top',
      given: manifest({ top: { data: {} } }),
      want: ['data UnknownField'],
    },
    {
      name: 'another kind',
      given: manifest({ top: { kind: 'Job' } }),
      want: ['kind NotSupported'],
    },
    {
      name: 'a refused field, by its path in the pod',
      given: manifest({ spec: { nodeName: 'a' } }),
      want: ['spec.nodeName Forbidden a worker takes pods, it is not given them'],
    },
    {
      name: 'bad labels, once',
      given: manifest({ metadata: { labels: { 'a b': 'x' } } }),
      want: ['metadata.labels Invalid'],
    },
    {
      name: 'finalizers',
      given: manifest({ metadata: { finalizers: ['a/b'] } }),
      want: ['metadata.finalizers Forbidden a pod goes when it was deleted'],
    },
    {
      name: 'nothing',
      given: {},
      want: ['spec.restartPolicy Required', 'metadata.name Required', 'spec.containers Required'],
    },
    {
      name: 'a container without a command',
      given: manifest({ spec: { containers: [{ name: 'main' }] } }),
      want: ['spec.containers[0].command Required'],
    },
  ];
  test.each(cases)('$name is told', ({ given, want }) => {
    const found = issuesIn(() => parseBarePod(given));
    expect(found.map((text, at) => text.slice(0, want[at]?.length ?? 999))).toEqual(want);
  });

  test('a field without effect is warned of by its path in the pod', () => {
    const { warnings } = parseBarePod(manifest({ spec: { dnsPolicy: 'None' } }));
    expect(warnings).toMatchObject([expect.stringMatching(/^spec\.dnsPolicy: no effect: /)]);
  });

  test('may have a name of 253 characters', () => {
    const name = `${'a'.repeat(60)}.${'b'.repeat(192)}`;
    expect(parseBarePod(manifest({ metadata: { name } })).pod.metadata.name).toBe(name);
  });

  test('is no object', () => {
    expect(() => parseBarePod('pod')).toThrow(InvalidSpecError);
  });
});

describe('a change of one', () => {
  const uid = '6f1d2c3b-4a59-4687-9abc-def012345678';
  const old: BarePod = parseBarePod(manifest({ metadata: { uid } })).pod;

  test('may be of labels, annotations and owners', () => {
    const changes = { labels: { a: 'b' }, annotations: { c: 'd' } };
    const { pod } = parseBarePodUpdate(old, { ...old, metadata: { ...old.metadata, ...changes } });
    expect(pod.metadata).toMatchObject({ uid, ...changes });
  });

  test('may not be of its spec, name or uid', () => {
    const metadata = { ...old.metadata, name: 'other', uid: uid.replace('6', '7') };
    const spec = { ...old.spec, terminationGracePeriodSeconds: 1 };
    expect(issuesIn(() => parseBarePodUpdate(old, { ...old, metadata, spec }))).toEqual([
      'metadata.name Invalid field is immutable',
      'metadata.uid Invalid field is immutable',
      'spec Forbidden what a pod runs can not be changed: delete it and create it anew',
    ]);
  });
});

test('is stored as a Job of one pod that is not replaced, and comes back from it', () => {
  const labels = { app: 'x' };
  const { pod } = parseBarePod(manifest({ metadata: { labels, uid: crypto.randomUUID() } }));
  const job = jobOfBarePod(pod);
  expect(job.spec).toMatchObject({ completions: 1, parallelism: 1, backoffLimit: 0 });
  expect(barePodOf(job)).toEqual(pod);
  expect(podMetadata(job, { podNumber: 1, index: null, bare: true })).toEqual(pod.metadata);
});
