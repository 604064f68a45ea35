import { once } from 'node:events';

import { formatTable, truncate } from '../text/table.ts';

/** How objects become rows of a table. */
export interface RowColumns<T> {
  readonly header: readonly string[];
  readonly cells: (object: T) => readonly string[];
}

/** Rows whose widths are looked at together. */
const ROWS_AT_ONCE = 200;
/** Longest cell in a table that is not the last. */
const MAX_CELL_COLUMNS = 60;

/**
 * Prints many objects as they come: as a table, as a line of JSON each, or as one JSON list. What comes
 * together is written together.
 */
export class RowPrinter<T> {
  readonly #format: 'table' | 'ndjson' | 'json';
  readonly #columns: RowColumns<T>;
  readonly #widths: number[] = [];
  #pending: T[] = [];
  #count = 0;
  #isScheduled = false;

  constructor(format: 'table' | 'ndjson' | 'json', columns: RowColumns<T>) {
    this.#format = format;
    this.#columns = columns;
  }

  /** Prints one, now or together with the next. */
  add(object: T): void {
    this.#pending.push(object);
    if (this.#pending.length >= ROWS_AT_ONCE) this.#flush();
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    setImmediate(() => {
      this.#isScheduled = false;
      this.#flush();
    });
  }

  /** Resolves when what was printed is not far ahead of its reader. */
  async drained(): Promise<void> {
    // Closed by its reader: the command is about to end.
    if (process.stdout.writableNeedDrain && !process.stdout.destroyed) {
      await once(process.stdout, 'drain');
    }
  }

  /** @param nothing - What is said where there was none. */
  close(nothing: string): void {
    this.#flush();
    if (this.#format === 'json') process.stdout.write(this.#count === 0 ? '[]\n' : '\n]\n');
    else if (this.#count === 0) process.stderr.write(`${nothing}\n`);
  }

  #flush(): void {
    const objects = this.#pending;
    if (objects.length === 0) return;
    this.#pending = [];
    process.stdout.write(this.#text(objects));
    this.#count += objects.length;
  }

  #text(objects: readonly T[]): string {
    switch (this.#format) {
      case 'ndjson':
        return objects.map((object) => `${JSON.stringify(object)}\n`).join('');
      case 'json': {
        const texts = objects.map((object) => JSON.stringify(object, null, 2).replace(/^/gm, '  '));
        return `${this.#count === 0 ? '[\n' : ',\n'}${texts.join(',\n')}`;
      }
      case 'table': {
        const rows = objects.map((object) => this.#columns.cells(object).map(cellText));
        const header = this.#count === 0 ? this.#columns.header : [];
        const lines = formatTable(header, rows, this.#widths);
        const { isTTY, columns } = process.stdout;
        const shown = isTTY ? lines.map((line) => truncate(line, columns)) : lines;
        return shown.map((line) => `${line}\n`).join('');
      }
    }
  }
}

/** In one line; what is cut is whole with `-o ndjson`. */
function cellText(text: string, at: number, all: readonly string[]): string {
  const line = text.replace(/\s+/g, ' ').trim();
  const isLast = at === all.length - 1;
  return isLast || line.length <= MAX_CELL_COLUMNS
    ? line
    : `${line.slice(0, MAX_CELL_COLUMNS - 3)}...`;
}
