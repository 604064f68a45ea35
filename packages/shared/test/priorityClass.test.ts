import * as fc from 'fast-check';
import { expect, test } from 'vitest';

import {
  parseObject,
  parseObjectUpdate,
  podPriority,
  PRIORITY_CLASS_KIND,
  queuePriority,
  type PriorityClass,
} from '../src/index.ts';

function made(name: string, value: number, more: object = {}): PriorityClass {
  return parseObject(PRIORITY_CLASS_KIND, { metadata: { name }, value, ...more });
}

test('a class belongs to no namespace, and what it stands for can not change', () => {
  const stored = made('urgent', 1_000);
  expect(stored.metadata.namespace).toBe('');
  const changed = { ...stored, value: 2_000, preemptionPolicy: 'Never' };
  expect(() => parseObjectUpdate(PRIORITY_CLASS_KIND, stored, changed)).toThrow(
    '[value: Forbidden: may not be changed in an update., preemptionPolicy: Invalid value: "Never": field is immutable]',
  );
});

const REFUSED: { name: string; make: () => unknown; want: string }[] = [
  {
    name: 'a value that is the system’s',
    make: () => made('huge', 1_000_000_001),
    want: 'value: Forbidden: maximum allowed value of a user defined priority is 1000000000',
  },
  {
    name: 'a name that is the system’s',
    make: () => made('system-mine', 1),
    want: "metadata.name: Forbidden: priority class names with 'system-' prefix are reserved",
  },
  {
    name: 'no value',
    make: () => parseObject(PRIORITY_CLASS_KIND, { metadata: { name: 'x' } }),
    want: 'value: Required value',
  },
];
test.each(REFUSED)('$name is refused', ({ make, want }) => expect(make).toThrow(want));

const RESOLVED: { name: string; className: string; want: ReturnType<typeof podPriority> }[] = [
  { name: 'one that is there', className: 'low', want: { value: -1, className: 'low' } },
  {
    name: 'one of the system',
    className: 'system-node-critical',
    want: { value: 2_000_001_000, className: 'system-node-critical' },
  },
  {
    name: 'none: the default, of several the lowest',
    className: '',
    want: { value: 3, className: 'usual' },
  },
  { name: 'one that is not there', className: 'gold', want: null },
];
test.each(RESOLVED)('a pod that names $name', ({ className, want }) => {
  const classes = [
    made('low', -1),
    made('other', 5, { globalDefault: true }),
    made('usual', 3, { globalDefault: true }),
  ];
  expect(podPriority(classes, className)).toEqual(want);
});

test('without a default it is 0', () => {
  expect(podPriority([made('low', -1)], '')).toEqual({ value: 0, className: '' });
});

test('the queue’s priorities are in its range and in the order of values, apart where those are', () => {
  const value = fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 });
  fc.assert(
    fc.property(value, value, (a, b) => {
      const [low, high] = [Math.min(a, b), Math.max(a, b)];
      const [first, last] = [queuePriority(high), queuePriority(low)];
      expect(first).toBeGreaterThanOrEqual(1);
      expect(last).toBeLessThanOrEqual(2 ** 21);
      expect(Number.isInteger(first)).toBe(true);
      expect(first).toBeLessThanOrEqual(last);
      const isApart = high - low > Math.max(Math.abs(low), Math.abs(high)) / 2 ** 16;
      expect(first < last || !isApart).toBe(true);
    }),
  );
  expect([-1, 0, 1].map(queuePriority)).toEqual([1_048_577, 1_048_576, 1_048_575]);
});
