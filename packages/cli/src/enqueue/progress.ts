import { MultiBar, type SingleBar } from 'cli-progress';

import { RateMeter } from '../run/rate.ts';
import type { ProgressStyle } from '../run/view.ts';
import { coloursFor } from '../text/colours.ts';
import { formatClock } from '../text/duration.ts';

/** How far an enqueue is. */
export interface EnqueueFigures {
  readonly items: number;
  /** 0 to 1; null where the size is not known. */
  readonly fraction: number | null;
}

/** Shows on standard error how far an enqueue is. */
export interface EnqueueProgress {
  show(figures: EnqueueFigures): void;
  /** A line that stays. */
  note(line: string): void;
  /** @param isSilent - A bar leaves no last line. */
  close(isSilent?: boolean): void;
}

const BAR_CELLS = 30;
/** Between two lines where there is no terminal. */
const PLAIN_INTERVAL_MS = 5_000;
/** Whoever calls oftener than this wastes time. */
const MIN_INTERVAL_MS = 50;

/** Shows it as a bar, as a line now and then, or not at all. */
export function createProgress(title: string, style: ProgressStyle): EnqueueProgress {
  const meter = new Meter();
  if (style === 'bar') return new Bar(title, meter);
  let shownAtMs = Date.now();
  return {
    show: (figures) => {
      const nowMs = Date.now();
      if (style === 'none' || !meter.add(nowMs, figures)) return;
      if (nowMs - shownAtMs < PLAIN_INTERVAL_MS) return;
      shownAtMs = nowMs;
      process.stderr.write(`${title}: ${meter.text()}\n`);
    },
    note: (line) => void process.stderr.write(`${line}\n`),
    close: () => undefined,
  };
}

/** `120000 items, 35%, 45000/s, ETA 0:12`. */
class Meter {
  readonly #items = new RateMeter();
  readonly #fraction = new RateMeter();
  #lastMs = 0;
  #figures: EnqueueFigures = { items: 0, fraction: null };

  /** Whether it is time to show something. */
  add(nowMs: number, figures: EnqueueFigures): boolean {
    this.#figures = figures;
    if (nowMs - this.#lastMs < MIN_INTERVAL_MS) return false;
    this.#lastMs = nowMs;
    this.#items.add(nowMs, figures.items);
    if (figures.fraction !== null) this.#fraction.add(nowMs, figures.fraction);
    return true;
  }

  get fraction(): number {
    return Math.min(1, this.#figures.fraction ?? 0);
  }

  text(): string {
    const { items, fraction } = this.#figures;
    const parts = [`${items} items`];
    if (fraction !== null) parts.push(`${Math.floor(this.fraction * 100)}%`);
    const rate = this.#items.perSecond();
    if (rate > 0) parts.push(`${rate >= 10 ? rate.toFixed(0) : rate.toFixed(1)}/s`);
    const etaMs = fraction === null || fraction >= 1 ? null : this.#fraction.etaMs(1);
    if (etaMs !== null) parts.push(`ETA ${formatClock(etaMs)}`);
    return parts.join(', ');
  }
}

class Bar implements EnqueueProgress {
  readonly #title: string;
  readonly #meter: Meter;
  readonly #colours = coloursFor(process.stderr);
  readonly #bars: MultiBar;
  readonly #bar: SingleBar;
  #isOpen = true;

  constructor(title: string, meter: Meter) {
    this.#title = title;
    this.#meter = meter;
    this.#bars = new MultiBar({
      format: () => this.#line(),
      fps: 5,
      // Ctrl-C is ours to handle, and the cursor must come back whatever happens.
      gracefulExit: false,
      hideCursor: false,
      forceRedraw: true,
      // Its last line would be cut by the length of its colours: we write that one.
      clearOnComplete: true,
    });
    this.#bar = this.#bars.create(1, 0);
  }

  show(figures: EnqueueFigures): void {
    if (this.#isOpen && this.#meter.add(Date.now(), figures))
      this.#bar.update(this.#meter.fraction);
  }

  note(line: string): void {
    if (this.#isOpen) this.#bars.log(`${line}\n`);
    else process.stderr.write(`${line}\n`);
  }

  close(isSilent = false): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    // What was logged last is printed with the next drawing only.
    this.#bars.update();
    this.#bars.stop();
    if (!isSilent) process.stderr.write(`${this.#line()}\n`);
  }

  #line(): string {
    const filled = Math.floor(this.#meter.fraction * BAR_CELLS);
    const full = this.#colours.green('█'.repeat(filled));
    const empty = this.#colours.dim('░'.repeat(BAR_CELLS - filled));
    return `${this.#title} ${full}${empty} ${this.#meter.text()}`;
  }
}
