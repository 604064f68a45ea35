import type { StoredJob } from '@drover/store';

import { JobPlan, type PlanSurroundings } from './jobPlan.ts';

/** Plans kept for Jobs of which no slot is held; those held are kept by their holders. */
const MAX_PLANS = 1_000;

/** Options of {@link PlanCache}. */
export interface PlanCacheOptions {
  readonly surroundings: PlanSurroundings;
  /** Reads a Job from its shard; null when there is none. */
  readonly read: (shard: number, uid: string) => Promise<StoredJob | null>;
}

/** The plans of the Jobs whose slots came by last. */
export class PlanCache {
  readonly #options: PlanCacheOptions;
  /** In order of use. */
  readonly #plans = new Map<string, JobPlan>();
  /** The slots of a new Job arrive together: its object is read once for all of them. */
  readonly #loading = new Map<string, Promise<JobPlan | null>>();

  constructor(options: PlanCacheOptions) {
    this.#options = options;
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
        : new JobPlan(stored, this.#options.surroundings);
    this.#plans.set(stored.uid, plan);
    if (this.#plans.size > MAX_PLANS) {
      const [oldest] = this.#plans.keys();
      if (oldest !== undefined) this.#plans.delete(oldest);
    }
    return plan;
  }

  /** Reads the Job when its plan is not known. null when there is no such Job. */
  load(shard: number, uid: string): Promise<JobPlan | null> {
    const known = this.#plans.get(uid);
    if (known !== undefined) return Promise.resolve(known);
    let loading = this.#loading.get(uid);
    if (loading === undefined) {
      loading = this.#options
        .read(shard, uid)
        .then((stored) => (stored === null ? null : this.put(stored)))
        .finally(() => this.#loading.delete(uid));
      this.#loading.set(uid, loading);
    }
    return loading;
  }
}
