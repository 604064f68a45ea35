import { parsePodName, podNumberFromName, type Pod, type Selector } from '@drover/shared';
import type { JobView } from '@drover/store';

import type { Scope } from '../api/resource.ts';

const JOB_NAME_LABELS: ReadonlySet<string> = new Set(['job-name', 'batch.kubernetes.io/job-name']);

/** Which pods a watch is about, as far as that can be told before they are read. */
export class PodScope {
  readonly namespace: string | null;
  /** Only pods of this Job; null = of any. */
  readonly jobName: string | null;
  /** Only the pod of this name; null = any. */
  readonly podName: string | null;
  /** A pod may come to be selected, or not any more, while it lives. */
  readonly isDynamic: boolean;
  readonly #selection: Scope['selection'];

  constructor({ namespace, selection }: Scope) {
    this.namespace = namespace;
    this.#selection = selection;
    this.podName = selection.name;
    this.jobName = jobNameOf(selection.labels);
    this.isDynamic = selection.fields.some(({ field }) => !field.startsWith('metadata.'));
  }

  /** Whether pods of this Job may be meant. */
  accepts(
    view: Pick<JobView, 'namespace' | 'name'> & {
      readonly bare?: boolean;
      readonly hasChangedPods?: boolean;
    },
  ): boolean {
    if (this.namespace !== null && view.namespace !== this.namespace) return false;
    // A pod has whatever labels its user gave it.
    const isFixed = view.bare !== true && view.hasChangedPods !== true;
    if (this.jobName !== null && view.name !== this.jobName && isFixed) return false;
    if (this.podName === null) return true;
    if (view.bare === true) return view.name === this.podName;
    return parsePodName(this.podName).some(({ jobName, isCut }) =>
      isCut ? view.name.startsWith(jobName) : view.name === jobName,
    );
  }

  /** The number that the pod of the wanted name has in this Job; null when any may be meant. */
  podNumber({ uid, bare }: Pick<JobView, 'uid'> & { readonly bare?: boolean }): number | null {
    if (this.podName === null) return null;
    return bare === true ? 1 : podNumberFromName(uid, this.podName);
  }

  /** Every pod of the Jobs that it accepts is meant. */
  get selectsAll(): boolean {
    return this.#selection.isEmpty;
  }

  /** Whether a pod is meant. */
  selects(pod: Pod): boolean {
    return this.#selection.matches(pod);
  }
}

/** The Job that labels are about, when they name one. */
export function jobNameOf(labels: Selector): string | null {
  for (const { key, operator, values } of labels) {
    if (operator === 'In' && values.length === 1 && JOB_NAME_LABELS.has(key)) {
      return values[0] ?? null;
    }
  }
  return null;
}
