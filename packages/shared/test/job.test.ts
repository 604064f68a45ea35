import { describe, expect, test } from 'vitest';

import {
  InvalidSpecError,
  jobStatusWord,
  parseJob,
  readJob,
  TerminalError,
  type JobSpec,
} from '../src/index.ts';
import { handlerManifest, jobOf, manifest, problemsOf, withValues } from './manifests.ts';

describe('defaults of the spec', () => {
  const cases: { name: string; given: object; want: Partial<JobSpec> }[] = [
    {
      name: 'neither count: one pod, once',
      given: {},
      want: { parallelism: 1, completions: 1 },
    },
    {
      name: 'parallelism alone: a work queue, so completions stays unset',
      given: { parallelism: 3 },
      want: { parallelism: 3, completions: undefined },
    },
    {
      name: 'completions alone: one pod at a time',
      given: { completions: 5 },
      want: { parallelism: 1, completions: 5 },
    },
    {
      name: 'parallelism 0 is not "unset"',
      given: { parallelism: 0 },
      want: { parallelism: 0, completions: undefined },
    },
    {
      name: 'null is "unset"',
      given: { parallelism: null, completions: null, backoffLimit: null },
      want: { parallelism: 1, completions: 1, backoffLimit: 6 },
    },
    {
      name: 'everything else',
      given: {},
      want: {
        backoffLimit: 6,
        completionMode: 'NonIndexed',
        suspend: false,
        manualSelector: false,
        podReplacementPolicy: 'TerminatingOrFailed',
        activeDeadlineSeconds: undefined,
        ttlSecondsAfterFinished: undefined,
      },
    },
    {
      name: 'an Indexed Job with no counts has one index',
      given: { completionMode: 'Indexed' },
      want: { parallelism: 1, completions: 1, completionMode: 'Indexed' },
    },
  ];

  test.each(cases)('$name', ({ given, want }) => {
    const { spec } = jobOf({ spec: { ...given } });
    for (const [field, value] of Object.entries(want)) {
      expect(spec[field as keyof JobSpec], field).toBe(value);
    }
  });
});

test('defaults of the pod template are those that Kubernetes writes into it', () => {
  const { template } = jobOf({ container: { image: 'busybox' } }).spec;
  expect(template).toEqual({
    metadata: {},
    spec: {
      restartPolicy: 'Never',
      terminationGracePeriodSeconds: 30,
      dnsPolicy: 'ClusterFirst',
      schedulerName: 'default-scheduler',
      securityContext: {},
      containers: [
        {
          name: 'main',
          image: 'busybox',
          command: ['true'],
          resources: {},
          terminationMessagePath: '/dev/termination-log',
          terminationMessagePolicy: 'File',
          imagePullPolicy: 'Always',
        },
      ],
    },
  });
});

test.each([
  ['busybox', 'Always'],
  ['busybox:latest', 'Always'],
  ['busybox:1.36', 'IfNotPresent'],
  ['registry.example:5000/busybox', 'Always'],
  ['registry.example:5000/busybox:1', 'IfNotPresent'],
  ['busybox@sha256:0123', 'IfNotPresent'],
])('image %s is pulled %s', (image, want) => {
  const [container] = jobOf({ container: { image } }).spec.template.spec.containers;
  expect(container?.imagePullPolicy).toBe(want);
});

test('requests default to limits, one by one, in canonical form', () => {
  const resources = { limits: { cpu: 2, memory: '0.5Gi' }, requests: { cpu: '1000m' } };
  const [container] = jobOf({ container: { resources } }).spec.template.spec.containers;
  expect(container?.resources).toEqual({
    limits: { cpu: '2', memory: '512Mi' },
    requests: { cpu: '1', memory: '512Mi' },
  });
});

test('fieldRef and policies get their defaults', () => {
  const env = [{ name: 'A', valueFrom: { fieldRef: { fieldPath: 'metadata.name' } } }];
  const [container] = jobOf({ container: { env } }).spec.template.spec.containers;
  expect(container?.env?.[0]?.valueFrom?.fieldRef?.apiVersion).toBe('v1');
});

describe('parseJob', () => {
  test('says what a Job is', () => {
    expect(jobOf()).toMatchObject({ apiVersion: 'batch/v1', kind: 'Job', status: {} });
    expect(problemsOf(manifest({ top: { apiVersion: 'v1', kind: 'Pod' } }))).toEqual([
      'apiVersion NotSupported supported values: "batch/v1"',
      'kind NotSupported supported values: "Job"',
    ]);
  });

  test.each([
    ['no namespace at all', {}, undefined, 'default'],
    ["the manifest's", { namespace: 'lab' }, undefined, 'lab'],
    ["the request's", {}, 'lab', 'lab'],
    ['the same twice', { namespace: 'lab' }, 'lab', 'lab'],
  ])('namespace: %s', (_, metadata, namespace, want) => {
    const options = namespace === undefined ? {} : { namespace };
    const { job } = parseJob(manifest({ metadata }), options);
    expect(job.metadata.namespace).toBe(want);
  });

  test('a namespace that differs from that of the request is refused', () => {
    const options = { namespace: 'lab' };
    expect(problemsOf(manifest({ metadata: { namespace: 'home' } }), options)).toEqual([
      'metadata.namespace Invalid does not match the namespace of the request, "lab"',
    ]);
  });

  test('the input is not changed', () => {
    const input = manifest({ metadata: { nmae: 'x' }, top: { status: { active: 1 } } });
    const before = structuredClone(input);
    expect(() => parseJob(input)).toThrow(InvalidSpecError);
    expect(input).toEqual(before);
  });

  test('what clients send for "not set" is not set', () => {
    const { job, warnings } = parseJob(
      manifest({
        top: { status: {} },
        metadata: { creationTimestamp: null },
        template: { metadata: { creationTimestamp: null } },
        container: { resources: {}, env: null, args: [] },
        pod: { affinity: {}, volumes: [], initContainers: null, hostNetwork: false },
      }),
    );
    expect(warnings).toEqual([]);
    expect(job.metadata).not.toHaveProperty('creationTimestamp');
  });

  test('a new Job is not being deleted, whatever the manifest was read from', () => {
    const job = jobOf({
      metadata: { deletionTimestamp: '2026-01-01T00:00:00Z', deletionGracePeriodSeconds: 0 },
    });
    expect(job.metadata).not.toHaveProperty('deletionTimestamp');
    expect(job.metadata).not.toHaveProperty('deletionGracePeriodSeconds');
    expect(jobStatusWord(job)).toBe('Running');
  });

  test('a Date of a client library becomes text', () => {
    const creationTimestamp = new Date(Date.UTC(2026, 0, 1));
    const job = jobOf({ metadata: { creationTimestamp } });
    expect(job.metadata.creationTimestamp).toBe('2026-01-01T00:00:00.000Z');
  });

  test('a status is left out, and that is said', () => {
    const { job, warnings } = parseJob(manifest({ top: { status: { active: 1, wrong: true } } }));
    expect(job.status).toEqual({});
    expect(warnings).toEqual(['status: no effect: a new Job begins without a status']);
  });

  test('a name that is no DNS label is warned of', () => {
    const { warnings } = parseJob(manifest({ metadata: { name: 'a.b' } }));
    expect(warnings).toEqual([
      'metadata.name: this is used in Pod names and hostnames, which can result in surprising ' +
        'behavior; a DNS label is recommended: [must not contain dots]',
    ]);
  });

  test('a generateName is enough', () => {
    const { job } = parseJob(manifest({ metadata: { name: undefined, generateName: 'pi-' } }));
    expect(job.metadata).toMatchObject({ name: '', generateName: 'pi-' });
  });

  test('a handler Job needs no command', () => {
    expect(problemsOf(handlerManifest())).toEqual([]);
  });

  test('the message begins as that of Kubernetes', () => {
    const input = manifest({ spec: { parallelism: -1 } });
    expect(() => parseJob(input)).toThrow(
      'Job.batch "pi" is invalid: spec.parallelism: Invalid value: -1: ' +
        'must be greater than or equal to 0',
    );
  });

  test.each([
    ['by its generateName', { name: undefined, generateName: 'pi-' }, 'Job.batch "pi-" is'],
    ['as unnamed', { name: undefined }, 'Job.batch "<unnamed>" is'],
  ])('a Job without a name is called %s', (_, metadata, want) => {
    expect(() => parseJob(manifest({ metadata, spec: { parallelism: -1 } }))).toThrow(want);
  });
});

describe('what does not fit', () => {
  test('the name __proto__ is told wherever it stands, since schemas pass over it', () => {
    const text = JSON.stringify(manifest()).replace('{', '{"__proto__": {"a": 1}, ');
    const labels = text.replace('"metadata":{', '"metadata":{"labels":{"__proto__":"x"},');
    expect(problemsOf(JSON.parse(labels))).toEqual([
      'metadata.labels[__proto__] Invalid nothing can have this name',
      '__proto__ Invalid nothing can have this name',
    ]);
  });

  test.each([['a text'], [3], [null], [undefined], [[]]])('%j is no Job', (input) => {
    expect(problemsOf(input)).toEqual(['(root) Invalid must be an object with metadata and spec']);
  });

  test('an empty object lacks all that a Job needs', () => {
    expect(problemsOf({})).toEqual([
      'spec.template.spec.restartPolicy Required valid values: "OnFailure", "Never"',
      'metadata.name Required name or generateName is required',
      'spec.template.spec.containers Required',
    ]);
  });

  test('structure and rules are told together, each problem once', () => {
    const input = {
      metadata: { name: 'Pi', labels: { app: 3 } },
      spec: {
        paralelism: 3,
        parallelism: -1,
        completions: 'many',
        backoffLimit: 1.5,
        suspend: 'yes',
        restartPolicy: 'Never',
        template: {
          spec: {
            restartPolicy: 'Always',
            containers: [{ image: 5, args: ['a', 1], env: [{ value: 'x' }] }, 'second'],
          },
        },
      },
    };
    expect(
      problemsOf(input)
        .map((text) => text.split(' ', 2).join(' '))
        .toSorted(),
    ).toEqual([
      'metadata.labels[app] Invalid',
      'metadata.name Invalid',
      'spec.backoffLimit Invalid',
      'spec.completions Invalid',
      'spec.paralelism UnknownField',
      'spec.parallelism Invalid',
      'spec.restartPolicy UnknownField',
      'spec.suspend Invalid',
      'spec.template.spec.containers[0].args[1] Invalid',
      'spec.template.spec.containers[0].command Required',
      'spec.template.spec.containers[0].env[0].name Required',
      'spec.template.spec.containers[0].image Invalid',
      'spec.template.spec.containers[0].name Required',
      'spec.template.spec.containers[1] Invalid',
      'spec.template.spec.restartPolicy Required',
    ]);
  });

  test.each([
    ['spec.paralelism', 'spec.parallelism', { spec: { paralelism: 1 } }],
    ['spec.BackoffLimit', 'spec.backoffLimit', { spec: { BackoffLimit: 1 } }],
    ['metadata.lables', 'metadata.labels', { metadata: { lables: {} } }],
    ['spec.restartPolicy', 'spec.template.spec.restartPolicy', { spec: { restartPolicy: 'x' } }],
    ['spec.containers', 'spec.template.spec.containers', { spec: { containers: [] } }],
    ['spec.template.labels', 'spec.template.metadata.labels', { template: { labels: {} } }],
    [
      'spec.template.spec.containers[0].comand',
      'spec.template.spec.containers[].command',
      { container: { comand: ['x'] } },
    ],
    ['spec.template.spec.parallelism', 'spec.parallelism', { pod: { parallelism: 1 } }],
    ['stauts', 'status', { top: { stauts: {} } }],
  ])('%s is unknown; %s was meant', (path, meant, changes) => {
    expect(problemsOf(manifest(changes))).toContain(
      `${path} UnknownField did you mean "${meant}"?`,
    );
  });

  test('a field like no other has no suggestion', () => {
    expect(problemsOf(manifest({ spec: { zzzzzzz: 1 } }))).toEqual(['spec.zzzzzzz UnknownField']);
  });

  test.each([
    [
      'a text for a number',
      { spec: { parallelism: '3' } },
      'spec.parallelism Invalid must be an integer',
    ],
    ['a fraction', { spec: { parallelism: 1.5 } }, 'spec.parallelism Invalid must be an integer'],
    [
      'more than 32 bits',
      { spec: { parallelism: 2 ** 31 } },
      'spec.parallelism Invalid must be less than or equal to 2147483647',
    ],
    [
      'a text for a flag',
      { spec: { suspend: 'true' } },
      'spec.suspend Invalid must be true or false',
    ],
    [
      'an unknown mode',
      { spec: { completionMode: 'indexed' } },
      'spec.completionMode NotSupported supported values: "NonIndexed", "Indexed"',
    ],
    [
      'a text for a list',
      { container: { command: 'true' } },
      'spec.template.spec.containers[0].command Invalid must be a list',
    ],
    [
      'a number for a text',
      { container: { workingDir: 3 } },
      'spec.template.spec.containers[0].workingDir Invalid must be a string (in quotes)',
    ],
    ['a list for an object', { spec: { template: [] } }, 'spec.template Invalid must be an object'],
    [
      'a label without value',
      { metadata: { labels: { app: null } } },
      'metadata.labels[app] Invalid must be a string (in quotes)',
    ],
    [
      'an amount that is none',
      { container: { resources: { limits: { cpu: 'many' } } } },
      "spec.template.spec.containers[0].resources.limits[cpu] Invalid quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'",
    ],
    [
      'an amount of the wrong type',
      { container: { resources: { limits: { cpu: [] } } } },
      "spec.template.spec.containers[0].resources.limits[cpu] Invalid quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'",
    ],
  ])('%s', (_, changes, want) => {
    expect(problemsOf(manifest(changes))).toEqual([want]);
  });
});

describe('readJob', () => {
  test('reads what parseJob made', () => {
    const job = jobOf({ container: { image: 'x', resources: { limits: { cpu: 1 } } } });
    expect(readJob(JSON.parse(JSON.stringify(job)))).toEqual(job);
  });

  test('keeps fields of a later version, wherever they are', () => {
    const stored = withValues(jobOf(), {
      'spec.scheduling': { gang: true },
      'spec.template.spec.containers.0.later': [1],
      'status.sometime': 'x',
    });
    expect(readJob(stored)).toEqual(stored);
  });

  test.each([[null], ['x'], [{}], [{ metadata: {}, spec: { template: 3 } }]])(
    '%j is damaged',
    (stored) => {
      expect(() => readJob(stored)).toThrow(TerminalError);
    },
  );
});
