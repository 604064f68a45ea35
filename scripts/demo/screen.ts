import { styleText } from 'node:util';

type Style = Parameters<typeof styleText>[0];

/** A text in a style; plain where standard output is no terminal or NO_COLOR is set. */
export function style(format: Style, text: string): string {
  return styleText(format, text, { stream: process.stdout });
}

const PLAIN_INTERVAL_MS = 500;

/**
 * Lines at the bottom of the terminal that are drawn over and over, with what is printed above
 * them. Where there is no terminal only what changed is printed, now and then.
 */
export class LiveLines {
  readonly #isLive = process.stdout.isTTY;
  #lines: readonly string[] = [];
  #plain = '';
  #printed = '';
  #timer: NodeJS.Timeout | null = null;

  /**
   * Draws the lines anew.
   *
   * @param plain - What is printed instead where there is no terminal.
   */
  draw(lines: readonly string[], plain: string): void {
    if (!this.#isLive) {
      this.#plain = plain;
      // What changes together is told together.
      this.#timer ??= setTimeout(() => this.#printPlain(), PLAIN_INTERVAL_MS);
      return;
    }
    process.stdout.write(this.#erase() + lines.map((line) => `${line}\n`).join(''));
    this.#lines = lines;
  }

  /** Prints a line above. */
  print(line: string): void {
    const lines = this.#lines;
    process.stdout.write(`${this.#erase()}${line}\n${lines.map((one) => `${one}\n`).join('')}`);
  }

  /** Leaves the lines as they are. */
  close(): void {
    this.#lines = [];
    if (this.#timer === null) return;
    clearTimeout(this.#timer);
    this.#printPlain();
  }

  #printPlain(): void {
    this.#timer = null;
    if (this.#plain === this.#printed) return;
    this.#printed = this.#plain;
    process.stdout.write(`  ${this.#plain}\n`);
  }

  #erase(): string {
    const up = this.#lines.length;
    return this.#isLive && up > 0 ? `\u001b[${up}A\u001b[0J` : '';
  }
}

/** A bar of so many cells. */
export function bar(done: number, total: number, cells = 24): string {
  const filled = Math.floor((done / total) * cells);
  return style('green', '█'.repeat(filled)) + style('dim', '░'.repeat(cells - filled));
}
