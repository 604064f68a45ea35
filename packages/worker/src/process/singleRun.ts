import type { OutputStream } from './frames.ts';
import type { ContainerLog } from '../podLog.ts';
import type { OomKills } from './oomKills.ts';
import type { ProcessExit } from './processExit.ts';
import type { ProcessSink, RunningProcess } from './runningProcess.ts';

/** Options of {@link SingleRun}. */
export interface SingleRunOptions {
  /** Runs the program. */
  readonly start: (sink: ProcessSink) => RunningProcess;
  readonly log: Pick<ContainerLog, 'write'>;
  readonly oomKills: OomKills;
  /** It ended; called once, also from inside the constructor. */
  readonly onEnd: (exit: ProcessExit) => void;
}

/**
 * A program that is run once, whatever its end: most pods are no more than that. Between its start
 * and its end there is no promise and no timer.
 */
export class SingleRun implements ProcessSink {
  readonly #options: SingleRunOptions;
  readonly #running: RunningProcess;
  #isStopped = false;

  constructor(options: SingleRunOptions) {
    this.#options = options;
    options.oomKills.noteStart();
    this.#running = options.start(this);
  }

  /** SIGTERM, and SIGKILL after `graceMs`. Repeated: the sooner end counts. */
  stop(graceMs: number): void {
    this.#isStopped = true;
    this.#running.stop(graceMs);
  }

  onOutput(stream: OutputStream, chunk: Buffer): void {
    this.#options.log.write(stream, chunk);
  }

  onExit(exit: ProcessExit): void {
    const { oomKills, onEnd } = this.#options;
    onEnd(this.#isStopped ? exit : oomKills.explain(exit));
  }
}
