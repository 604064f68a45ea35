/** Random histories: a spec, and what happens to its Job. A seed makes the same one each time. */
import { Random } from '../simulation/random.ts';
import type { FailureRule, Spec, SuccessRule } from './spec.ts';

/** What happens at one time, the numbers that choose pods and values not resolved yet. */
export type Action =
  | { readonly type: 'workers' }
  /** Pods end; numbers in [0, 1) choose which. */
  | { readonly type: 'end'; readonly pick: number; readonly exitCodes: readonly number[] }
  | { readonly type: 'drain'; readonly pick: number }
  | { readonly type: 'lose'; readonly pick: number }
  | { readonly type: 'remove'; readonly pick: number }
  | { readonly type: 'restart'; readonly pick: number }
  /** A pod that was told to stop ends. */
  | { readonly type: 'stopped'; readonly pick: number; readonly exitCodes: readonly number[] }
  | { readonly type: 'edit'; readonly change: Partial<Spec> };

/** Seconds go by, at least one, and then something happens. */
export interface Step {
  readonly seconds: number;
  readonly actions: readonly Action[];
}

/** A Job's whole life. */
export interface History {
  readonly spec: Spec;
  readonly steps: readonly Step[];
  /** Indexes of pods without a Job that run when the Job comes, the oldest first, and that it adopts. Left out = none. */
  readonly adopted?: readonly number[];
}

const CODES = [1, 2, 3];
const NO_LIMIT = 2 ** 31 - 1;

/** How a history tends to go. */
interface Mood {
  readonly failRate: number;
  readonly editRate: number;
  readonly disturbance: number;
}

/** The history of a seed. */
export function historyOf(seed: number, { maxContainers = 2 } = {}): History {
  const random = new Random(seed);
  const spec = randomSpec(random, maxContainers);
  const mood = {
    failRate: random.pick([0, 0.1, 0.4, 0.4, 0.8]),
    editRate: random.pick([0, 0.15, 0.4]),
    disturbance: random.pick([0, 0.1, 0.4]),
  };
  const steps: Step[] = [];
  const idle = random.chance(0.2) ? random.between(1, 3) : 0;
  for (let i = 0; i < idle; i++) {
    steps.push({ seconds: someSeconds(random), actions: [someEdit(random, spec)] });
  }
  steps.push({ seconds: 1, actions: [{ type: 'workers' }] });
  const length = random.between(2, 12);
  for (let i = 0; i < length; i++) steps.push(someStep(random, spec, mood));
  // So that most of them come to an end.
  for (let i = 0; i < 4; i++) {
    const all = Array.from({ length: 4 }, (_, at) => ended(random, spec, mood, at / 4));
    steps.push({ seconds: 600, actions: all }, { seconds: 1, actions: allStopped(random, spec) });
  }
  return { spec, steps };
}

/**
 * The history with pods that the Job adopts; the same one where adopted pods are another matter: their restarts do not
 * count, and how those count that their user deletes does not depend on podReplacementPolicy (D10).
 */
export function withAdopted(history: History, seed: number): History {
  const { spec, steps } = history;
  const isPlain = spec.restartPolicy === 'Never' && spec.podReplacementPolicy !== 'Failed';
  if (!spec.indexed || !isPlain || spec.failureRules !== null) return history;
  const random = new Random(seed ^ 0x2545f491);
  const adopted = [0, 1, 2, 3, 4, 5, 8].filter(() => random.chance(0.4));
  const mayStay = (action: Action): boolean =>
    action.type !== 'edit' || action.change.podReplacementPolicy === undefined;
  return {
    spec,
    steps: steps.map((step) => ({ ...step, actions: step.actions.filter(mayStay) })),
    // Which of them is older is not told by their indexes.
    adopted: adopted.toSorted((a, b) => ((a * 5) % 7) - ((b * 5) % 7)),
  };
}

function randomSpec(random: Random, maxContainers: number): Spec {
  const completions = random.chance(0.2) ? null : random.between(0, random.pick([1, 3, 7]));
  const indexed = completions !== null && random.chance(0.6);
  const perIndex = indexed && random.chance(0.5);
  const restartPolicy = random.chance(0.2) ? 'OnFailure' : 'Never';
  const hasRules = restartPolicy === 'Never' && random.chance(0.35);
  const containers = ['main', 'side'].slice(0, random.chance(0.2) ? maxContainers : 1);
  return {
    parallelism: random.between(random.chance(0.1) ? 0 : 1, 4),
    completions,
    indexed,
    backoffLimit:
      perIndex && random.chance(0.8)
        ? NO_LIMIT
        : random.pick(restartPolicy === 'OnFailure' ? [0, 1, 2, 3] : [0, 1, 2, 6, 6]),
    backoffLimitPerIndex: perIndex ? random.between(0, 2) : null,
    maxFailedIndexes: perIndex && random.chance(0.4) ? random.between(0, completions) : null,
    activeDeadlineSeconds: random.chance(0.2) ? random.between(0, 60) : null,
    suspend: random.chance(0.15),
    restartPolicy,
    podReplacementPolicy:
      hasRules || random.chance(0.4) ? ('Failed' as const) : 'TerminatingOrFailed',
    failureRules: hasRules
      ? Array.from({ length: random.between(1, 3) }, () => someRule(random, perIndex, containers))
      : null,
    successRules:
      indexed && completions > 0 && random.chance(0.3)
        ? Array.from({ length: random.between(1, 2) }, () => someSuccess(random, completions))
        : null,
    containers,
  };
}

function someRule(random: Random, perIndex: boolean, containers: readonly string[]): FailureRule {
  const actions = [
    'Ignore',
    'Ignore',
    'Count',
    'FailJob',
    perIndex ? 'FailIndex' : 'Count',
  ] as const;
  const action = random.pick(actions);
  if (random.chance(0.3)) {
    const status = random.chance(0.8) ? 'True' : 'False';
    return { action, onPodConditions: [{ type: 'DisruptionTarget', status }] };
  }
  const values = CODES.filter(() => random.chance(0.4));
  return {
    action,
    onExitCodes: {
      ...(random.chance(0.3) && { containerName: random.pick(containers) }),
      operator: random.pick(['In', 'NotIn'] as const),
      values: values.length > 0 ? values : [random.pick(CODES)],
    },
  };
}

function someSuccess(random: Random, completions: number): SuccessRule {
  const first = random.between(0, completions - 1);
  const last = random.between(first, completions - 1);
  const succeededIndexes = last > first ? `${first}-${last}` : `${first}`;
  const kind = random.between(0, 2);
  if (kind === 0) return { succeededIndexes };
  if (kind === 1) return { succeededCount: random.between(0, completions) };
  return { succeededIndexes, succeededCount: random.between(0, last - first + 1) };
}

function someSeconds(random: Random): number {
  if (random.chance(0.5)) return random.between(1, 3);
  return random.chance(0.7) ? random.between(4, 40) : random.between(41, 700);
}

function someStep(random: Random, spec: Spec, mood: Mood): Step {
  const seconds = someSeconds(random);
  if (random.chance(mood.editRate)) return { seconds, actions: [someEdit(random, spec)] };
  if (random.chance(0.2)) return { seconds, actions: allStopped(random, spec).slice(0, 2) };
  const actions = Array.from({ length: random.between(0, 3) }, () =>
    someAction(random, spec, mood),
  );
  return { seconds, actions };
}

function someAction(random: Random, spec: Spec, mood: Mood): Action {
  const pick = random.next();
  if (!random.chance(mood.disturbance)) {
    if (spec.restartPolicy === 'OnFailure' && random.chance(0.4)) {
      return { type: 'restart', pick };
    }
    return ended(random, spec, mood, pick);
  }
  return { type: random.pick(['lose', 'lose', 'drain', 'remove', 'remove'] as const), pick };
}

function ended(random: Random, { containers }: Spec, { failRate }: Mood, pick: number): Action {
  const failed = random.chance(failRate) ? random.between(0, containers.length - 1) : -1;
  const exitCodes = containers.map((_, i) =>
    i === failed || (failed >= 0 && random.chance(0.3)) ? random.pick(CODES) : 0,
  );
  return { type: 'end', pick, exitCodes };
}

function allStopped(random: Random, { containers }: Spec): Action[] {
  const isGraceful = random.chance(0.3);
  const exitCodes = containers.map(() => (isGraceful ? 0 : 143));
  return Array.from({ length: 6 }, () => ({ type: 'stopped' as const, pick: 0, exitCodes }));
}

function someEdit(random: Random, spec: Spec): Action {
  if (spec.indexed && random.chance(0.3)) {
    const size = random.between(0, 7);
    return { type: 'edit', change: { completions: size, parallelism: size } };
  }
  const kind = random.between(0, 9);
  if (kind <= 3) return { type: 'edit', change: { suspend: random.chance(0.5) } };
  if (kind <= 6) return { type: 'edit', change: { parallelism: random.between(0, 5) } };
  if (kind === 7 && spec.failureRules === null) {
    const podReplacementPolicy = random.pick(['TerminatingOrFailed', 'Failed'] as const);
    return { type: 'edit', change: { podReplacementPolicy } };
  }
  if (kind === 8 && spec.maxFailedIndexes !== null) {
    return { type: 'edit', change: { maxFailedIndexes: random.between(0, spec.completions!) } };
  }
  const activeDeadlineSeconds = random.chance(0.5) ? null : random.between(0, 100);
  return { type: 'edit', change: { activeDeadlineSeconds } };
}
