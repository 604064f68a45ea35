import { execFile } from 'node:child_process';
import { closeSync, constants, openSync, readSync, unlinkSync } from 'node:fs';
import { Socket } from 'node:net';
import { join } from 'node:path';
import { promisify } from 'node:util';

/** FIFOs made at a time; one `mkfifo` process makes them all. */
const BATCH_COUNT = 32;
/** Bytes read at a time: the capacity of a pipe. */
const READ_BYTES = 65_536;
/** Pieces read at once by {@link OutputPipe.drain}: what a pipe holds comes in fewer. */
const MAX_DRAIN_COUNT = 16;
/**
 * One buffer for all pipes: reads happen one after the other, and whoever takes the bytes has
 * copied them when the callback returns. So a flood of output allocates nothing.
 */
const readBuffer = Buffer.allocUnsafe(READ_BYTES);

/** Gets bytes that are valid only during the call. */
export type OnChunk = (chunk: Buffer) => void;

/**
 * A pipe from a program to the JavaScript helper: a FIFO, since Node can not make an anonymous
 * pipe, and unlike the sockets it gives to its children a FIFO can be opened again as `/dev/stdout`.
 */
export class OutputPipe {
  readonly #path: string;
  #descriptor: number | null = null;
  #socket: Socket | null = null;

  constructor(path: string) {
    this.#path = path;
  }

  /**
   * Opens both ends, without ever blocking, and returns the one for the program, which blocks, as
   * programs expect of their output.
   */
  open(): number {
    this.#descriptor ??= openSync(this.#path, constants.O_RDONLY | constants.O_NONBLOCK);
    return openSync(this.#path, constants.O_WRONLY);
  }

  /**
   * Reads what is there now. Not after {@link read}.
   *
   * @returns Whether every writer has closed, so that there will be no more.
   */
  drain(onChunk: OnChunk): boolean {
    const descriptor = this.#descriptor;
    if (descriptor === null) return this.#socket === null;
    try {
      for (let count = 0; count < MAX_DRAIN_COUNT; count++) {
        const byteCount = readSync(descriptor, readBuffer);
        if (byteCount === 0) return true;
        onChunk(readBuffer.subarray(0, byteCount));
      }
    } catch {
      // EAGAIN: somebody may still write.
    }
    return false;
  }

  /**
   * Reads until every writer has closed (`sawEnd`) or until {@link close}. Call it once the
   * program has its end, else it is over at once.
   */
  read(onChunk: OnChunk, onClose: (sawEnd: boolean) => void): void {
    const descriptor = this.#descriptor;
    if (descriptor === null) return;
    this.#descriptor = null;
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
      onClose(sawEnd);
    });
    socket.resume();
  }

  /** Stops reading. */
  close(): void {
    if (this.#descriptor !== null) closeSync(this.#descriptor);
    this.#descriptor = null;
    this.#socket?.destroy();
  }

  /** Removes the FIFO. */
  remove(): void {
    try {
      unlinkSync(this.#path);
    } catch {
      // The directory went first.
    }
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

  /** Takes two pipes that nobody writes to; null = {@link makeMore} first. */
  takePair(): [OutputPipe, OutputPipe] | null {
    if (this.#free.length < 2) return null;
    return [this.#free.pop()!, this.#free.pop()!];
  }

  /** Gives a pipe back. One that may still have writers is thrown away. */
  giveBack(pipe: OutputPipe, isClean: boolean): void {
    if (isClean) {
      this.#free.push(pipe);
      return;
    }
    pipe.close();
    pipe.remove();
  }

  /** Makes a batch of pipes. Rejects when that can not be done. */
  makeMore(): Promise<void> {
    this.#making ??= this.#make().finally(() => (this.#making = null));
    return this.#making;
  }

  /** Makes a FIFO for another purpose and returns its path. */
  async makeOne(name: string): Promise<string> {
    const path = join(this.#directory, name);
    await makeFifos([path]);
    return path;
  }

  async #make(): Promise<void> {
    const paths = Array.from({ length: BATCH_COUNT }, (_, index) =>
      join(this.#directory, String(this.#madeCount + index)),
    );
    this.#madeCount += BATCH_COUNT;
    await makeFifos(paths);
    this.#free.push(...paths.map((path) => new OutputPipe(path)));
  }
}

/** Makes FIFOs for this user alone. Rejects when that can not be done. */
export async function makeFifos(paths: readonly string[]): Promise<void> {
  await promisify(execFile)('mkfifo', ['-m', '600', ...paths]);
}
