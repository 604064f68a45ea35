import { describe, expect, test } from 'vitest';

import { parseThings, type Kind } from '../src/things.ts';

describe('parseThings', () => {
  const job = (name: string) => ({ kind: 'job' as const, name });
  const cases: { words: string[]; preset: Kind | null; want: object }[] = [
    { words: [], preset: null, want: { kinds: [], things: [] } },
    { words: ['jobs'], preset: null, want: { kinds: ['job'], things: [] } },
    { words: ['jobs,po,no'], preset: null, want: { kinds: ['job', 'pod', 'node'], things: [] } },
    { words: ['cm,secrets'], preset: null, want: { kinds: ['configmap', 'secret'], things: [] } },
    { words: ['job', 'a', 'b'], preset: null, want: { kinds: [], things: [job('a'), job('b')] } },
    { words: ['job/a'], preset: null, want: { kinds: [], things: [job('a')] } },
    { words: ['jobs.batch/a'], preset: null, want: { kinds: [], things: [job('a')] } },
    {
      words: ['job/a', 'pod/b'],
      preset: null,
      want: { kinds: [], things: [job('a'), { kind: 'pod', name: 'b' }] },
    },
    { words: ['a'], preset: 'job', want: { kinds: [], things: [job('a')] } },
    { words: ['a', 'job/b'], preset: 'job', want: { kinds: [], things: [job('a'), job('b')] } },
    // A name, though every object of JavaScript has it.
    {
      words: ['constructor'],
      preset: 'job',
      want: { kinds: [], things: [job('constructor')] },
    },
    { words: ['job', 'a'], preset: 'job', want: { kinds: [], things: [job('a')] } },
  ];
  test.each(cases)('$words, bare names are $preset', ({ words, preset, want }) => {
    expect(parseThings(words, preset)).toEqual(want);
  });

  test.each([
    [
      ['deployments'],
      'there are no "deployments": jobs, cronjobs, pods, nodes, configmaps, secrets, resourcequotas or priorityclasses',
    ],
    // What every object has is no kind.
    [['constructor/a'], 'there are no "constructor": jobs, '],
    [['__proto__'], 'there are no "__proto__": jobs, '],
    [['job/'], '"job/" has no name'],
    [['job/a/b'], '"job/a/b" has no name'],
    [['job/a', 'b'], '"b": write job/NAME or pod/NAME'],
    [['jobs,pods', 'a'], 'several kinds and names'],
  ])('refuses %j', (words, message) => {
    expect(() => parseThings(words, null)).toThrow(message);
  });
});
