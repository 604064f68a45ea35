import { describe, expect, test } from 'vitest';

import {
  AlreadyExistsError,
  ConflictError,
  DroverError,
  formatIssue,
  InvalidSpecError,
  NotFoundError,
  TimeoutError,
  type ValidationIssue,
} from '../src/index.ts';

describe('formatIssue', () => {
  const cases: { name: string; given: ValidationIssue; want: string }[] = [
    {
      name: 'an invalid number is shown as it is',
      given: {
        path: 'spec.parallelism',
        kind: 'Invalid',
        value: -1,
        detail: 'must be greater than or equal to 0',
      },
      want: 'spec.parallelism: Invalid value: -1: must be greater than or equal to 0',
    },
    {
      name: 'a required value shows no value',
      given: { path: 'spec.completions', kind: 'Required', detail: 'when Indexed' },
      want: 'spec.completions: Required value: when Indexed',
    },
    {
      name: 'a required value without more to say ends after its kind',
      given: { path: 'a', kind: 'Required', detail: '' },
      want: 'a: Required value',
    },
    {
      name: 'an unsupported value is quoted',
      given: { path: 'a', kind: 'NotSupported', value: 'x', detail: 'supported values: "A", "B"' },
      want: 'a: Unsupported value: "x": supported values: "A", "B"',
    },
    {
      name: 'a duplicate names the value alone',
      given: { path: 'a[1]', kind: 'Duplicate', value: 'x', detail: '' },
      want: 'a[1]: Duplicate value: "x"',
    },
    {
      name: 'too many shows how many there are',
      given: { path: 'a', kind: 'TooMany', value: 21, detail: 'must have at most 20 items' },
      want: 'a: Too many: 21: must have at most 20 items',
    },
    {
      name: 'too long does not show the text',
      given: { path: 'a', kind: 'TooLong', detail: 'may not be more than 63 bytes' },
      want: 'a: Too long: may not be more than 63 bytes',
    },
    {
      name: 'a long value is cut',
      given: { path: 'a', kind: 'Invalid', value: 'x'.repeat(1000), detail: 'd' },
      want: `a: Invalid value: "${'x'.repeat(199)}...: d`,
    },
  ];

  test.each(cases)('$name', ({ given, want }) => {
    expect(formatIssue(given)).toBe(want);
  });
});

describe('InvalidSpecError', () => {
  const first: ValidationIssue = { path: 'a', kind: 'Required', detail: '' };
  const second: ValidationIssue = { path: 'b', kind: 'Forbidden', detail: 'no' };

  test('one issue stands alone, several in brackets, as Kubernetes writes them', () => {
    const one = new InvalidSpecError('Job.batch', 'pi', [first]);
    expect(one.message).toBe('Job.batch "pi" is invalid: a: Required value');
    const two = new InvalidSpecError('Job.batch', 'pi', [first, second]);
    expect(two.message).toBe('Job.batch "pi" is invalid: [a: Required value, b: Forbidden: no]');
    expect(two.issues).toEqual([first, second]);
  });

  test('the same issue twice is told once', () => {
    const error = new InvalidSpecError('Job.batch', 'pi', [first, { ...first }]);
    expect(error.message).toBe('Job.batch "pi" is invalid: a: Required value');
  });
});

describe('DroverError', () => {
  test('has a stable code, its own name and its cause', () => {
    const cause = new Error('socket closed');
    const error = new TimeoutError('no answer in 2 s', { cause });
    expect(error).toBeInstanceOf(DroverError);
    expect(error).toMatchObject({ code: 'TIMEOUT', name: 'TimeoutError', cause });
  });

  test('without a cause it has none', () => {
    expect('cause' in new TimeoutError('x')).toBe(false);
  });

  test('errors about an object name it as Kubernetes does', () => {
    const object = { resource: 'jobs.batch', name: 'pi' };
    expect(new NotFoundError(object).message).toBe('jobs.batch "pi" not found');
    expect(new AlreadyExistsError(object).message).toBe('jobs.batch "pi" already exists');
    expect(new ConflictError(object).message).toMatch(
      /^Operation cannot be fulfilled on jobs.batch "pi": the object has been modified;/,
    );
    expect(new NotFoundError({ ...object, namespace: 'lab' }).message).toBe(
      'jobs.batch "pi" in namespace "lab" not found',
    );
  });
});
