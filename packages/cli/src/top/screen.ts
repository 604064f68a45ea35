/** What the user does in a live view. */
export type Key = 'quit' | 'up' | 'down' | 'pageUp' | 'pageDown' | 'home';

/** How keys arrive from a terminal in raw mode. */
const KEYS: Readonly<Record<string, Key>> = {
  q: 'quit',
  Q: 'quit',
  '\u0003': 'quit',
  '\u0004': 'quit',
  '\u001b[A': 'up',
  k: 'up',
  '\u001b[B': 'down',
  j: 'down',
  '\u001b[5~': 'pageUp',
  '\u001b[6~': 'pageDown',
  ' ': 'pageDown',
  '\u001b[H': 'home',
  '\u001b[1~': 'home',
  g: 'home',
};

// oxlint-disable-next-line no-control-regex -- codes of keys begin with the escape character
const KEY_CODE = /\u001b\[[0-9;]*[A-Za-z~]|[^]/g;

const ENTER = '\u001b[?1049h\u001b[?25l';
const LEAVE = '\u001b[?25h\u001b[?1049l';

/**
 * The alternate screen of the terminal: what was on it before is back when this is closed, however
 * the command ends.
 */
export class AlternateScreen {
  readonly #output: NodeJS.WriteStream;
  readonly #input: NodeJS.ReadStream;
  readonly #onKey: (key: Key) => void;
  readonly #onResize: () => void;
  #isOpen = false;

  constructor(handlers: { readonly onKey: (key: Key) => void; readonly onResize: () => void }) {
    this.#output = process.stdout;
    this.#input = process.stdin;
    this.#onKey = handlers.onKey;
    this.#onResize = handlers.onResize;
  }

  /** Columns and rows. */
  get size(): { readonly columns: number; readonly rows: number } {
    return { columns: this.#output.columns || 80, rows: this.#output.rows || 24 };
  }

  /** Takes the terminal over. */
  open(): void {
    this.#isOpen = true;
    this.#output.write(ENTER);
    this.#output.on('resize', this.#onResize);
    process.on('exit', this.close);
    if (!this.#input.isTTY) return;
    this.#input.setRawMode(true);
    this.#input.on('data', this.#onData);
    this.#input.resume();
  }

  /** Draws lines from the top; what was there before is gone. */
  draw(lines: readonly string[]): void {
    if (!this.#isOpen) return;
    const text = lines.map((line) => `${line}\u001b[K`).join('\r\n');
    // In one write, without clearing first: nothing flickers.
    this.#output.write(`\u001b[H${text}\u001b[J`);
  }

  /** Gives the terminal back. */
  readonly close = (): void => {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    process.off('exit', this.close);
    this.#output.off('resize', this.#onResize);
    if (this.#input.isTTY) {
      this.#input.off('data', this.#onData);
      this.#input.setRawMode(false);
      this.#input.pause();
    }
    this.#output.write(LEAVE);
  };

  readonly #onData = (data: Buffer): void => {
    // Of keys that are held down several come at once.
    for (const [code] of data.toString('latin1').matchAll(KEY_CODE)) {
      const key = KEYS[code];
      if (key !== undefined) this.#onKey(key);
    }
  };
}
