import { tmpdir } from 'node:os';

import { isLoss } from './containerLoop.ts';
import type { ProcessRunner } from './processRunner.ts';

/** Finds out, once and only when somebody asks, whether programs of this worker can have mounts of their own. */
export class MountProbe {
  readonly #runner: Pick<ProcessRunner, 'start' | 'hasSandbox'>;
  #problem: Promise<string | null> | null = null;

  constructor(runner: Pick<ProcessRunner, 'start' | 'hasSandbox'>) {
    this.#runner = runner;
  }

  /** Why there can be no mounts; null when there can. */
  problem(): Promise<string | null> {
    this.#problem ??= this.#probe();
    return this.#problem;
  }

  async #probe(): Promise<string | null> {
    // Which makes the mounts, and was tried when the worker began.
    if (this.#runner.hasSandbox) return null;
    const directory = tmpdir();
    const running = this.#runner.start(
      {
        command: ['/bin/sh', '-c', ':'],
        args: [],
        env: {},
        workingDir: '/',
        mounts: [{ source: directory, target: directory, readOnly: true }],
      },
      { onOutput: () => undefined },
    );
    const [started, exit] = await Promise.all([running.started, running.exited]);
    // The helper died, or there were no descriptors or processes left: that says nothing of mounts.
    if (isLoss(exit) || started === null) this.#problem = null;
    return started === null ? exit.message : started.mountProblem;
  }
}
