import { COMPLETION_INDEX_LABEL, selectorFromObject } from '@drover/shared';
import { describe, expect, test } from 'vitest';
import {
  type AdoptingJob,
  adopterFor,
  inAdoptionOrder,
  type LoosePod,
  saidIndex,
} from '../../src/decide/adopt.ts';

function pod(over: Partial<LoosePod> = {}): LoosePod {
  return { labels: { app: 'a' }, annotations: {}, owners: [], phase: 'Running', ...over };
}

function job(uid: string, matchLabels: Record<string, string>, createdMs = 0): AdoptingJob {
  return { uid, createdMs, selector: selectorFromObject({ matchLabels }) };
}

describe('adopterFor', () => {
  const any = [job('b', { app: 'a' }, 2), job('a', { app: 'a' }, 1), job('c', { app: 'c' })];
  const cases: { name: string; given: LoosePod; jobs?: AdoptingJob[]; want: string | null }[] = [
    { name: 'the oldest Job that selects it', given: pod(), want: 'a' },
    {
      name: 'of two Jobs of one moment always the same',
      given: pod(),
      jobs: [job('z', { app: 'a' }), job('y', { app: 'a' })],
      want: 'y',
    },
    { name: 'no Job selects it', given: pod({ labels: { app: 'b' } }), want: null },
    { name: 'a pod without labels', given: pod({ labels: {} }), want: null },
    { name: 'a selector that asks for nothing', given: pod(), jobs: [job('a', {})], want: null },
    { name: 'it is being deleted', given: pod({ phase: 'Stopping' }), want: null },
    { name: 'it has a controller', given: pod({ owners: [{ controller: true }] }), want: null },
    { name: 'its owner does not control it', given: pod({ owners: [{}] }), want: 'a' },
    { name: 'it waits for a worker', given: pod({ phase: 'Pending' }), want: 'a' },
    { name: 'it succeeded', given: pod({ phase: 'Succeeded' }), want: 'a' },
    { name: 'it failed', given: pod({ phase: 'Failed' }), want: 'a' },
  ];
  test.each(cases)('$name', ({ given, jobs = any, want }) => {
    expect(adopterFor(given, jobs)?.uid ?? null).toBe(want);
  });
});

test.each([
  ['0', 0],
  ['12', 12],
  ['007', 7],
  ['+3', 3],
  ['-1', null],
  ['1.5', null],
  ['', null],
  ['x', null],
  ['99999999999', null],
  [undefined, null],
])('the index that an annotation %j says is %j', (text, want) => {
  const annotations = text === undefined ? {} : { [COMPLETION_INDEX_LABEL]: text };
  expect(saidIndex({ annotations })).toBe(want);
});

test('successes are counted first, failures last, each in order of index', () => {
  const given = (['Failed', 'Pending', 'Running', 'Succeeded'] as const).flatMap((phase) =>
    ['1', '0'].map((index) => pod({ phase, annotations: { [COMPLETION_INDEX_LABEL]: index } })),
  );
  expect(inAdoptionOrder(given).map((one) => `${one.phase} ${saidIndex(one)}`)).toEqual([
    'Succeeded 0',
    'Succeeded 1',
    'Running 0',
    'Running 1',
    'Pending 0',
    'Pending 1',
    'Failed 0',
    'Failed 1',
  ]);
});
