import assert from 'node:assert/strict';
import type { Gate, HotCounters } from './api.ts';

/** Fields of the packed hot state, doubles in this order; lua/include/hot.lua is the other side. */
export const HOT_FIELDS = [
  'generation',
  'decisionVersion',
  'limit',
  'notBeforeMs',
  'deadlineMs',
  'hold',
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

/** The hot state of a Job as the rest of Drover sees it. */
export interface HotState {
  readonly decisionVersion: number;
  readonly gate: Gate;
  readonly counters: HotCounters;
  readonly foldAtMs: number;
}

/** Unpacks a Job's hot state. */
export function decodeHot(packed: Buffer): HotState {
  assert.equal(packed.length, HOT_FIELDS.length * 8, 'hot state');
  const value = (name: (typeof HOT_FIELDS)[number]): number =>
    packed.readDoubleBE(HOT_FIELDS.indexOf(name) * 8);
  return {
    decisionVersion: value('decisionVersion'),
    gate: {
      limit: value('limit'),
      notBeforeMs: value('notBeforeMs'),
      deadlineMs: value('deadlineMs'),
      holdOnFailure: value('hold') === 1,
    },
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
    foldAtMs: value('foldAtMs'),
  };
}
