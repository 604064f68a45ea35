import assert from 'node:assert/strict';
import type { Gate, HotCounters, IndexSupply } from './api.ts';

/** Fields of the packed hot state, doubles in this order; lua/include/hot.lua is the other side. */
export const HOT_FIELDS = [
  'generation',
  'decisionVersion',
  'limit',
  'notBeforeMs',
  'deadlineMs',
  'rules',
  'completions',
  'active',
  'running',
  'terminating',
  'succeeded',
  'failed',
  'limitFailures',
  'unjudged',
  'restarts',
  'podCount',
  'nextSlot',
  'cursor',
  'retryCount',
  'lossCount',
  'foldAtMs',
  'lastSuccessMs',
  'failuresInRow',
  'lastFailureMs',
  'onQueue',
  'indexed',
  'kept',
] as const;

/** Bits of the field `rules`. */
const HOLD_ON_FAILURE = 1;
const PER_INDEX = 2;
const REPLACE_ENDED = 4;
const EACH_SUCCESS = 8;

/** A gate's rules as the scripts have them. */
export function encodeRules(gate: Gate): number {
  const { holdOnFailure, perIndex, replaceEnded, lookAtSuccesses } = gate;
  return (
    (holdOnFailure ? HOLD_ON_FAILURE : 0) |
    (perIndex === true ? PER_INDEX : 0) |
    (replaceEnded === true ? REPLACE_ENDED : 0) |
    (lookAtSuccesses === true ? EACH_SUCCESS : 0)
  );
}

/** A gate as the scripts have it. */
export function decodeGate(
  fields: Pick<Gate, 'limit' | 'notBeforeMs' | 'deadlineMs'> & { readonly rules: number },
): Gate {
  const { limit, notBeforeMs, deadlineMs, rules } = fields;
  return {
    limit,
    notBeforeMs,
    deadlineMs,
    holdOnFailure: (rules & HOLD_ON_FAILURE) !== 0,
    ...((rules & PER_INDEX) !== 0 && { perIndex: true }),
    ...((rules & REPLACE_ENDED) !== 0 && { replaceEnded: true }),
    ...((rules & EACH_SUCCESS) !== 0 && { lookAtSuccesses: true }),
  };
}

/** The hot state of a Job as the rest of Drover sees it. */
export interface HotState {
  readonly decisionVersion: number;
  readonly gate: Gate;
  readonly counters: HotCounters;
  readonly supply: IndexSupply;
  readonly foldAtMs: number;
}

/** Unpacks a Job's hot state. */
export function decodeHot(packed: Buffer): HotState {
  assert.equal(packed.length, HOT_FIELDS.length * 8, 'hot state');
  const value = (name: (typeof HOT_FIELDS)[number]): number =>
    packed.readDoubleBE(HOT_FIELDS.indexOf(name) * 8);
  return {
    decisionVersion: value('decisionVersion'),
    gate: decodeGate({
      limit: value('limit'),
      notBeforeMs: value('notBeforeMs'),
      deadlineMs: value('deadlineMs'),
      rules: value('rules'),
    }),
    counters: {
      active: value('active'),
      running: value('running'),
      terminating: value('terminating'),
      succeeded: value('succeeded'),
      failed: value('failed'),
      limitFailures: value('limitFailures'),
      unjudged: value('unjudged'),
      restarts: value('restarts'),
      podCount: value('podCount'),
      failuresInRow: value('failuresInRow'),
      lastFailureMs: value('lastFailureMs'),
      lastSuccessMs: value('lastSuccessMs'),
      kept: value('kept'),
    },
    supply: {
      completions: value('completions') < 0 ? null : value('completions'),
      cursor: value('cursor'),
      retryCount: value('retryCount'),
    },
    foldAtMs: value('foldAtMs'),
  };
}
