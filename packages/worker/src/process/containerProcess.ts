import { constants } from 'node:os';
import { resolve as resolvePath } from 'node:path';
import { FrameType, type Frame, type OutputStream, type StartStep } from './frames.ts';
import { killQuietly, type HelperClient } from './helperClient.ts';
import { exitOf, lostExit, startFailure, type ProcessExit } from './processExit.ts';
import type {
  OutputSink,
  ProcessPodSpec,
  RunningProcess,
  StartedProcess,
} from './runningProcess.ts';

/** Longest delay a Node timer takes; a longer grace period is as good as none. */
const MAX_TIMER_MS = 2 ** 31 - 1;

/**
 * One container: waiting for the helper, then starting, running, and ended. Every path leads
 * to `#end`, and the first that gets there counts.
 */
export class ContainerProcess implements RunningProcess {
  readonly started: Promise<StartedProcess | null>;
  readonly exited: Promise<ProcessExit>;
  readonly #id: number;
  readonly #spec: ProcessPodSpec;
  readonly #sink: OutputSink;
  readonly #workingDir: string;
  #resolveStarted!: (started: StartedProcess | null) => void;
  #resolveExited!: (exit: ProcessExit) => void;
  #helper: HelperClient | null = null;
  #process: StartedProcess | null = null;
  #hasEnded = false;
  #killTimer: NodeJS.Timeout | undefined;
  #killAtMs = Number.POSITIVE_INFINITY;
  /** Signal to send as soon as the program was asked for. */
  #earlySignal: number | null = null;

  constructor(id: number, spec: ProcessPodSpec, workingDir: string, sink: OutputSink) {
    this.#id = id;
    this.#spec = spec;
    this.#sink = sink;
    this.#workingDir = resolvePath(workingDir, spec.workingDir ?? '');
    this.started = new Promise((resolve) => (this.#resolveStarted = resolve));
    this.exited = new Promise((resolve) => (this.#resolveExited = resolve));
  }

  stop(graceMs: number): void {
    if (this.#hasEnded) return;
    this.#signal(constants.signals.SIGTERM);
    const killAtMs = performance.now() + graceMs;
    if (killAtMs >= this.#killAtMs) return;
    this.#killAtMs = killAtMs;
    clearTimeout(this.#killTimer);
    this.#killTimer = setTimeout(() => this.kill(), Math.min(graceMs, MAX_TIMER_MS));
  }

  kill(): void {
    if (!this.#hasEnded) this.#signal(constants.signals.SIGKILL);
  }

  /** Asks the helper for the program. @throws Error when the request can not be made. */
  begin(helper: HelperClient): void {
    if (this.#hasEnded) return;
    const { command, args, env, input = null, mounts = [] } = this.#spec;
    const argv = args.length === 0 ? command : [...command, ...args];
    if (argv[0] === undefined || argv[0] === '') {
      this.#fail('ENOENT', 'command');
      return;
    }
    this.#helper = helper;
    helper.start(this.#id, { workingDir: this.#workingDir, input, mounts, argv, env });
    if (this.#earlySignal !== null) helper.signal(this.#id, this.#earlySignal);
  }

  /** Takes output that the helper read. */
  onOutput(stream: OutputStream, bytes: Buffer): void {
    if (!this.#hasEnded) this.#sink.onOutput(stream, bytes);
  }

  /** Takes a frame of the helper about this container. */
  onFrame({ type, fields }: Frame): void {
    if (type === FrameType.started) {
      const [pid, startedAtMs, mountProblem = ''] = fields;
      this.#process = {
        pid: Number(pid),
        startedAtMs: Number(startedAtMs),
        mountProblem: mountProblem === '' ? null : mountProblem,
      };
      this.#resolveStarted(this.#process);
    } else if (type === FrameType.startFailed) {
      this.#fail(fields[0] ?? '', (fields[1] ?? 'other') as StartStep);
    } else if (type === FrameType.exited) {
      const [exitCode = '', signalNumber = '', atMs = '0'] = fields;
      const exit = exitOf({
        exitCode: exitCode === '' ? null : Number(exitCode),
        signalNumber: signalNumber === '' ? null : Number(signalNumber),
        startedAtMs: this.#process?.startedAtMs ?? Number(atMs),
        finishedAtMs: Number(atMs),
      });
      this.#end(exit);
    }
  }

  /** The program can not be started, for a reason on the worker's side. */
  failToStart(reason: string): void {
    this.#fail(reason, 'other');
  }

  /** The helper is gone. */
  lose(reason: string): void {
    if (this.#process !== null && !this.#hasEnded) killQuietly(-this.#process.pid);
    const nowMs = Date.now();
    this.#end(lostExit(reason, this.#process?.startedAtMs ?? nowMs, nowMs));
  }

  #signal(signalNumber: number): void {
    const isKill = signalNumber === constants.signals.SIGKILL;
    if (this.#earlySignal === null || isKill) this.#earlySignal = signalNumber;
    this.#helper?.signal(this.#id, signalNumber);
  }

  #fail(errorCode: string, step: StartStep): void {
    const command = this.#spec.command[0] ?? '';
    const workingDir = this.#workingDir;
    this.#end(startFailure({ errorCode, step, command, workingDir, nowMs: Date.now() }));
  }

  #end(exit: ProcessExit): void {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    clearTimeout(this.#killTimer);
    this.#resolveStarted(null);
    this.#resolveExited(exit);
  }
}
