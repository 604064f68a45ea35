/** The model's state and the stored one in the same form, and where they differ. */
import { isDeepStrictEqual } from 'node:util';
import { decodeGate } from '../../src/hot.ts';
import { NO_FAILURES } from '../../src/api.ts';
import type { Model, ModelJob } from './model.ts';
import type { RawShard } from './rawState.ts';

/** Fails with the first place where the two differ. */
export function same(what: string, got: unknown, want: unknown): void {
  if (isDeepStrictEqual(got, want)) return;
  throw new Error(`${what}${firstDifference(got, want)}`);
}

function firstDifference(got: unknown, want: unknown): string {
  if (isObject(got) && isObject(want)) {
    for (const key of new Set([...Object.keys(got), ...Object.keys(want)])) {
      if (!isDeepStrictEqual(got[key], want[key]))
        return `.${key}${firstDifference(got[key], want[key])}`;
    }
  }
  return `: ${JSON.stringify(got)}, should be ${JSON.stringify(want)}`;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}

/** What should lie in Redis by the model. */
export function expectedState(model: Model) {
  const jobs = [...model.jobs.values()].map((job) => [job.uid, expectedJob(job)] as const);
  const sessions = [...model.sessions].map(([id, { ended }]) => {
    return [
      id,
      { isAlive: !ended, claims: model.claimsOf(id), orders: model.ordersOf(id) },
    ] as const;
  });
  return { jobs: Object.fromEntries(jobs), sessions: Object.fromEntries(sessions) };
}

function expectedJob(job: ModelJob) {
  if (job.purged) return null;
  const sorted = <T>(entries: Iterable<readonly [number, T]>) =>
    [...entries].toSorted((a, b) => a[0] - b[0]);
  return {
    deleted: job.deleted,
    finished: job.finished,
    dueAtMs: job.dueAtMs,
    gate: job.gate,
    numbers: {
      generation: job.generation,
      decisionVersion: job.decisionVersion,
      active: job.active,
      running: job.running,
      terminating: job.terminating,
      succeeded: job.succeeded,
      failed: job.failed,
      limitFailures: job.limitFailures,
      unjudged: job.unjudged.size,
      restarts: [...job.slots.values()].reduce(
        (n, slot) => n + (slot.phase === 'Running' ? slot.restarts : 0),
        0,
      ),
      podCount: job.podCount,
      nextSlot: job.nextSlot,
      cursor: job.cursor,
      lastSuccessMs: job.lastSuccessMs,
      failuresInRow: job.failuresInRow,
      lastFailureMs: job.lastFailureMs,
      foldAtMs: job.foldAtMs,
      kept: job.records.size,
    },
    slots: sorted(job.slots).map(([slot, held]) => [
      slot,
      {
        pod: held.pod,
        index: held.index,
        previous: held.previous,
        phase: held.phase,
        session: held.phase === 'Pending' ? '' : held.session,
        attempts: held.attempts,
        asked: held.asked,
        restarts: held.restarts,
        createdMs: held.createdMs,
        startMs: held.startMs,
        failures: held.failures,
      },
    ]),
    retry: [...job.retry].toSorted((a, b) => a - b),
    delayed: sorted(job.delayed),
    failures: sorted(job.failures),
    failedIndexes: [...job.failedIndexes].toSorted((a, b) => a - b),
    unjudged: sorted([...job.unjudged].map(([pod, { index }]) => [pod, index] as const)),
    losses: sorted(job.losses),
    done: [...job.done].toSorted((a, b) => a - b),
    adopted: sorted(
      [...job.adopted].map(([number, { host, pod, slot, index, state }]) => [
        number,
        `${host.uid} ${pod} ${slot} ${index} ${state}`,
      ]),
    ),
  };
}

/** What lies in Redis, in the same form. */
export function actualState(raw: RawShard) {
  const jobs = [...raw.jobs].map(([uid, { hot, job, ...rest }]) => {
    if (hot === null) return [uid, null] as const;
    const {
      limit,
      notBeforeMs,
      deadlineMs,
      rules,
      completions: _c,
      retryCount: _r,
      lossCount: _l,
      onQueue: _q,
      indexed: _i,
      ...numbers
    } = hot;
    const value = {
      deleted: job['deleted'] === '1',
      finished: job['finished'] === '1',
      dueAtMs: raw.due.get(`job:${uid}`) ?? null,
      gate: decodeGate({ limit, notBeforeMs, deadlineMs, rules }),
      numbers,
      slots: rest.slots.map((slot) => [
        slot.slot,
        {
          pod: slot.podNumber,
          index: slot.index,
          previous: slot.previous,
          phase: slot.phase,
          session: slot.session,
          attempts: slot.attemptsStarted,
          asked: slot.asked,
          restarts: slot.restarts,
          createdMs: slot.createdMs,
          startMs: slot.startMs,
          failures: slot.failures ?? NO_FAILURES,
        },
      ]),
      retry: rest.retry,
      delayed: [...rest.delayed],
      failures: [...rest.failures],
      failedIndexes: rest.failedIndexes,
      unjudged: [...rest.unjudged],
      losses: [...rest.losses],
      done: rest.done,
      adopted: [...rest.adopted],
    };
    return [uid, value] as const;
  });
  const sessions = [...raw.sessions].map(
    ([id, session]) =>
      [
        id,
        {
          isAlive: session.isAlive,
          claims: session.claims,
          orders: [...session.orders].toSorted((a, b) => (a[0] < b[0] ? -1 : 1)),
        },
      ] as const,
  );
  return { jobs: Object.fromEntries(jobs), sessions: Object.fromEntries(sessions) };
}
