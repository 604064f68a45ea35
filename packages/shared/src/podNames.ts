/**
 * Names and uids of pods. Both are functions of the Job's uid, the pod's number and its index, so
 * that a pod is found by either without an index in Redis.
 *
 * @see docs/design/0001-engine.md
 */

import { assert } from './assert.ts';

/** What Kubernetes draws generated names from: no vowels, nothing that looks like another. */
const SUFFIX_ALPHABET = 'bcdfghjklmnpqrstvwxz2456789';
const SUFFIX = new RegExp(`^[${SUFFIX_ALPHABET}]{5}$`);
const BASE = SUFFIX_ALPHABET.length;
/** Length of the random-looking end of a generated name. */
export const SUFFIX_CHARS = 5;
/** How many different suffixes there are; pod numbers this far apart share one. */
export const SUFFIX_COUNT = BASE ** SUFFIX_CHARS;
/** A generated name is at most 63 long, so this is what is left for the part before the suffix. */
const MAX_PREFIX_CHARS = 58;
const ROUNDS = 3;
/** Pod numbers are written into the last 48 bits of a uid. */
const MAX_POD_NUMBER = 2 ** 48 - 1;
/** Where the last 48 bits of a UUID begin in its text. */
const UID_TAIL_AT = 24;

/** One round of the permutation: multiply and add modulo {@link SUFFIX_COUNT}. */
interface Round {
  readonly factor: number;
  readonly addend: number;
}

/**
 * The rounds that a Job's uid stands for. Keyed, so that a Job which is deleted and made again
 * does not repeat the names of its pods.
 */
function roundsOf(jobUid: string): readonly Round[] {
  if (jobUid !== lastUid || lastRounds.length === 0) {
    lastUid = jobUid;
    lastRounds = makeRounds(jobUid);
  }
  return lastRounds;
}

// Names are asked for pod after pod of the same Job, so the last one is worth keeping.
let lastUid = '';
let lastRounds: readonly Round[] = [];

function makeRounds(jobUid: string): Round[] {
  let state = 0x811c9dc5;
  for (let at = 0; at < jobUid.length; at++) {
    state = Math.imul(state ^ jobUid.charCodeAt(at), 0x01000193) >>> 0;
  }
  const next = (): number => {
    // xorshift32; 0 is its only fixed point.
    state = state === 0 ? 1 : state;
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    state >>>= 0;
    return state;
  };
  return Array.from({ length: ROUNDS }, () => {
    const factor = next() % SUFFIX_COUNT;
    // 27^5 has no prime factor but 3: anything else has an inverse.
    return { factor: factor - (factor % 3) + 1, addend: next() % SUFFIX_COUNT };
  });
}

/** Low digits decide much, high ones little: turning them round mixes both ways. */
function reverseDigits(value: number): number {
  let rest = value;
  let reversed = 0;
  for (let digit = 0; digit < SUFFIX_CHARS; digit++) {
    reversed = reversed * BASE + (rest % BASE);
    rest = Math.floor(rest / BASE);
  }
  return reversed;
}

/** Products stay below 27^10 < 2^48, so plain numbers are exact. */
function multiply(a: number, b: number): number {
  return (a * b) % SUFFIX_COUNT;
}

/** The number that times `factor` gives 1. */
function inverseOf(factor: number): number {
  // Newton: right modulo 3; each step doubles the count of right base-3 digits, of which are 15.
  let inverse = factor % 3;
  for (let step = 0; step < 4; step++) {
    const excess = (2 + SUFFIX_COUNT - multiply(factor, inverse)) % SUFFIX_COUNT;
    inverse = multiply(inverse, excess);
  }
  return inverse;
}

/**
 * The five characters at the end of a pod's name. One to one for pod numbers 1 to
 * {@link SUFFIX_COUNT} (14,348,907) of a Job; it repeats after that.
 *
 * @param podNumber - From 1.
 */
export function podSuffix(jobUid: string, podNumber: number): string {
  assertPodNumber(podNumber);
  let value = (podNumber - 1) % SUFFIX_COUNT;
  for (const { factor, addend } of roundsOf(jobUid)) {
    value = reverseDigits((multiply(value, factor) + addend) % SUFFIX_COUNT);
  }
  let suffix = '';
  for (let digit = 0; digit < SUFFIX_CHARS; digit++) {
    suffix = SUFFIX_ALPHABET.charAt(value % BASE) + suffix;
    value = Math.floor(value / BASE);
  }
  return suffix;
}

/** The lowest pod number with the suffix, or null when the text is no suffix. */
function podNumberFromSuffix(jobUid: string, suffix: string): number | null {
  if (!SUFFIX.test(suffix)) return null;
  let value = 0;
  for (const char of suffix) value = value * BASE + SUFFIX_ALPHABET.indexOf(char);
  for (const { factor, addend } of roundsOf(jobUid).toReversed()) {
    const shifted = (reverseDigits(value) - addend + SUFFIX_COUNT) % SUFFIX_COUNT;
    value = multiply(shifted, inverseOf(factor));
  }
  return value + 1;
}

/**
 * A pod's name as Kubernetes forms it: `<job>-<suffix>`, or `<job>-<index>-<suffix>` for an Indexed
 * Job. What is before the suffix is at most 58 long: the Job's name is cut, the index is not.
 *
 * @param index - Completion index, or null when the Job is not Indexed.
 * @param suffix - From {@link podSuffix}.
 */
export function podName(jobName: string, index: number | null, suffix: string): string {
  const tail = index === null ? '-' : `-${index}-`;
  const whole = jobName + tail;
  if (whole.length <= MAX_PREFIX_CHARS) return whole + suffix;
  // Kubernetes keeps the index, but of a plain name only the first 58 characters.
  if (index === null) return whole.slice(0, MAX_PREFIX_CHARS) + suffix;
  return jobName.slice(0, MAX_PREFIX_CHARS - tail.length) + tail + suffix;
}

/** A way to read a pod's name. */
export interface PodNameCandidate {
  /** The Job's name, or its beginning when {@link isCut}. */
  readonly jobName: string;
  /** The name was too long: the Job's name begins with `jobName`. */
  readonly isCut: boolean;
  /** Completion index, or null when the name is read as that of a Job which is not Indexed. */
  readonly index: number | null;
  /** Its end. */
  readonly suffix: string;
}

/**
 * Every way to read a pod's name, since `a-3-bcdfg` may be index 3 of Job `a` or a pod of Job `a-3`.
 * Whether one is right shows when {@link podName} with the Job and pod that were found gives the
 * name again.
 */
export function parsePodName(name: string): PodNameCandidate[] {
  const suffix = name.slice(-SUFFIX_CHARS);
  const prefix = name.slice(0, -SUFFIX_CHARS);
  if (prefix === '' || !SUFFIX.test(suffix)) return [];

  const candidates: PodNameCandidate[] = [];
  const mayBeCut = prefix.length === MAX_PREFIX_CHARS;
  if (prefix.endsWith('-') && prefix.length > 1) {
    candidates.push({ jobName: prefix.slice(0, -1), isCut: false, index: null, suffix });
  }
  const indexed = /^(.+)-(0|[1-9]\d*)-$/.exec(prefix);
  if (indexed !== null) {
    const [, jobName = '', digits = ''] = indexed;
    candidates.push({ jobName, isCut: false, index: Number(digits), suffix });
    if (mayBeCut) candidates.push({ jobName, isCut: true, index: Number(digits), suffix });
  }
  if (mayBeCut) candidates.push({ jobName: prefix, isCut: true, index: null, suffix });
  return candidates;
}

/**
 * The number of the pod with this name among the pods of a Job.
 *
 * @returns The lowest such number; those a multiple of {@link SUFFIX_COUNT} above have the same
 *   suffix. null when no pod of any Job has such a name. Does not check that the pod exists.
 */
export function podNumberFromName(jobUid: string, name: string): number | null {
  return podNumberFromSuffix(jobUid, name.slice(-SUFFIX_CHARS));
}

/**
 * A pod's uid: the Job's, with the pod's number XORed into its last 48 bits.
 *
 * @param podNumber - From 1, so that no pod has the uid of its Job.
 */
export function podUid(jobUid: string, podNumber: number): string {
  assertPodNumber(podNumber);
  return jobUid.slice(0, UID_TAIL_AT) + xorTail(jobUid, podNumber).toString(16).padStart(12, '0');
}

/** The number of the pod with this uid, or null when it is no pod of this Job. */
export function podNumberFromUid(jobUid: string, uid: string): number | null {
  if (uid.length !== jobUid.length || !/^[0-9a-f]{12}$/.test(uid.slice(UID_TAIL_AT))) return null;
  if (uid.slice(0, UID_TAIL_AT) !== jobUid.slice(0, UID_TAIL_AT)) return null;
  const podNumber = xorTail(jobUid, Number.parseInt(uid.slice(UID_TAIL_AT), 16));
  return podNumber === 0 ? null : podNumber;
}

/** Last 48 bits of the uid XOR value; in two halves, since `^` has 32 bits. */
function xorTail(jobUid: string, value: number): number {
  const tail = Number.parseInt(jobUid.slice(UID_TAIL_AT), 16);
  assert(Number.isSafeInteger(tail), `not a uid: ${jobUid}`);
  const half = 2 ** 24;
  const high = Math.floor(tail / half) ^ Math.floor(value / half);
  const low = (tail % half) ^ (value % half);
  return high * half + low;
}

function assertPodNumber(podNumber: number): void {
  const isInRange = Number.isInteger(podNumber) && podNumber >= 1 && podNumber <= MAX_POD_NUMBER;
  assert(isInRange, `pod numbers are integers from 1, got ${podNumber}`);
}

/** The hostname of an Indexed Job's pod: `<job>-<index>`. */
export function podHostname(jobName: string, index: number): string {
  return `${jobName}-${index}`;
}

/**
 * A name from a generateName: its first 58 characters and a random suffix.
 *
 * @param randomBelow - A random integer from 0, below its argument; Node's `crypto.randomInt` is one.
 */
export function generateName(prefix: string, randomBelow: (limit: number) => number): string {
  let name = prefix.slice(0, MAX_PREFIX_CHARS);
  for (let digit = 0; digit < SUFFIX_CHARS; digit++) {
    name += SUFFIX_ALPHABET.charAt(randomBelow(BASE));
  }
  return name;
}
