/** Bytes of the last that a program said which are kept with an item that failed. */
const MAX_TAIL_BYTES = 2_048;

/** The end of what a program writes to standard error. */
export class StderrTail {
  #bytes: Buffer = Buffer.alloc(0);
  #isCut = false;

  /** Takes the next bytes, which are copied. */
  add(chunk: Buffer): void {
    const all = Buffer.concat([this.#bytes, chunk]);
    this.#isCut ||= all.length > MAX_TAIL_BYTES;
    this.#bytes = all.length > MAX_TAIL_BYTES ? Buffer.from(all.subarray(-MAX_TAIL_BYTES)) : all;
  }

  /** How a program ended, with the last that it said. */
  describe(how: string): string {
    let text = this.#bytes
      .toString()
      .replace(/^\uFFFD+/, '')
      .trimEnd();
    // Whole lines, if there are several.
    if (this.#isCut && text.includes('\n')) text = text.slice(text.indexOf('\n') + 1);
    if (text === '') return how;
    return text.includes('\n') ? `${how}:\n${text}` : `${how}: ${text.trimStart()}`;
  }
}
