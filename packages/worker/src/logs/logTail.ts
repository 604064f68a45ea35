/** What to remove from a log stream. */
export interface LogTrim {
  /** Everything before this id goes; null = nothing. */
  readonly minId: string | null;
  /** Single entries that go: older ones of a container between those of another. */
  readonly ids: readonly string[];
}

interface KeptEntry {
  readonly id: string;
  readonly container: string;
  readonly bytes: number;
}

/**
 * Knows what a log stream holds, since only one writer adds to it, and so what must go to keep
 * the tail of each container within its bound, to the byte.
 */
export class LogTail {
  readonly #tailBytes: number;
  readonly #bytes = new Map<string, number>();
  #entries: KeptEntry[] = [];

  /** @param tailBytes - Most bytes kept per container. */
  constructor(tailBytes: number) {
    this.#tailBytes = tailBytes;
  }

  /** Notes entries that are added now, oldest first, and returns what has to go for them. */
  add(entries: readonly KeptEntry[]): LogTrim {
    for (const entry of entries) {
      this.#entries.push(entry);
      this.#bytes.set(entry.container, (this.#bytes.get(entry.container) ?? 0) + entry.bytes);
    }
    const removed: string[] = [];
    const newest = this.#entries.at(-1);
    let isPrefix = true;
    let prefixCount = 0;
    this.#entries = this.#entries.filter((entry) => {
      const bytes = this.#bytes.get(entry.container) ?? 0;
      if (bytes <= this.#tailBytes || entry === newest) {
        isPrefix = false;
        return true;
      }
      this.#bytes.set(entry.container, bytes - entry.bytes);
      if (isPrefix) prefixCount += 1;
      else removed.push(entry.id);
      return false;
    });
    return { minId: prefixCount > 0 ? (this.#entries[0]?.id ?? null) : null, ids: removed };
  }
}
