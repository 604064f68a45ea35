import { constants } from 'node:os';

import { MAX_TIMER_MS } from '@drover/shared';

import { FrameType, type Frame, type OutputStream, type StartStep } from './frames.ts';
import { killQuietly, type HelperClient } from './helperClient.ts';
import { exitOf, lostExit, startFailure, type ProcessExit } from './processExit.ts';
import type { Program } from './program.ts';
import type { ProcessSink, RunningProcess, StartedProcess } from './runningProcess.ts';

/** Who keeps a container until it ended. */
export interface ContainerOwner {
  /** It ended; called once, before its sink is told. */
  containerEnded(id: number): void;
}

/**
 * One container: waiting for the helper, then starting, running, and ended. Every path leads
 * to `#end`, and the first that gets there counts.
 *
 * A worker makes one for each program, so promises are made only for those who ask for them.
 */
export class ContainerProcess implements RunningProcess {
  readonly id: number;
  readonly #program: Program;
  readonly #own: readonly string[];
  readonly #sink: ProcessSink;
  #owner: ContainerOwner | null = null;
  #started: PromiseWithResolvers<StartedProcess | null> | null = null;
  #exited: PromiseWithResolvers<ProcessExit> | null = null;
  #helper: HelperClient | null = null;
  #process: StartedProcess | null = null;
  #exit: ProcessExit | null = null;
  #killTimer: NodeJS.Timeout | undefined;
  #killAtMs = Number.POSITIVE_INFINITY;
  /** Signal to send as soon as the program was asked for. */
  #earlySignal: number | null = null;

  /** @param own - Variables of this container alone, each `NAME=value`. */
  constructor(id: number, program: Program, own: readonly string[], sink: ProcessSink) {
    this.id = id;
    this.#program = program;
    this.#own = own;
    this.#sink = sink;
  }

  get started(): Promise<StartedProcess | null> {
    this.#started ??= Promise.withResolvers();
    if (this.#process !== null || this.#exit !== null) this.#started.resolve(this.#process);
    return this.#started.promise;
  }

  get exited(): Promise<ProcessExit> {
    this.#exited ??= Promise.withResolvers();
    if (this.#exit !== null) this.#exited.resolve(this.#exit);
    return this.#exited.promise;
  }

  /** Names who keeps it from now on. */
  keptBy(owner: ContainerOwner): void {
    this.#owner = owner;
  }

  stop(graceMs: number): void {
    if (this.#exit !== null) return;
    this.#signal(constants.signals.SIGTERM);
    const killAtMs = performance.now() + graceMs;
    if (killAtMs >= this.#killAtMs) return;
    this.#killAtMs = killAtMs;
    clearTimeout(this.#killTimer);
    // A longer grace period is as good as none.
    this.#killTimer = setTimeout(() => this.kill(), Math.min(graceMs, MAX_TIMER_MS));
  }

  kill(): void {
    if (this.#exit === null) this.#signal(constants.signals.SIGKILL);
  }

  /** Asks the helper for the program. @throws Error when the request can not be made. */
  begin(helper: HelperClient): void {
    if (this.#exit !== null) return;
    if (this.#program.command === '') {
      this.#fail('ENOENT', 'command');
      return;
    }
    const frame = this.#program.encodeStart(this.id, this.#own);
    this.#helper = helper;
    helper.send(frame);
    if (this.#earlySignal !== null) helper.signal(this.id, this.#earlySignal);
  }

  /** Takes output that the helper read. */
  onOutput(stream: OutputStream, bytes: Buffer): void {
    if (this.#exit === null) this.#sink.onOutput(stream, bytes);
  }

  /** Takes a frame of the helper about this container. */
  onFrame({ type, fields }: Frame): void {
    switch (type) {
      case FrameType.started:
        this.#noteStart(fields);
        return;
      case FrameType.startFailed:
        this.#fail(fields[0] ?? '', (fields[1] ?? 'other') as StartStep);
        return;
      case FrameType.exited:
        this.#noteEnd(fields, 0);
        return;
      case FrameType.ran:
        this.#noteStart(fields);
        this.#noteEnd(fields, 3);
        return;
      default:
    }
  }

  /** The program can not be started, for a reason on the worker's side. */
  failToStart(reason: string): void {
    this.#fail(reason, 'other');
  }

  /** The helper is gone. */
  lose(reason: string): void {
    if (this.#process !== null && this.#exit === null) killQuietly(-this.#process.pid);
    const nowMs = Date.now();
    this.#end(lostExit(reason, this.#process?.startedAtMs ?? nowMs, nowMs));
  }

  #noteStart([pid, startedAtMs, mountProblem = '']: readonly string[]): void {
    this.#process = {
      pid: Number(pid),
      startedAtMs: Number(startedAtMs),
      mountProblem: mountProblem === '' ? null : mountProblem,
    };
    this.#started?.resolve(this.#process);
  }

  /** @param from - Where in the fields the end begins. */
  #noteEnd(fields: readonly string[], from: number): void {
    const exitCode = fields[from] ?? '';
    const signalNumber = fields[from + 1] ?? '';
    const atMs = Number(fields[from + 2] ?? 0);
    const exit = exitOf({
      exitCode: exitCode === '' ? null : Number(exitCode),
      signalNumber: signalNumber === '' ? null : Number(signalNumber),
      startedAtMs: this.#process?.startedAtMs ?? atMs,
      finishedAtMs: atMs,
    });
    this.#end(exit);
  }

  #signal(signalNumber: number): void {
    const isKill = signalNumber === constants.signals.SIGKILL;
    if (this.#earlySignal === null || isKill) this.#earlySignal = signalNumber;
    this.#helper?.signal(this.id, signalNumber);
  }

  #fail(errorCode: string, step: StartStep): void {
    const { command, workingDir } = this.#program;
    this.#end(startFailure({ errorCode, step, command, workingDir, nowMs: Date.now() }));
  }

  #end(exit: ProcessExit): void {
    if (this.#exit !== null) return;
    this.#exit = exit;
    clearTimeout(this.#killTimer);
    this.#owner?.containerEnded(this.id);
    this.#started?.resolve(null);
    this.#exited?.resolve(exit);
    this.#sink.onExit?.(exit);
  }
}
