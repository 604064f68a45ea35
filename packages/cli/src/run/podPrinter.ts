import type { Drover } from '@drover/sdk/client';
import {
  failureNote,
  getCondition,
  isConditionTrue,
  podHasEnded,
  type Job,
  type Pod,
} from '@drover/shared';

import { EXIT } from '../exitCodes.ts';
import type { PodFollower, RunControl } from './follower.ts';
import { OutputPrinter } from './output.ts';
import type { Figures, RunView } from './view.ts';

/** Jobs with more pods are followed by their figures alone. */
const MAX_WATCHED_PODS = 100_000;
/** Lines of a failed pod's output that are shown with its failure. */
const TAIL_LINES = 5;

/** Shows the pods of a Job: what they print, and which of them failed. */
export class PodPrinter implements PodFollower {
  readonly deletedCode = EXIT.failed;
  readonly #drover: Drover;
  readonly #job: Job;
  readonly #view: RunView;
  readonly #output: 'stream' | 'grouped' | 'none';
  readonly #printer: OutputPrinter;
  readonly #told = new Set<string>();

  /**
   * @param options.output - `stream`: as the program writes it. `grouped`: of each pod when it ended.
   */
  constructor(options: {
    readonly drover: Drover;
    readonly job: Job;
    readonly view: RunView;
    readonly output: 'stream' | 'grouped' | 'none';
  }) {
    this.#drover = options.drover;
    this.#job = options.job;
    this.#view = options.view;
    this.#output = options.output;
    this.#printer = new OutputPrinter(options.drover, options.view);
  }

  async follow(_control: RunControl, signal: AbortSignal): Promise<void> {
    // Of more pods than that the figures tell enough.
    if ((this.#job.spec.completions ?? 1) > MAX_WATCHED_PODS) return;
    for await (const { type, pod } of this.#drover.pods.watch({ job: this.#job, signal })) {
      if (type !== 'DELETED') this.#onPod(pod);
    }
  }

  async finish(job: Job): Promise<void> {
    if (this.#output !== 'none') {
      for await (const pod of this.#drover.pods.iterate({ job })) this.#onPod(pod);
    }
    await this.#printer.close();
  }

  figures({ spec, status }: Job): Figures {
    return {
      total: spec.completions ?? 1,
      done: status.succeeded ?? 0,
      running: status.ready ?? 0,
      failed: status.failed ?? 0,
    };
  }

  settle({ metadata, status }: Job, seconds: string): number {
    const { conditions, succeeded = 0, failed = 0 } = status;
    const isComplete = isConditionTrue(conditions, 'Complete');
    const failure = getCondition(conditions, 'Failed');
    if (!isComplete) {
      this.#view.note(`job/${metadata.name} failed: ${failure?.reason}: ${failure?.message}`);
    } else if (this.#output !== 'stream') {
      const pods = `${failed} ${failed === 1 ? 'pod' : 'pods'} failed and`;
      const retried = failed === 0 ? '' : `, ${pods} ${failed === 1 ? 'was' : 'were'} replaced`;
      this.#view.note(
        `job/${metadata.name} complete: ${succeeded} succeeded in ${seconds} s${retried}`,
      );
    }
    if (isComplete) return EXIT.ok;
    return failure?.reason === 'DeadlineExceeded' ? EXIT.timedOut : EXIT.failed;
  }

  #onPod(pod: Pod): void {
    if (this.#output === 'stream') this.#printer.stream(pod);
    if (!podHasEnded(pod) || this.#told.has(pod.metadata.uid)) return;
    this.#told.add(pod.metadata.uid);
    if (this.#output === 'grouped') this.#printer.print(pod);
    if (pod.status.phase !== 'Failed') return;
    const tailLines = this.#output === 'none' ? TAIL_LINES : 0;
    this.#printer.note(failureNote(pod), pod, tailLines);
  }
}
