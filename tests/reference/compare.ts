/** Takes a history through both sides, and compares them whenever both have come to rest. */
import { isDeepStrictEqual } from 'node:util';
import type { Action, History, Step } from './history.ts';
import { DROVER, ReferenceJob, type Deviations } from './model.ts';
import { PlainWorld } from './plainWorld.ts';
import type { PodRef, Side, View } from './spec.ts';

const T0_MS = Date.UTC(2026, 0, 15, 12, 0, 0);

/** Something that happens to a Job, and how it should look when it has come to rest. */
export interface Moment {
  readonly nowMs: number;
  /** Number of the step of the history; -1 = the Job was created. */
  readonly step: number;
  readonly acts: readonly Act[];
  readonly should: View;
}

/** A difference, and the step after which it shows. */
export interface Difference {
  readonly text: string;
  readonly step: number;
}

/**
 * What happens to a Job, one after the other. The next one is asked for with the time at which the side that is
 * compared wants to look again.
 */
export function* moments(
  history: History,
  startMs: number,
  deviations: Deviations,
): Generator<Moment, void, number> {
  const model = new ReferenceJob(history.spec, startMs, deviations, history.adopted);
  const settle = (nowMs: number, step: number, acts: readonly Act[]): Moment => {
    for (const act of acts) act(model);
    model.settle(nowMs);
    return { nowMs, step, acts, should: model.view() };
  };
  let nowMs = startMs;
  let wakeMs = yield settle(nowMs, -1, []);
  for (const [step, { seconds, actions }] of history.steps.entries()) {
    const untilMs = nowMs + seconds * 1000;
    while (nowMs < untilMs) {
      nowMs = Math.min(untilMs, nextSecond(Math.min(model.wakeMs, wakeMs), nowMs));
      wakeMs = yield settle(nowMs, step, []);
    }
    wakeMs = yield settle(nowMs, step, resolve(actions, history, model.view()));
  }
}

/** The first difference between `decide` and the model; null = there is none. */
export function compare(history: History, deviations: Deviations = DROVER): Difference | null {
  const world = new PlainWorld(history.spec, T0_MS);
  const play = moments(history, T0_MS, deviations);
  let step = -1;
  try {
    for (let one = play.next(); !one.done; one = play.next(world.wakeMs)) {
      const { nowMs, acts, should } = one.value;
      step = one.value.step;
      for (const act of acts) act(world);
      world.settle(nowMs);
      const text = differenceOf(should, world.view());
      if (text !== null) return { text, step };
    }
    return null;
  } catch (error) {
    return { text: (error as Error).stack ?? String(error), step };
  }
}

function nextSecond(atMs: number, nowMs: number): number {
  return Math.max(nowMs + 1000, Math.ceil(atMs / 1000) * 1000);
}

/** What is different of two views. */
export function differenceOf(should: View, is: View): string | null {
  const fields = Object.keys(should) as (keyof View)[];
  const different = fields.filter((field) => !isDeepStrictEqual(should[field], is[field]));
  if (different.length === 0) return null;
  return different
    .map(
      (field) =>
        `${field}: ${JSON.stringify(is[field])}, should be ${JSON.stringify(should[field])}`,
    )
    .join('\n    ');
}

/** What an action does to either side. */
export type Act = (side: Side<unknown>) => unknown;

/** Chooses the pods of a step's actions. Failures come first: what ends at one time is looked at as one. */
export function resolve(actions: readonly Action[], { spec }: History, view: View): Act[] {
  const free = view.pods.flatMap((text, i) => {
    const [index, phase] = text.split(' ');
    const at = view.pods.slice(0, i).filter((other) => other === text).length;
    return [{ ref: { index: Number(index), terminating: phase === 'Terminating', at }, phase }];
  });
  /** A pod is chosen once: what else would happen to it is nothing. */
  const take = (pick: number, isFit: (pod: (typeof free)[number]) => boolean): PodRef | null => {
    const fit = free.filter(isFit);
    if (fit.length === 0) return null;
    const [chosen] = free.splice(free.indexOf(fit[Math.floor(pick * fit.length)]!), 1);
    return chosen!.ref;
  };
  const acts: { readonly act: Act; readonly order: number; readonly at?: number }[] = [];
  for (const action of actions) {
    const isRunning = ({ phase }: (typeof free)[number]): boolean => phase === 'Running';
    const isStopping = ({ phase }: (typeof free)[number]): boolean => phase === 'Terminating';
    switch (action.type) {
      case 'workers':
        acts.push({ order: 0, act: (side) => side.bringWorkers() });
        break;
      case 'edit':
        acts.push({ order: 0, act: (side) => side.edit(action.change) });
        break;
      case 'end':
      case 'stopped': {
        const ref = take(action.pick, action.type === 'end' ? isRunning : isStopping);
        const failed = action.exitCodes.some((code) => code !== 0);
        const how = { exitCodes: action.exitCodes, drained: false };
        if (ref)
          acts.push({ order: failed ? 1 : 2, at: ref.at, act: (side) => side.end(ref, how) });
        break;
      }
      case 'drain': {
        const ref = take(action.pick, isRunning);
        const how = { exitCodes: spec.containers.map(() => 143), drained: true };
        if (ref) acts.push({ order: 1, act: (side) => side.end(ref, how) });
        break;
      }
      case 'lose': {
        const ref = take(action.pick, (pod) => pod.phase !== 'Pending');
        if (ref) acts.push({ order: 1, at: ref.at, act: (side) => side.lose(ref) });
        break;
      }
      case 'remove': {
        const ref = take(action.pick, ({ phase }) => phase !== 'Terminating');
        if (ref) acts.push({ order: 1, act: (side) => side.remove(ref) });
        break;
      }
      case 'restart': {
        const ref = take(action.pick, isRunning);
        if (ref) acts.push({ order: 1, act: (side) => side.restart(ref) });
      }
    }
  }
  // A success may start the next pod before what happened beside it is looked at, where that holds no pod up: a
  // restart, and failures of other indexes that have limits of their own.
  const holdsUp = spec.backoffLimitPerIndex === null && spec.restartPolicy === 'Never';
  const isMixed = !holdsUp && acts.some(({ order }) => order === 1);
  const kept = isMixed ? acts.filter(({ order }) => order < 2) : acts;
  // Of those of one index the newest first: they are counted from the oldest on.
  const inOrder = kept.toSorted((a, b) => a.order - b.order || (b.at ?? 0) - (a.at ?? 0));
  return inOrder.map(({ act }) => act);
}

/** The shortest history found that still differs. */
export function minimize(history: History, differs: (one: History) => boolean): History {
  let best = history;
  for (let hasShrunk = true; hasShrunk;) {
    hasShrunk = false;
    for (const smaller of smallerThan(best)) {
      if (!differs(smaller)) continue;
      best = smaller;
      hasShrunk = true;
      break;
    }
  }
  return best;
}

function* smallerThan({ spec, steps }: History): Generator<History> {
  for (let i = steps.length - 1; i >= 0; i--) yield { spec, steps: steps.toSpliced(i, 1) };
  for (const [i, step] of steps.entries()) {
    const replaced = (other: Step): History => ({ spec, steps: steps.with(i, other) });
    for (const at of step.actions.keys()) {
      yield replaced({ ...step, actions: step.actions.toSpliced(at, 1) });
    }
    if (step.seconds > 1) yield replaced({ ...step, seconds: 1 });
  }
  const simpler = { activeDeadlineSeconds: null, successRules: null, maxFailedIndexes: null };
  for (const [field, value] of Object.entries(simpler)) {
    if (spec[field as keyof typeof simpler] !== value)
      yield { spec: { ...spec, [field]: value }, steps };
  }
}
