import { resolve as resolvePath } from 'node:path';
import { StartEncoder } from './frames.ts';
import type { ProcessPodSpec } from './runningProcess.ts';

/** What to run: looked at and encoded once, for however many containers run it. */
export class Program {
  /** What is executed; empty when the spec names nothing. */
  readonly command: string;
  /** Where it starts; absolute. */
  readonly workingDir: string;
  readonly #spec: ProcessPodSpec;
  #encoder: StartEncoder | null = null;

  /** @param workingDir - Absolute; where it starts unless its spec says otherwise. */
  constructor(spec: ProcessPodSpec, workingDir: string) {
    this.#spec = spec;
    this.command = spec.command[0] ?? spec.args[0] ?? '';
    this.workingDir =
      spec.workingDir === undefined ? workingDir : resolvePath(workingDir, spec.workingDir);
  }

  /**
   * The frame that asks for a container of it.
   *
   * @param own - Variables of this container alone, each `NAME=value`.
   * @throws RangeError when the request can not be sent, see encodeFrame.
   */
  encodeStart(id: number, own: readonly string[]): Buffer {
    this.#encoder ??= this.#createEncoder();
    return this.#encoder.encode(id, own);
  }

  #createEncoder(): StartEncoder {
    const {
      command,
      args,
      env,
      input = null,
      user = null,
      cgroup = null,
      mounts = [],
    } = this.#spec;
    const { workingDir } = this;
    const argv = [...command, ...args];
    return new StartEncoder({ workingDir, input, user, cgroup, mounts, argv, env });
  }
}
