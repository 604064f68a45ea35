import type { HaltEvent } from '@drover/shared';

/** When a run ends before all of its arguments were run, as `--halt` says it. */
export interface HaltRule {
  /** `now` stops what runs, `soon` lets it end. */
  readonly when: 'now' | 'soon';
  readonly on: HaltEvent;
  /** So many ends, or so many percent of all arguments. */
  readonly amount: { readonly count: number } | { readonly percent: number };
}

const SHORT: Readonly<Record<string, HaltRule | null>> = {
  never: null,
  '0': null,
  '1': { when: 'soon', on: 'fail', amount: { count: 1 } },
  '2': { when: 'now', on: 'fail', amount: { count: 1 } },
  '-1': { when: 'soon', on: 'success', amount: { count: 1 } },
  '-2': { when: 'now', on: 'success', amount: { count: 1 } },
};

/** What a rule looks like, for messages. */
export const HALT_FORMS = 'never, or now|soon,fail|success|done=COUNT or =PERCENT%';

/** Reads `--halt`; null = never. Undefined when the text is no such rule. */
export function parseHalt(text: string): HaltRule | null | undefined {
  if (Object.hasOwn(SHORT, text)) return SHORT[text];
  const old = /^(\d{1,3})%$/.exec(text);
  const match = old === null ? /^(now|soon),(fail|success|done)=(\d{1,9})(%?)$/.exec(text) : null;
  if (old === null && match === null) return undefined;
  const number = Number(old?.[1] ?? match?.[3]);
  const isPercent = old !== null || match?.[4] === '%';
  if (number < 1 || (isPercent && number > 100)) return undefined;
  return {
    when: match?.[1] === 'now' ? 'now' : 'soon',
    on: (match?.[2] ?? 'fail') as HaltEvent,
    amount: isPercent ? { percent: number } : { count: number },
  };
}

/** How many ends of the kind halt a run of `total` arguments; at least one. */
export function haltCount({ amount }: HaltRule, total: number): number {
  return 'count' in amount ? amount.count : Math.max(1, Math.ceil((total * amount.percent) / 100));
}
