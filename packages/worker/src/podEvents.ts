import type { InvolvedObject } from '@drover/shared';
import type { Claim, EventSink, NewEvent, PodReason } from '@drover/store';

import type { JobPlan } from './jobPlan.ts';
import type { PodEnd, PodNews } from './runtime.ts';

/** Of a Job's pods only the first are told of when nothing is wrong with them, as its controller does. */
const TOLD_SINGLY = 9;
/** So many events in a row, and then so many a second: a worker of which every pod fails must not be busy with telling. */
const BURST = 100;
const EVENTS_PER_SECOND = 10;

/** Why a pod ended, where it is more than that its program failed. */
const OWN_REASONS: ReadonlySet<PodReason> = new Set([
  'DeadlineExceeded',
  'Evicted',
  'OOMKilled',
  'Drained',
]);

/** Options of {@link PodEvents}. */
export interface PodEventsOptions {
  readonly sink: EventSink;
  /** Name of the worker. */
  readonly node: string;
}

/** What a worker tells of the pods that it runs, as kubelet does. */
export class PodEvents {
  readonly #options: PodEventsOptions;
  #left = BURST;
  #filledAtMs = performance.now();

  constructor(options: PodEventsOptions) {
    this.#options = options;
  }

  /** A pod begins: this worker took it, as a scheduler would have assigned it. */
  started(plan: JobPlan, claim: Claim): void {
    if (claim.podNumber > TOLD_SINGLY || !this.#mayTell()) return;
    const about = referenceOf(plan, claim);
    const message = `Successfully assigned ${about.namespace}/${about.name} to ${this.#options.node}`;
    const said = { type: 'Normal', reason: 'Scheduled', message } as const;
    this.#options.sink.record({ about, ...said, component: 'default-scheduler' });
    for (const name of plan.containerNames) {
      this.#tell(plan, claim, 'Normal', 'Started', `Started container ${name}`);
    }
  }

  /** A pod is told to stop. */
  stopping(plan: JobPlan, claim: Claim): void {
    for (const name of plan.containerNames) {
      this.#tell(plan, claim, 'Normal', 'Killing', `Stopping container ${name}`);
    }
  }

  /** Something happened while it runs. */
  happened(plan: JobPlan, claim: Claim, news: PodNews): void {
    const { container } = news;
    if (news.type === 'hookFailed') {
      const { hook, problem } = news;
      const message = `${hook}Hook of container ${container} failed: ${problem}`;
      this.#tell(plan, claim, 'Warning', `Failed${hook}Hook`, message);
      return;
    }
    if (news.type === 'probeFailed') {
      const message = `${news.probe} probe of container ${container} failed: ${news.problem}`;
      this.#tell(plan, claim, 'Warning', 'Unhealthy', message);
      return;
    }
    const { namespace } = plan.facts;
    const pod = `${plan.podName(claim)}_${namespace}(${plan.podUid(claim)})`;
    const message = `Back-off restarting failed container ${container} in pod ${pod}`;
    this.#tell(plan, claim, 'Warning', 'BackOff', message);
  }

  /** A pod was longer active than its activeDeadlineSeconds. */
  deadlineExceeded(plan: JobPlan, claim: Claim, message: string): void {
    this.#tell(plan, claim, 'Normal', 'DeadlineExceeded', message);
  }

  /** A pod failed, and nobody told it to stop. */
  failed(plan: JobPlan, claim: Claim, { reason, exitCode, overlay }: PodEnd): void {
    const [words = ''] = (overlay?.message ?? '').split('\n');
    const message = words === '' ? `exit code ${exitCode}` : words;
    const isOwn = OWN_REASONS.has(reason);
    this.#tell(plan, claim, 'Warning', isOwn ? reason : 'Failed', message);
  }

  #tell(
    plan: JobPlan,
    claim: Claim,
    type: NewEvent['type'],
    reason: string,
    message: string,
  ): void {
    if (!this.#mayTell()) return;
    const about = referenceOf(plan, claim);
    const { sink, node: host } = this.#options;
    sink.record({ about, type, reason, message, component: 'drover-worker', host });
  }

  #mayTell(): boolean {
    const nowMs = performance.now();
    const gained = ((nowMs - this.#filledAtMs) / 1000) * EVENTS_PER_SECOND;
    this.#left = Math.min(BURST, this.#left + gained);
    this.#filledAtMs = nowMs;
    if (this.#left < 1) return false;
    this.#left -= 1;
    return true;
  }
}

function referenceOf(plan: JobPlan, claim: Claim): InvolvedObject {
  const { namespace } = plan.facts;
  const [name, uid] = [plan.podName(claim), plan.podUid(claim)];
  return { apiVersion: 'v1', kind: 'Pod', namespace, name, uid };
}
