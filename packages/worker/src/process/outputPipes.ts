import { execFile } from 'node:child_process';
import { closeSync, constants, openSync, unlinkSync } from 'node:fs';
import { Socket } from 'node:net';
import { join } from 'node:path';
import { promisify } from 'node:util';

/** FIFOs made at a time; one `mkfifo` process makes them all. */
const BATCH_COUNT = 32;
/** Bytes read at a time: the capacity of a pipe. */
const READ_BYTES = 65_536;
/**
 * One buffer for all pipes: reads happen one after the other, and whoever takes the bytes has
 * copied them when the callback returns. So a flood of output allocates nothing.
 */
const readBuffer = Buffer.allocUnsafe(READ_BYTES);

/**
 * A pipe from a program to the worker: a FIFO, since Node can neither make an anonymous pipe nor
 * pass one to the helper. The program writes straight into it, so output never passes through
 * the helper; and unlike the sockets Node gives to its children it can be opened again as
 * `/dev/stdout`.
 */
export class OutputPipe {
  readonly path: string;
  #descriptor: number | null = null;
  #socket: Socket | null = null;

  constructor(path: string) {
    this.path = path;
  }

  /** Opens the reading end. Must happen before the helper opens the writing end. */
  open(): void {
    this.#descriptor = openSync(this.path, constants.O_RDONLY | constants.O_NONBLOCK);
  }

  /**
   * Reads until every writer has closed, which resolves `true`, or until {@link close}, which
   * resolves `false`. Call it once the program has its end, else it ends at once.
   *
   * @param onChunk - Gets bytes that are valid only during the call.
   */
  async read(onChunk: (chunk: Buffer) => void): Promise<boolean> {
    const descriptor = this.#descriptor;
    if (descriptor === null) return false;
    this.#descriptor = null;
    return new Promise((resolve) => {
      const socket = new Socket({
        fd: descriptor,
        readable: true,
        writable: false,
        onread: {
          buffer: readBuffer,
          callback: (byteCount) => {
            onChunk(readBuffer.subarray(0, byteCount));
            return true;
          },
        },
      });
      this.#socket = socket;
      let sawEnd = false;
      socket.on('end', () => (sawEnd = true));
      // An error is reported by the end that did not come.
      socket.on('error', () => {});
      socket.on('close', () => {
        this.#socket = null;
        resolve(sawEnd);
      });
      socket.resume();
    });
  }

  /** Stops reading. */
  close(): void {
    if (this.#descriptor !== null) closeSync(this.#descriptor);
    this.#descriptor = null;
    this.#socket?.destroy();
  }
}

/** A stock of FIFOs in a private directory; they are used again and again. */
export class OutputPipes {
  readonly #directory: string;
  readonly #free: OutputPipe[] = [];
  #madeCount = 0;
  #making: Promise<void> | null = null;

  /** @param directory - Exists, is writable for this user only, and is removed by somebody else. */
  constructor(directory: string) {
    this.#directory = directory;
  }

  /** Makes a first batch, so that the first start need not wait for it. */
  async prepare(): Promise<void> {
    if (this.#free.length === 0) await this.#makeMore();
  }

  /** Takes a pipe that nobody writes to. @throws Error when FIFOs can not be made. */
  async take(): Promise<OutputPipe> {
    for (;;) {
      const pipe = this.#free.pop();
      if (pipe !== undefined) return pipe;
      await this.#makeMore();
    }
  }

  /** Gives a pipe back. One that may still have writers is thrown away. */
  giveBack(pipe: OutputPipe, isClean: boolean): void {
    pipe.close();
    if (isClean) {
      this.#free.push(pipe);
      return;
    }
    try {
      unlinkSync(pipe.path);
    } catch {
      // The directory went with its helper.
    }
  }

  #makeMore(): Promise<void> {
    this.#making ??= this.#make().finally(() => (this.#making = null));
    return this.#making;
  }

  async #make(): Promise<void> {
    const paths = Array.from({ length: BATCH_COUNT }, (_, index) =>
      join(this.#directory, String(this.#madeCount + index)),
    );
    this.#madeCount += BATCH_COUNT;
    await promisify(execFile)('mkfifo', ['-m', '600', ...paths]);
    this.#free.push(...paths.map((path) => new OutputPipe(path)));
  }
}
