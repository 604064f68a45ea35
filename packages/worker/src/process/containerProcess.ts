import { constants } from 'node:os';
import { resolve as resolvePath } from 'node:path';
import { FrameType, type Frame, type StartStep } from './frames.ts';
import { killQuietly, type HelperClient } from './helperClient.ts';
import type { OutputPipe } from './outputPipes.ts';
import { exitOf, lostExit, startFailure, type ProcessExit } from './processExit.ts';
import type {
  OutputSink,
  ProcessPodSpec,
  RunningProcess,
  StartedProcess,
} from './runningProcess.ts';

/**
 * How long output is waited for after the main process ended. It is there at once, unless a
 * process that escaped the kill holds the pipe.
 */
const DRAIN_TIMEOUT_MS = 1_000;
/** Longest delay a Node timer takes; a longer grace period is as good as none. */
const MAX_TIMER_MS = 2 ** 31 - 1;

/** Reading of one output stream. */
interface Output {
  readonly pipe: OutputPipe;
  /** Resolves whether every writer has closed. */
  ended: Promise<boolean> | null;
}

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
  #outputs: Output[] = [];
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

  /** Asks the helper for the program. @throws Error when pipes or the request can not be made. */
  async begin(helper: HelperClient): Promise<void> {
    const argv = [...this.#spec.command, ...this.#spec.args];
    if (argv[0] === undefined || argv[0] === '') {
      this.#fail('ENOENT', 'command');
      return;
    }
    const stdout = await helper.pipes.take();
    this.#outputs.push({ pipe: stdout, ended: null });
    const stderr = await helper.pipes.take();
    this.#outputs.push({ pipe: stderr, ended: null });
    this.#helper = helper;
    if (this.#hasEnded) {
      await this.#releaseOutputs();
      return;
    }
    stdout.open();
    stderr.open();
    helper.start(this.#id, {
      workingDir: this.#workingDir,
      stdoutPath: stdout.path,
      stderrPath: stderr.path,
      argv,
      env: this.#spec.env,
    });
    if (this.#earlySignal !== null) helper.signal(this.#id, this.#earlySignal);
  }

  /** Takes a frame of the helper about this container. */
  onFrame({ type, fields }: Frame): void {
    if (type === FrameType.started) {
      const isAsked = (this.#spec.mounts ?? []).length > 0;
      const mountProblem = isAsked ? 'the process helper can not mount' : null;
      this.#process = { pid: Number(fields[0]), startedAtMs: Number(fields[1]), mountProblem };
      this.#read('stdout', 0);
      this.#read('stderr', 1);
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
      void this.#end(exit);
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
    void this.#end(lostExit(reason, this.#process?.startedAtMs ?? nowMs, nowMs));
  }

  #signal(signalNumber: number): void {
    const isKill = signalNumber === constants.signals.SIGKILL;
    if (this.#earlySignal === null || isKill) this.#earlySignal = signalNumber;
    this.#helper?.signal(this.#id, signalNumber);
  }

  #fail(errorCode: string, step: StartStep): void {
    const command = this.#spec.command[0] ?? '';
    const workingDir = this.#workingDir;
    void this.#end(startFailure({ errorCode, step, command, workingDir, nowMs: Date.now() }));
  }

  #read(stream: 'stdout' | 'stderr', index: number): void {
    const output = this.#outputs[index];
    if (output === undefined) return;
    output.ended = output.pipe.read((chunk) => this.#sink.onOutput(stream, chunk));
  }

  async #end(exit: ProcessExit): Promise<void> {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    clearTimeout(this.#killTimer);
    this.#resolveStarted(null);
    await this.#releaseOutputs();
    this.#resolveExited(exit);
  }

  /** Waits for the rest of the output and gives the pipes back. */
  async #releaseOutputs(): Promise<void> {
    const outputs = this.#outputs;
    this.#outputs = [];
    const timer = setTimeout(() => {
      // After a blocked event loop timers run before reads: let it read what is there.
      setImmediate(() => {
        for (const { pipe } of outputs) pipe.close();
      });
    }, DRAIN_TIMEOUT_MS);
    await Promise.all(
      outputs.map(async ({ pipe, ended }) => {
        // Never read: nobody wrote to it, unless the helper died in between.
        const isClean = ended === null ? this.#process === null : await ended;
        this.#helper?.pipes.giveBack(pipe, isClean);
      }),
    );
    clearTimeout(timer);
  }
}
