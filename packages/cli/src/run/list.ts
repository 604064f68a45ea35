import { ARGUMENT_LIST_ANNOTATION } from '@drover/shared';

import { JoblogWriter } from './joblog.ts';
import type { ListPlan } from './listPlan.ts';
import { runManifest, type RunShape } from './manifest.ts';

/** Time between SIGTERM and SIGKILL, for programs that are stopped. */
const GRACE_SECONDS = 5;
/** Losses and the like; a program's exit code never counts. */
const LOSSES_TOLERATED = 6;

/** How each entry of a list is run. */
export interface ListRunOptions {
  /** How often a command is run that fails; 1 = once. */
  readonly tries: number;
  /** For each run of a command; null = none. */
  readonly timeoutMs: number | null;
}

/** The Job of a list; its arguments go beside it. */
export function listManifest(
  plan: ListPlan,
  shape: RunShape,
  options: ListRunOptions,
): Record<string, unknown> {
  const { halt } = plan;
  const settings = {
    tries: options.tries,
    timeoutMs: options.timeoutMs,
    halt: halt === null ? null : { on: halt.rule.on, count: halt.count },
  };
  return runManifest(plan.command, {
    ...shape,
    completions: plan.items.length,
    parallelism: Math.min(shape.parallelism, plan.items.length),
    indexed: true,
    retries: LOSSES_TOLERATED,
    timeoutMs: null,
    graceSeconds: GRACE_SECONDS,
    annotations: { [ARGUMENT_LIST_ANNOTATION]: JSON.stringify(settings) },
  });
}

/** Opens the job log; what is wrong with it is told before anything runs. */
export function openJoblog(path: string | undefined, plan: ListPlan): JoblogWriter | null {
  return path === undefined ? null : new JoblogWriter(path, plan.former);
}
