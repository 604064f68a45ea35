import { expect, test } from 'vitest';

import { composeNode } from '../../src/compose/node.ts';
import { T0 } from './builders.ts';

const details = {
  pool: 'gpu',
  runtimes: ['process', 'handler'],
  handlers: ['a', 'b'],
  lanes: { process: 4, handler: 50 },
  version: '1.2.3',
  pid: 42,
  hostname: 'host',
  startedAt: '2026-01-15T12:00:00.123Z',
  conditions: [{ type: 'Ready', status: 'True', reason: 'WorkerReady', message: 'takes pods' }],
};

const at = (object: object, leaseEndMs: number = T0, isSilent = false) => ({
  name: 'node-a',
  object: JSON.stringify(object),
  leaseEndMs,
  isSilent,
  cordon: null,
});

test('a worker is a Node', () => {
  expect(composeNode(at(details))).toMatchObject({
    apiVersion: 'v1',
    kind: 'Node',
    metadata: {
      name: 'node-a',
      creationTimestamp: '2026-01-15T12:00:00Z',
      labels: { 'drover.dev/pool': 'gpu', 'kubernetes.io/hostname': 'host' },
      annotations: {
        'drover.dev/runtimes': 'process,handler',
        'drover.dev/handlers': 'a,b',
        'drover.dev/pid': '42',
      },
    },
    spec: {},
    status: {
      capacity: { pods: '54' },
      conditions: [{ type: 'Ready', status: 'True' }],
      nodeInfo: { kubeletVersion: '1.2.3' },
    },
  });
});

test('one that was not heard of in time is not known to be ready', () => {
  expect(composeNode(at(details, T0 - 1, true)).status.conditions).toMatchObject([
    { type: 'Ready', status: 'Unknown', reason: 'NodeStatusUnknown' },
  ]);
});

test('one that drains takes no pods', () => {
  const conditions = [{ type: 'Ready', status: 'False', reason: 'WorkerDraining', message: '' }];
  expect(composeNode(at({ ...details, conditions })).spec.unschedulable).toBe(true);
});

test('one that somebody cordoned takes no pods, and both that and its end are new versions', () => {
  const versions = [
    null,
    { isCordoned: true, sinceMs: T0 + 1_000 },
    { isCordoned: false, sinceMs: T0 + 2_000 },
  ].map((cordon) => {
    const { spec, metadata } = composeNode({ ...at(details, T0 + 9), cordon });
    return [spec.unschedulable ?? false, Number(metadata.resourceVersion)];
  });
  expect(versions.map(([unschedulable]) => unschedulable)).toEqual([false, true, false]);
  const numbers = versions.map(([, version]) => Number(version));
  expect(numbers).toEqual([...new Set(numbers)].toSorted((a, b) => a - b));
});

test('a record of another version may lack fields', () => {
  expect(composeNode(at({}))).toMatchObject({
    metadata: { name: 'node-a', labels: { 'drover.dev/pool': 'default' } },
    status: { capacity: { pods: '0' } },
  });
});
