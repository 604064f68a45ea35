import type { Pod } from '@drover/shared';
import { describe, expect, test } from 'vitest';

import { runsToRead, type WantedRuns } from '../src/containerRuns.ts';

/** A pod with restarts by container; initContainers begin with `init`. */
function pod(restarts: Readonly<Record<string, number>>, runtimeClassName = 'process'): Pod {
  const names = Object.keys(restarts);
  const init = names.filter((name) => name.startsWith('init'));
  const main = names.filter((name) => !name.startsWith('init'));
  const containers = (of: readonly string[]) => of.map((name) => ({ name }));
  const statuses = (of: readonly string[]) =>
    of.map((name) => ({ name, restartCount: restarts[name] }));
  return {
    metadata: { name: 'pod-1', namespace: 'default' },
    spec: { runtimeClassName, initContainers: containers(init), containers: containers(main) },
    status: { initContainerStatuses: statuses(init), containerStatuses: statuses(main) },
  } as unknown as Pod;
}

/** The runs of a container that are read, of its first five. */
function runs(of: Pod, container: string, wanted: WantedRuns = {}): number[] {
  const filter = runsToRead(of, wanted);
  return [0, 1, 2, 3, 4].filter((run) => filter?.(container, run) ?? true);
}

describe('the runs that a log shows', () => {
  test('are all when there was but one: then nothing is looked at', () => {
    expect(runsToRead(pod({ main: 0 }), {})).toBeUndefined();
  });

  test('are those since the last restart, also of one that begins meanwhile', () => {
    const two = pod({ init: 1, main: 3, other: 0 });
    expect(runs(two, 'main')).toEqual([3, 4]);
    expect(runs(two, 'init')).toEqual([1, 2, 3, 4]);
    expect(runs(two, 'other')).toEqual([0, 1, 2, 3, 4]);
  });

  test('are the one before when that is wanted', () => {
    const two = pod({ main: 3, other: 0 });
    expect(runs(two, 'main', { previous: true })).toEqual([2]);
    expect(runs(two, 'other', { previous: true })).toEqual([]);
  });

  test('of a handler are all: it has one log', () => {
    expect(runsToRead(pod({ main: 2 }, 'handler'), {})).toBeUndefined();
  });
});

describe('a log that there is not', () => {
  const cases: [string, Pod, WantedRuns, string][] = [
    [
      'of another container',
      pod({ init: 0, main: 0 }),
      { container: 'nope' },
      'container nope is not valid for pod pod-1: it has init, main',
    ],
    [
      'before the first run',
      pod({ main: 0 }),
      { previous: true },
      'previous terminated container "main" in pod "pod-1" not found',
    ],
    [
      'before the first run of one container of several',
      pod({ main: 2, other: 0 }),
      { container: 'other', previous: true },
      'previous terminated container "other" in pod "pod-1" not found',
    ],
    [
      'of an earlier call of a handler',
      pod({ main: 2 }, 'handler'),
      { previous: true },
      'previous terminated container "main" in pod "pod-1" not found: a handler has one log for all its calls',
    ],
  ];

  test.each(cases)('%s', (_, of, wanted, message) => {
    expect(() => runsToRead(of, wanted)).toThrow(message);
  });
});
