import { closeSync, constants, openSync } from 'node:fs';
import { Socket } from 'node:net';

/** Bytes read at a time. */
const READ_BYTES = 65_536;

/**
 * The reading end of a helper's replies: a FIFO, read into one buffer again and again, so that a
 * flood of output allocates nothing. The pipes that Node makes for its children can't do that.
 */
export class HelperReplies {
  /** Resolves when nothing more comes. */
  readonly ended: Promise<void>;
  readonly #socket: Socket;

  private constructor(socket: Socket) {
    this.#socket = socket;
    this.ended = new Promise((resolve) => socket.once('close', () => resolve()));
    // The end that follows says enough.
    socket.on('error', () => {});
    socket.resume();
  }

  /**
   * Opens a FIFO that has a writer.
   *
   * @param onBytes - Gets bytes that are valid only during the call. Must not throw.
   * @throws Error when it can not be opened.
   */
  static open(path: string, onBytes: (bytes: Buffer) => void): HelperReplies {
    const descriptor = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    const buffer = Buffer.allocUnsafeSlow(READ_BYTES);
    try {
      const socket = new Socket({
        fd: descriptor,
        readable: true,
        writable: false,
        onread: {
          buffer,
          callback: (byteCount) => {
            onBytes(buffer.subarray(0, byteCount));
            return true;
          },
        },
      });
      return new HelperReplies(socket);
    } catch (error) {
      closeSync(descriptor);
      throw error;
    }
  }

  /** Whether it keeps the event loop alive. */
  setBusy(isBusy: boolean): void {
    if (this.#socket.destroyed) return;
    if (isBusy) this.#socket.ref();
    else this.#socket.unref();
  }

  /** Stops reading for now, so that the helper has to wait. */
  pause(): void {
    this.#socket.pause();
  }

  /** Reads on. */
  resume(): void {
    this.#socket.resume();
  }

  /** Reads no more. */
  close(): void {
    this.#socket.destroy();
  }
}
