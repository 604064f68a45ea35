import { describe, expect, test } from 'vitest';

import { roomMessage } from '../src/scheduling.ts';

const wants = { cpuMilli: 1_000, memoryBytes: 100 };

/** A worker with two CPUs, 1000 bytes and four lanes. */
function worker(taken: { cpuMilli?: number; memoryBytes?: number; pods?: number } = {}) {
  const { pods: podCount = 0, cpuMilli = 0, memoryBytes = 0 } = taken;
  const resources = { cpuMilli: 2_000, memoryBytes: 1_000 };
  const amounts = { cpuMilli, memoryBytes };
  return { id: '', node: '', isWithheld: false, lanes: 4, podCount, resources, taken: amounts };
}

describe('roomMessage', () => {
  test.each([
    {
      name: 'nobody has the CPUs',
      workers: [worker({ cpuMilli: 1_500 }), worker({ cpuMilli: 2_000 })],
      want: '0/2 nodes are available: 2 Insufficient cpu.',
    },
    {
      name: 'each lacks something else, and one does not count',
      workers: [
        worker({ cpuMilli: 1_500, memoryBytes: 950 }),
        worker({ memoryBytes: 901 }),
        worker({ pods: 4 }),
      ],
      nodeCount: 4,
      want: "0/4 nodes are available: 1 Insufficient cpu, 1 Too many pods, 1 node(s) didn't match Pod's node affinity/selector, 2 Insufficient memory.",
    },
    {
      name: 'some take no pods',
      workers: [worker({ pods: 4 })],
      nodeCount: 3,
      withheldCount: 2,
      want: '0/3 nodes are available: 1 Too many pods, 2 node(s) were unschedulable.',
    },
    { name: 'one has room', workers: [worker({ cpuMilli: 2_000 }), worker()], want: null },
  ])('$name', ({ workers, nodeCount = workers.length, withheldCount = 0, want }) => {
    expect(roomMessage(wants, workers, nodeCount, withheldCount)).toBe(want);
  });
});
