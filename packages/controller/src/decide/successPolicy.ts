import { forEachInterval } from '@drover/shared';
import type { Interim } from './conditions.ts';
import type { SuccessRule } from './types.ts';

/** Reason of a Job that its successPolicy completes. */
const REASON = 'SuccessPolicy';

/**
 * Whether a successPolicy completes the Job: the first rule that is met says how. Nothing is met
 * before the first success.
 *
 * @param succeeded - How many indexes succeeded.
 * @param done - Their bits, as far as {@link lastIndexNeeded} asks for them.
 */
export function findEarlySuccess(
  rules: readonly SuccessRule[],
  succeeded: number,
  done: Uint8Array,
): Interim | null {
  if (succeeded === 0) return null;
  const at = rules.findIndex((rule) => countMet(rule, succeeded, done) >= rule.count);
  if (at < 0) return null;
  const message = `Matched rules at index ${at}`;
  return { type: 'SuccessCriteriaMet', status: 'True', reason: REASON, message };
}

/** Whether a Job that is about to complete does so by its successPolicy. */
export function isEarlySuccess({ type, reason }: Interim): boolean {
  return type === 'SuccessCriteriaMet' && reason === REASON;
}

/**
 * Up to which index the bits have to be known to say whether the Job is completed by its
 * successPolicy; -1 = none of them, since too few succeeded or no rule names indexes.
 */
export function lastIndexNeeded(rules: readonly SuccessRule[], succeeded: number): number {
  return rules
    .filter(({ count }) => succeeded >= count)
    .reduce((last, { indexes }) => Math.max(last, indexes?.at(-1)?.last ?? -1), -1);
}

function countMet({ indexes }: SuccessRule, succeeded: number, done: Uint8Array): number {
  if (indexes === null) return succeeded;
  let count = 0;
  let at = 0;
  // Both are in ascending order: one walk, however many intervals there are.
  forEachInterval(done, (indexes.at(-1)?.last ?? -1) + 1, (first, last) => {
    while (at < indexes.length && indexes[at]!.last < first) at++;
    for (let next = at; next < indexes.length && indexes[next]!.first <= last; next++) {
      const wanted = indexes[next]!;
      count += Math.min(last, wanted.last) - Math.max(first, wanted.first) + 1;
    }
  });
  return count;
}
