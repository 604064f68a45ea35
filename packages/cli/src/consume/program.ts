import { accessSync, constants, statSync } from 'node:fs';
import { resolve } from 'node:path';

import {
  exitText,
  type ProcessExit,
  ProcessRunner,
  type RunningProcess,
} from '@drover/worker/programs';

import { badInput, CliError } from '../errors.ts';
import { EXIT } from '../exitCodes.ts';
import { StderrTail } from './stderrTail.ts';

/** One run of the program. */
export interface ProgramRun {
  /** File or FIFO that it reads. */
  readonly input: string;
  /** Variables beside those of this process. */
  readonly env: Readonly<Record<string, string>>;
  /** Takes what it prints; the bytes are valid only during the call. */
  readonly onPrinted: (chunk: Buffer) => void;
}

/** How a run ended. */
export interface ProgramEnd {
  readonly hasSucceeded: boolean;
  /** How, with the last that it said. */
  readonly text: string;
  /** Somebody told it to stop: that is no word about its items. */
  readonly wasStopped: boolean;
}

/** Between SIGTERM and SIGKILL of programs that are told to stop, ms; the pod's end may come sooner. */
const STOP_GRACE_MS = 30_000;

/** The program that is run for items. All that it says to standard error is handed on. */
export class Program {
  readonly #words: readonly string[];
  readonly #env: Record<string, string>;
  readonly #runner: ProcessRunner;
  readonly #running = new Set<RunningProcess>();
  #isStopping = false;

  /** @throws CliError when there is no such program: no item is to blame for that. */
  constructor(words: readonly string[]) {
    const [name] = words;
    if (name === undefined) {
      throw badInput('what is to be run for the items? A program is missing', [
        '(`drover consume --help` shows how)',
      ]);
    }
    const { DROVER_PROCESS: _ours, ...env } = process.env as Record<string, string>;
    this.#env = env;
    checkProgram(name, env['PATH'] ?? '');
    this.#words = words;
    this.#runner = new ProcessRunner({ logger: { info: () => undefined, error: tell } });
  }

  /** How many run now. */
  get runCount(): number {
    return this.#running.size;
  }

  /** Gets ready to run it. */
  async warmUp(): Promise<void> {
    await this.#runner.warmUp();
  }

  /** Runs it to its end. @throws CliError when it can't be run. */
  async run({ input, env, onPrinted }: ProgramRun): Promise<ProgramEnd> {
    const tail = new StderrTail();
    const running = this.#runner.start(
      { command: this.#words, args: [], env: { ...this.#env, ...env }, input },
      {
        onOutput: (stream, chunk) => {
          if (stream === 'stdout') {
            onPrinted(chunk);
            return;
          }
          tail.add(chunk);
          process.stderr.write(Buffer.from(chunk));
        },
      },
    );
    this.#running.add(running);
    if (this.#isStopping) running.stop(STOP_GRACE_MS);
    const exit = await running.exited;
    this.#running.delete(running);
    checkRan(exit);
    return {
      hasSucceeded: exit.exitCode === 0,
      text: tail.describe(exitText(exit)),
      wasStopped: this.#isStopping,
    };
  }

  /** Tells all runs to stop. */
  stop(): void {
    this.#isStopping = true;
    for (const running of this.#running) running.stop(STOP_GRACE_MS);
  }

  /** Ends whatever still runs. */
  async close(): Promise<void> {
    await this.#runner.close();
  }
}

/** What is wrong with the process helper. */
function tell(what: unknown, message?: string): void {
  process.stderr.write(`drover consume: ${message ?? String(what)}\n`);
}

function checkRan({ reason, message }: ProcessExit): void {
  if (reason === 'StartError') throw badInput(message);
  if (reason === 'ContainerStatusUnknown') throw new CliError(message, EXIT.failed);
}

/** Whether there is such a program. @throws CliError when there is not. */
export function checkProgram(
  name: string,
  searchPath: string,
  workingDir: string = process.cwd(),
): void {
  const places = name.includes('/') ? [''] : searchPath.split(':');
  // An empty entry of PATH is the working directory.
  if (places.some((place) => isProgram(resolve(workingDir, place, name)))) return;
  const where = name.includes('/') ? 'there is no such program' : 'it is not found in PATH';
  throw badInput(`${name}: ${where}`);
}

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}
