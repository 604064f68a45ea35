import type { StoredJob } from '@drover/store';

import { JobPlan, type PlanSurroundings } from './jobPlan.ts';

/** Plans kept for Jobs of which no slot is held; those held are kept by their holders. */
const MAX_PLANS = 1_000;

/** The plans of the Jobs whose slots came by last. */
export class PlanCache {
  readonly #surroundings: PlanSurroundings;
  /** In order of use. */
  readonly #plans = new Map<string, JobPlan>();

  constructor(surroundings: PlanSurroundings) {
    this.#surroundings = surroundings;
  }

  /** The plan of a Job as last seen, of whatever generation. */
  get(uid: string): JobPlan | null {
    return this.#plans.get(uid) ?? null;
  }

  /** Makes the plan of a Job from its object. */
  put(stored: StoredJob): JobPlan {
    const known = this.#plans.get(stored.uid);
    this.#plans.delete(stored.uid);
    const plan =
      known !== undefined && known.generation === stored.generation
        ? known
        : new JobPlan(stored, this.#surroundings);
    this.#plans.set(stored.uid, plan);
    if (this.#plans.size > MAX_PLANS) {
      const [oldest] = this.#plans.keys();
      if (oldest !== undefined) this.#plans.delete(oldest);
    }
    return plan;
  }
}
