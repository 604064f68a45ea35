import { describe, expect, test } from 'vitest';

import { fittingKey, parseFittingKey, parseJob, podAmount, podRequests } from '../src/index.ts';

const command = ['true'];

/** A validated pod spec. */
function podOf(spec: object) {
  const template = { spec: { restartPolicy: 'Never', ...spec } };
  return parseJob({ metadata: { name: 'j' }, spec: { template } }).job.spec.template.spec;
}

function container(name: string, requests: object, more: object = {}): object {
  return { name, command, resources: { requests }, ...more };
}

describe('podRequests', () => {
  const sidecar = { restartPolicy: 'Always' };
  const cases: { name: string; spec: object; cpuMilli: number; memoryBytes?: number }[] = [
    {
      name: 'the sum of its containers',
      spec: {
        containers: [container('a', { cpu: '500m', memory: '1Ki' }), container('b', { cpu: 1 })],
      },
      cpuMilli: 1_500,
      memoryBytes: 1_024,
    },
    {
      name: 'a limit stands for a request',
      spec: { containers: [{ name: 'a', command, resources: { limits: { cpu: '0.1' } } }] },
      cpuMilli: 100,
    },
    {
      name: 'what an initContainer needs, when that is more',
      spec: {
        initContainers: [container('i', { cpu: 3 }), container('k', { cpu: 1 })],
        containers: [container('a', { cpu: 2 })],
      },
      cpuMilli: 3_000,
    },
    {
      name: 'sidecars beside the containers, and beside later initContainers',
      spec: {
        initContainers: [
          container('first', { cpu: 2 }),
          container('s', { cpu: '250m' }, sidecar),
          container('later', { cpu: 2 }),
        ],
        containers: [container('a', { cpu: 1 })],
      },
      cpuMilli: 2_250,
    },
    {
      name: 'what the pod says of itself, instead of its containers',
      spec: {
        resources: { requests: { cpu: 2 } },
        containers: [container('a', { cpu: 1, memory: 10 })],
      },
      cpuMilli: 2_000,
      memoryBytes: 10,
    },
    {
      name: 'its own limit, when nobody says what is requested',
      spec: { resources: { limits: { cpu: 2 } }, containers: [container('a', {})] },
      cpuMilli: 2_000,
    },
    {
      name: 'its overhead beside that',
      spec: { overhead: { cpu: '10m', memory: '5' }, containers: [container('a', { cpu: 1 })] },
      cpuMilli: 1_010,
      memoryBytes: 5,
    },
    {
      name: 'less than a thousandth of a CPU, or a byte, is one',
      spec: { containers: [container('a', { cpu: '1n', memory: '1m' })] },
      cpuMilli: 1,
      memoryBytes: 1,
    },
  ];

  test.each(cases)('$name', ({ spec, cpuMilli, memoryBytes = 0 }) => {
    expect(podRequests(podOf(spec))).toEqual({ cpuMilli, memoryBytes });
  });

  test('nothing, when nothing is requested', () => {
    expect(podRequests(podOf({ containers: [container('a', {})] }))).toBeNull();
    expect(podRequests(podOf({ containers: [container('a', { cpu: 0 })] }))).toBeNull();
  });
});

describe('podAmount', () => {
  test('overhead raises a limit, but makes none', () => {
    const overhead = { cpu: 1, memory: '1Ki' };
    const resources = { limits: { cpu: 2 } };
    const pod = podOf({ overhead, containers: [{ name: 'a', command, resources }] });
    expect(podAmount(pod, 'limits', 'cpu')).toBe(3_000_000_000n);
    expect(podAmount(pod, 'limits', 'memory')).toBeNull();
  });

  test('a resource that nobody has heard of', () => {
    const pod = podOf({ containers: [container('a', { 'example.com/gpu': 2 })] });
    expect(podAmount(pod, 'requests', 'example.com/gpu')).toBe(2_000_000_000n);
  });
});

describe('fittingKey', () => {
  test('of pods that request something says so, and is read again', () => {
    const key = fittingKey(podOf({ containers: [container('a', { cpu: '1.5', memory: '1Gi' })] }));
    expect(key).toBe('cpu=1500,memory=1073741824 default/process');
    expect(parseFittingKey(key)).toEqual({
      lanes: 'default/process',
      requests: { cpuMilli: 1_500, memoryBytes: 2 ** 30 },
    });
  });

  test('of others is that of their lanes', () => {
    const key = fittingKey(podOf({ containers: [container('a', {})] }));
    expect(parseFittingKey(key)).toEqual({ lanes: key, requests: null });
  });
});
