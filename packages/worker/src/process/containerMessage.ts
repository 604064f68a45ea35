import { closeSync, constants, fchmodSync, fstatSync, openSync, readSync, rmSync } from 'node:fs';

import type { PlannedContainer } from '../containerPlan.ts';
import type { JobPlan } from '../jobPlan.ts';
import type { ProcessExit } from './processExit.ts';

/** Most that is read of a file, its end; as in Kubernetes. */
const MAX_FILE_BYTES = 4096;
/** Most that is taken of the output instead: so many bytes, and so many lines. */
const MAX_OUTPUT_BYTES = 2048;
const MAX_OUTPUT_LINES = 80;

/** Neither what a link leads to nor what would have to be waited for. */
const READ_FLAGS = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;

/** Options of {@link ContainerMessage}. */
export interface ContainerMessageOptions {
  /** Where the program may write it; null = nowhere. */
  readonly file: string | null;
  /** Of a program that failed and wrote nothing there it is the end of its output. */
  readonly fallsBackToLogs: boolean;
  /** Most bytes of it. */
  readonly maxBytes: number;
}

/** What a container has to say when it ended: terminationMessagePath and terminationMessagePolicy. */
export class ContainerMessage {
  readonly #options: ContainerMessageOptions;
  /** The end of what the present run wrote. */
  #output: Buffer[] = [];
  #outputBytes = 0;

  constructor(options: ContainerMessageOptions) {
    this.#options = options;
  }

  /** A run begins: what the one before said is gone. */
  begin(): void {
    this.#output = [];
    this.#outputBytes = 0;
    const { file } = this.#options;
    if (file === null) return;
    // A program may have put something else there.
    rmSync(file, { force: true, recursive: true });
    const descriptor = openSync(file, 'wx');
    // Whatever user the program makes itself.
    fchmodSync(descriptor, 0o666);
    closeSync(descriptor);
  }

  /** Output of the present run; the bytes are copied. */
  note(chunk: Buffer): void {
    if (!this.#options.fallsBackToLogs) return;
    this.#output.push(Buffer.from(chunk.subarray(-MAX_OUTPUT_BYTES)));
    this.#outputBytes += Math.min(chunk.length, MAX_OUTPUT_BYTES);
    if (this.#outputBytes < 2 * MAX_OUTPUT_BYTES) return;
    this.#output = [Buffer.concat(this.#output).subarray(-MAX_OUTPUT_BYTES)];
    this.#outputBytes = MAX_OUTPUT_BYTES;
  }

  /** The end of a run with what it had to say, if anything. */
  finish(exit: ProcessExit): ProcessExit {
    const { fallsBackToLogs, maxBytes } = this.#options;
    let text = this.#read();
    if (text === '' && fallsBackToLogs && exit.exitCode !== 0) text = this.#tail();
    if (text === '') return exit;
    // Whole characters only.
    const message = Buffer.from(text)
      .subarray(0, maxBytes)
      .toString('utf8')
      .replace(/\uFFFD+$/u, '');
    return { ...exit, message };
  }

  #read(): string {
    const { file } = this.#options;
    if (file === null) return '';
    try {
      const descriptor = openSync(file, READ_FLAGS);
      try {
        const { size } = fstatSync(descriptor);
        const bytes = Buffer.alloc(Math.min(size, MAX_FILE_BYTES));
        const count = readSync(descriptor, bytes, 0, bytes.length, size - bytes.length);
        return wholeText(bytes.subarray(0, count));
      } finally {
        closeSync(descriptor);
      }
    } catch {
      // The program removed it, or put something else there.
      return '';
    }
  }

  #tail(): string {
    const bytes = Buffer.concat(this.#output).subarray(-MAX_OUTPUT_BYTES);
    const lines = wholeText(bytes).split('\n');
    // The last one is empty after a line break.
    const more = lines.at(-1) === '' ? 1 : 0;
    return lines.slice(-MAX_OUTPUT_LINES - more).join('\n');
  }
}

/** The last words of a container of a plan; none when nobody asks for them. */
export function messageOf(
  { messageBytes: maxBytes }: Pick<JobPlan, 'messageBytes'>,
  { fallsBackToLogs }: Pick<PlannedContainer, 'fallsBackToLogs'>,
  file: string | null,
): ContainerMessage | undefined {
  if (file === null && !fallsBackToLogs) return undefined;
  return new ContainerMessage({ file, fallsBackToLogs, maxBytes });
}

/** The end of a text, which may begin in the middle of a character. */
function wholeText(bytes: Buffer): string {
  return bytes.toString('utf8').replace(/^\uFFFD+/u, '');
}
