import { MAX_ITEM_RESULT_BYTES } from '@drover/shared/items';

const NEWLINE = 0x0a;

/** Cuts what a program prints into lines. */
export class AnswerLines {
  readonly #onLine: (line: Buffer | null) => void;
  #parts: Buffer[] = [];
  #length = 0;

  /** @param onLine - Told each line without its end; null = it was longer than a result may be. */
  constructor(onLine: (line: Buffer | null) => void) {
    this.#onLine = onLine;
  }

  /** Takes the next bytes, which are copied. */
  add(chunk: Buffer): void {
    let from = 0;
    for (let at = chunk.indexOf(NEWLINE); at !== -1; at = chunk.indexOf(NEWLINE, from)) {
      this.#keep(chunk.subarray(from, at));
      this.#tell();
      from = at + 1;
    }
    this.#keep(chunk.subarray(from));
  }

  /** No more comes: what is left is a line, too. */
  end(): void {
    if (this.#length > 0) this.#tell();
  }

  #keep(part: Buffer): void {
    this.#length += part.length;
    if (part.length > 0 && this.#length <= MAX_ITEM_RESULT_BYTES)
      this.#parts.push(Buffer.from(part));
  }

  #tell(): void {
    const line = this.#length > MAX_ITEM_RESULT_BYTES ? null : Buffer.concat(this.#parts);
    this.#parts = [];
    this.#length = 0;
    this.#onLine(line);
  }
}
