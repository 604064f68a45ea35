import assert from 'node:assert';
import { availableParallelism } from 'node:os';
import { resolve as resolvePath } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { HelperLog } from './helperLog.ts';
import { ContainerProcess } from './containerProcess.ts';
import type { ProcessUser } from './frames.ts';
import { helperSources, type HelperChoice, type HelperSource } from './helperProgram.ts';
import { HelperSeat } from './helperSeat.ts';
import { Program } from './program.ts';
import type { Sandbox } from './sandbox.ts';
import type { ProcessPodSpec, ProcessSink, RunningProcess } from './runningProcess.ts';

/** How long killed containers may take to end when the runner closes. */
const CLOSE_TIMEOUT_MS = 2_000;
/** Helpers in JavaScript at once: each sleeps until the program that it starts is executed. */
const JAVASCRIPT_HELPERS = Math.min(2, availableParallelism());

/** Options of {@link ProcessRunner}. */
export interface ProcessRunnerOptions {
  readonly logger: HelperLog;
  /** Where containers without a workingDir start. Default: the worker's own directory. */
  readonly workingDir?: string | undefined;
  /** Whom programs run as that name nobody. Default: the worker's user. */
  readonly user?: ProcessUser | undefined;
  /** Default: programs see what the worker does. */
  readonly sandbox?: Sandbox | undefined;
  /**
   * Which helper, or where to look for one. Default: what the environment variable
   * DROVER_PROCESS_HELPER says, else `auto`.
   */
  readonly helper?: HelperChoice | readonly HelperSource[] | undefined;
}

/**
 * Runs containers as child processes, by way of a helper that kills them when the worker dies.
 *
 * The helper is started by {@link warmUp} or the first start, and kept. When it dies its
 * containers end as lost (`ContainerStatusUnknown`) and another is started. Of the slower one in
 * JavaScript there are two.
 */
export class ProcessRunner {
  readonly #logger: HelperLog;
  readonly #workingDir: string;
  readonly #user: ProcessUser | undefined;
  readonly #sandbox: Sandbox | undefined;
  readonly #sources: readonly HelperSource[];
  readonly #seats: HelperSeat[];
  #isWarm = false;
  #lastId = 0;
  #isClosed = false;

  /** @throws TypeError when DROVER_PROCESS_HELPER has a wrong value. */
  constructor(options: ProcessRunnerOptions) {
    const { helper } = options;
    this.#sources = typeof helper === 'object' ? helper : helperSources(helper);
    this.#logger = options.logger;
    this.#workingDir = resolvePath(options.workingDir ?? '');
    this.#user = options.user;
    this.#sandbox = options.sandbox;
    this.#seats = [this.#createSeat()];
  }

  /**
   * Starts the helper, so that the first container need not wait for it.
   *
   * @throws Error when that fails; a later start tries again.
   */
  async warmUp(): Promise<void> {
    this.#isWarm = true;
    const [first] = this.#seats;
    const program = await first?.warmUp();
    await this.#sandbox?.check((spec, sink) => this.start(spec, sink));
    if (program?.kind !== 'javascript') return;
    while (this.#seats.length < JAVASCRIPT_HELPERS && !this.#isClosed) {
      if (!(await this.#addSeat())) return;
    }
  }

  /** Adds a seat with a helper that works; one more is no must, and its failure is in the log. */
  async #addSeat(): Promise<boolean> {
    const seat = this.#createSeat();
    try {
      await seat.warmUp();
    } catch {
      return false;
    }
    if (this.#isClosed) await seat.close();
    else this.#seats.push(seat);
    return true;
  }

  /** Programs run in sandboxes. */
  get hasSandbox(): boolean {
    return this.#sandbox !== undefined;
  }

  /** Programs can be started in cgroups right now. */
  get entersCgroups(): boolean {
    return this.#seats.every(({ program }) => program?.kind === 'native');
  }

  /** Runs a container. */
  start(spec: ProcessPodSpec, sink: ProcessSink): RunningProcess {
    return this.run(this.prepare(spec), [], sink);
  }

  /**
   * What many containers have in common, so that none of them costs more than what is its own.
   *
   * @throws Error in words when it may not see what it wants to mount.
   */
  prepare(spec: ProcessPodSpec): Program {
    const user = this.#user;
    const own = user === undefined ? spec : { user, ...spec };
    const program = this.#sandbox?.wrap(own, this.#workingDir) ?? own;
    return new Program(program, this.#workingDir);
  }

  /**
   * Runs a container of a program.
   *
   * @param own - Variables of this container alone, each `NAME=value`.
   */
  run(program: Program, own: readonly string[], sink: ProcessSink): RunningProcess {
    assert(!this.#isClosed, 'the process runner is closed');
    this.#lastId += 1;
    const container = new ContainerProcess(this.#lastId, program, own, sink);
    this.#leastBusySeat().run(container);
    // The container says itself when there is no helper.
    if (!this.#isWarm) this.warmUp().catch(() => {});
    return container;
  }

  /** Kills every container, waits for their ends and stops the helper. */
  async close(): Promise<void> {
    this.#isClosed = true;
    const ends = Promise.all(this.#seats.map((seat) => seat.killAll()));
    // A process that hangs in the kernel must not hold up the worker.
    await Promise.race([ends, delay(CLOSE_TIMEOUT_MS, null, { ref: false })]);
    await Promise.all(this.#seats.map((seat) => seat.close()));
    await ends;
  }

  #createSeat(): HelperSeat {
    return new HelperSeat(this.#sources, this.#logger);
  }

  #leastBusySeat(): HelperSeat {
    let [chosen] = this.#seats;
    assert(chosen !== undefined, 'there is always a seat');
    for (const seat of this.#seats) if (seat.size < chosen.size) chosen = seat;
    return chosen;
  }
}
