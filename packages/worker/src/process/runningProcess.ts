import type { OutputStream, ProcessMount, ProcessUser } from './frames.ts';
import type { ProcessExit } from './processExit.ts';

/** A container to run as a process. */
export interface ProcessPodSpec {
  /** Program and first arguments, after expansion. Looked up in the PATH of `env`. */
  readonly command: readonly string[];
  /** Further arguments, after expansion. */
  readonly args: readonly string[];
  /** The whole environment, see buildEnvironment. */
  readonly env: Readonly<Record<string, string>>;
  /** Directory it starts in; relative ones are relative to the runner's. Default: the runner's. */
  readonly workingDir?: string | undefined;
  /** File that it finds as its standard input: an absolute path; of a FIFO without a writer nothing can be read. Default: there is nothing to read. */
  readonly input?: string | undefined;
  /** Directories and files it finds at another place, too, where the worker can do that. Default: none. */
  readonly mounts?: readonly ProcessMount[] | undefined;
  /** Who it runs as. Default: as the worker. */
  readonly user?: ProcessUser | undefined;
  /** Directory of the cgroup that it runs in; takes the native helper. Default: that of the worker. */
  readonly cgroup?: string | undefined;
}

/** Takes the output of a container. Must not throw. */
export interface OutputSink {
  /** Bytes as they were read, valid only during the call: copy what is to be kept. */
  onOutput(stream: OutputStream, chunk: Buffer): void;
}

/** Takes what comes of a container. */
export interface ProcessSink extends OutputSink {
  /**
   * The main process ended and all its output was handed on: what `exited` says, at once. Called
   * once, also from inside the call that starts it. Must not throw.
   */
  onExit?(exit: ProcessExit): void;
}

/** A program that runs. */
export interface StartedProcess {
  /** Process id, which is also that of its process group and session. */
  readonly pid: number;
  /** When it was started, on the wall clock. ms since the epoch. */
  readonly startedAtMs: number;
  /** Why it runs without any of the mounts it asked for; null = it has them all, or asked for none. */
  readonly mountProblem: string | null;
}

/** A container that was asked for. Neither promise is ever rejected. */
export interface RunningProcess {
  /** Resolves when the program runs; null when it never will, and then `exited` says why. */
  readonly started: Promise<StartedProcess | null>;
  /** Resolves when the main process ended and all its output was handed on. */
  readonly exited: Promise<ProcessExit>;
  /** SIGTERM to the process group, and SIGKILL when `graceMs` is over. Repeated: the sooner end counts. */
  stop(graceMs: number): void;
  /** SIGKILL to the process group. */
  kill(): void;
}
