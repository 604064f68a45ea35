import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import {
  dnsSubdomainProblems,
  generateName,
  parsePodName,
  podName,
  podNumberFromName,
  podNumberFromUid,
  podSuffix,
  podUid,
  SUFFIX_COUNT,
  uidProblems,
} from '../src/index.ts';

const UID = '6f1d2c3b-4a59-4687-9abc-def012345678';
const uids = fc.uuid();
const podNumbers = fc.integer({ min: 1, max: SUFFIX_COUNT });

describe('podSuffix', () => {
  test('has five characters of the alphabet, which leads back to the number', () => {
    fc.assert(
      fc.property(uids, podNumbers, (uid, podNumber) => {
        const suffix = podSuffix(uid, podNumber);
        expect(suffix).toMatch(/^[bcdfghjklmnpqrstvwxz2456789]{5}$/);
        expect(podNumberFromName(uid, podName('pi', null, suffix))).toBe(podNumber);
      }),
    );
  });

  test('no two of a hundred thousand pods share one', () => {
    const count = 100_000;
    const suffixes = Array.from({ length: count }, (_, at) => podSuffix(UID, at + 1));
    expect(new Set(suffixes).size).toBe(count);
  });

  test('neighbours do not look alike, nor does the same pod of another Job', () => {
    const other = '6f1d2c3b-4a59-4687-9abc-def012345679';
    const beginnings = Array.from({ length: 27 }, (_, at) => podSuffix(UID, at + 1).slice(0, 2));
    expect(new Set(beginnings).size).toBeGreaterThan(13);
    expect(podSuffix(other, 1)).not.toBe(podSuffix(UID, 1));
  });

  test('repeats when the suffixes are used up', () => {
    expect(podSuffix(UID, SUFFIX_COUNT + 1)).toBe(podSuffix(UID, 1));
    expect(podSuffix(UID, SUFFIX_COUNT)).not.toBe(podSuffix(UID, 1));
  });

  test.each([0, -1, 1.5, Number.NaN, 2 ** 48])('%d is no pod number', (podNumber) => {
    expect(() => podSuffix(UID, podNumber)).toThrow('pod numbers are integers from 1');
  });
});

describe('podName', () => {
  const long = `${'a'.repeat(52)}bcdefghijkl`;

  test.each([
    ['pi', null, 'pi-x2456'],
    ['pi', 0, 'pi-0-x2456'],
    ['pi', 12345, 'pi-12345-x2456'],
    // 63 characters: 58 of the name without a dash, or the name cut so that the index stays.
    [long, null, `${long.slice(0, 58)}x2456`],
    [long, 7, `${long.slice(0, 55)}-7-x2456`],
    ['a'.repeat(57), null, `${'a'.repeat(57)}-x2456`],
    ['a'.repeat(58), null, `${'a'.repeat(58)}x2456`],
    ['a'.repeat(55), 7, `${'a'.repeat(55)}-7-x2456`],
  ])('%s at index %s', (jobName, index, want) => {
    const name = podName(jobName, index, 'x2456');
    expect(name).toBe(want);
    expect(name.length).toBeLessThanOrEqual(63);
  });

  test('one of the ways to read it is right', () => {
    const jobNames = fc.stringMatching(/^[a-z0-9]([-a-z0-9]{0,60}[a-z0-9])?$/);
    const indexes = fc.option(fc.nat(1_000_000));
    fc.assert(
      fc.property(uids, podNumbers, jobNames, indexes, (uid, podNumber, jobName, index) => {
        const name = podName(jobName, index, podSuffix(uid, podNumber));
        const right = parsePodName(name).filter((candidate) =>
          candidate.isCut ? jobName.startsWith(candidate.jobName) : candidate.jobName === jobName,
        );
        expect(right.map((candidate) => candidate.index)).toContain(index);
        expect(podNumberFromName(uid, name)).toBe(podNumber);
        expect(dnsSubdomainProblems(name)).toEqual([]);
      }),
    );
  });
});

describe('parsePodName', () => {
  test('gives both readings of a name that ends like an index', () => {
    const readings = parsePodName('a-3-bcdfg');
    expect(readings).toEqual([
      { jobName: 'a-3', isCut: false, index: null, suffix: 'bcdfg' },
      { jobName: 'a', isCut: false, index: 3, suffix: 'bcdfg' },
    ]);
  });

  test.each(['', 'bcdfg', '-bcdfg', 'a-bcdfa', 'a-bcd', 'a-03-bcdf', 'abcdfg'])(
    '"%s" is no name of a pod',
    (name) => {
      expect(parsePodName(name)).toEqual([]);
    },
  );

  test('an index with a leading zero is part of the name', () => {
    expect(parsePodName('a-03-bcdfg')).toEqual([
      { jobName: 'a-03', isCut: false, index: null, suffix: 'bcdfg' },
    ]);
  });
});

describe('podUid', () => {
  test('is a uid that leads back to the number', () => {
    fc.assert(
      fc.property(uids, fc.integer({ min: 1, max: 2 ** 48 - 1 }), (uid, podNumber) => {
        const pod = podUid(uid, podNumber);
        expect(uidProblems(pod)).toEqual([]);
        expect(pod).not.toBe(uid);
        expect(podNumberFromUid(uid, pod)).toBe(podNumber);
      }),
    );
  });

  test('changes the last 48 bits by XOR', () => {
    expect(podUid(UID, 1)).toBe('6f1d2c3b-4a59-4687-9abc-def012345679');
    expect(podUid(UID, 0x8000_0000_0001)).toBe('6f1d2c3b-4a59-4687-9abc-5ef012345679');
  });

  test.each([
    ['the Job itself', UID],
    ['a pod of another Job', '7f1d2c3b-4a59-4687-9abc-def012345679'],
    ['something else', 'x'],
    ['not hexadecimal', '6f1d2c3b-4a59-4687-9abc-def01234567g'],
  ])('%s is no pod of the Job', (_, uid) => {
    expect(podNumberFromUid(UID, uid)).toBeNull();
  });
});

describe('generateName', () => {
  test('adds five characters, after at most 58', () => {
    expect(generateName('pi-', () => 0)).toBe('pi-bbbbb');
    expect(generateName('pi-', (limit) => limit - 1)).toBe('pi-99999');
    expect(generateName('a'.repeat(100), () => 1)).toBe(`${'a'.repeat(58)}ccccc`);
  });
});
