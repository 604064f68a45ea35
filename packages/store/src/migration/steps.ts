import { quotaShare, type Job } from '@drover/shared';
import { LAYOUT_VERSION } from './layout.ts';

/** What a step sees of a Job, or of a pod without one, as an older version stored it. */
export interface OlderJob {
  readonly spec: Job['spec'];
}

/** How the keys change from one layout to the next. Pure: it says what is to be written for what was read. */
export interface LayoutStep {
  /** It leads from this layout to the next one. */
  readonly from: number;
  /** What it does, for people. */
  readonly summary: string;
  /** Fields that each unfinished Job has from now on, and that are written where they are missing. */
  readonly jobFields: (job: OlderJob) => Readonly<Record<string, string>>;
}

/** All steps that there are, in order. */
export const STEPS: readonly LayoutStep[] = [
  {
    from: 2,
    summary: 'unfinished Jobs get a note of what each of their pods takes of quotas',
    // Slots of before have neither shares of quota nor the newer phases, which is a state that there still is.
    jobFields: ({ spec }) => {
      const share = quotaShare(spec.template.spec);
      return share === '' ? {} : { share };
    },
  },
];

/** The steps from a layout to that of this version, in order; null when there is no way. */
export function stepsFrom(
  version: number,
  steps: readonly LayoutStep[] = STEPS,
): readonly LayoutStep[] | null {
  const way = steps.filter(({ from }) => from >= version);
  return way.length > 0 && way.length === LAYOUT_VERSION - version ? way : null;
}
