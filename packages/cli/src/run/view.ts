import { fstatSync } from 'node:fs';
import { clearLine, cursorTo } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';

import { MultiBar, type SingleBar } from 'cli-progress';

import { coloursFor } from '../text/colours.ts';
import { formatClock } from '../text/duration.ts';
import { RateMeter } from './rate.ts';

/** Where a Job stands. */
export interface Figures {
  readonly total: number;
  readonly done: number;
  readonly running: number;
  readonly failed: number;
  /** More may come: the total is that of now. */
  readonly isGrowing?: boolean;
}

/** What the user sees of a run: progress on standard error, the pods' output where it belongs. */
export interface RunView {
  /** Shows where the Job stands. */
  progress(figures: Figures): void;
  /** A line about the run, on standard error. */
  note(line: string): void;
  /** Something that a pod wrote. */
  output(stream: 'stdout' | 'stderr', text: string | Uint8Array): void;
  /** Resolves when what was put out is not far ahead of its reader. */
  drained(): Promise<void>;
  /** Ends the display of progress; the last figures stay, notes may follow. */
  close(): void;
}

/** Between two lines of progress that is not shown on a terminal. */
const PLAIN_INTERVAL_MS = 5_000;
const BAR_CELLS = 30;

/** How progress is shown: as a bar that moves, as a line now and then, or not at all. */
export type ProgressStyle = 'bar' | 'lines' | 'none';

/** Makes what the user sees of a run. */
export function createView(title: string, style: ProgressStyle): RunView {
  switch (style) {
    case 'bar':
      return new BarView(title);
    case 'lines':
      return new PlainView(title);
    case 'none':
      return new QuietView();
  }
}

/**
 * How progress is shown when the user does not say it. What goes into a pipe may come out on the
 * same terminal a moment later, on the line of the bar: then there is none.
 */
export function presetStyle(): ProgressStyle {
  if (!process.stderr.isTTY) return 'lines';
  return process.stdout.isTTY || !isPipe(STDOUT) ? 'bar' : 'lines';
}

const STDOUT = 1;

function isPipe(descriptor: number): boolean {
  try {
    const stats = fstatSync(descriptor);
    return stats.isFIFO() || stats.isSocket();
  } catch {
    // Closed: nothing comes out of it.
    return false;
  }
}

function write(stream: 'stdout' | 'stderr', text: string | Uint8Array): void {
  const target = stream === 'stdout' ? process.stdout : process.stderr;
  // Closed by its reader: the run is about to end.
  if (target.destroyed) return;
  // What is printed at the same moment goes out in one write.
  target.cork();
  target.write(text);
  process.nextTick(() => target.uncork());
}

/** Output that may wait in memory for its reader. */
const MAX_AHEAD_BYTES = 1024 * 1024;

async function drained(): Promise<void> {
  for (const stream of [process.stdout, process.stderr]) {
    // Nothing drains a stream that was closed.
    while (stream.writableLength > MAX_AHEAD_BYTES && !stream.destroyed) await delay(DRAIN_MS);
  }
}

const DRAIN_MS = 5;

/** `42/100 done, 8 running, 1 failed, 3.1/s, ETA 0:18`. */
function describe(
  { total, done, running, failed, isGrowing = false }: Figures,
  meter: RateMeter,
): string {
  const parts = [`${done}/${total}${isGrowing ? '+' : ''} done`, `${running} running`];
  if (failed > 0) parts.push(`${failed} failed`);
  const rate = meter.perSecond();
  if (rate > 0 && (done < total || isGrowing)) {
    parts.push(`${rate >= 10 ? rate.toFixed(0) : rate.toFixed(1)}/s`);
    const etaMs = isGrowing ? null : meter.etaMs(total);
    if (etaMs !== null) parts.push(`ETA ${formatClock(etaMs)}`);
  }
  return parts.join(', ');
}

class QuietView implements RunView {
  progress(): void {
    // A single program speaks for itself.
  }

  note(line: string): void {
    process.stderr.write(`${line}\n`);
  }

  output(stream: 'stdout' | 'stderr', text: string | Uint8Array): void {
    write(stream, text);
  }

  async drained(): Promise<void> {
    await drained();
  }

  close(): void {
    // Nothing is open.
  }
}

class PlainView implements RunView {
  readonly #title: string;
  readonly #meter = new RateMeter();
  #shownAtMs = 0;
  #shown = '';

  constructor(title: string) {
    this.#title = title;
  }

  progress(figures: Figures): void {
    const nowMs = Date.now();
    this.#meter.add(nowMs, figures.done);
    const isLast = figures.done >= figures.total && figures.isGrowing !== true;
    if (!isLast && nowMs - this.#shownAtMs < PLAIN_INTERVAL_MS) return;
    this.#show(nowMs, describe(figures, this.#meter));
  }

  note(line: string): void {
    process.stderr.write(`${line}\n`);
  }

  output(stream: 'stdout' | 'stderr', text: string | Uint8Array): void {
    write(stream, text);
  }

  async drained(): Promise<void> {
    await drained();
  }

  close(): void {
    // Every line is written as it comes.
  }

  #show(nowMs: number, text: string): void {
    if (text === this.#shown) return;
    this.#shown = text;
    this.#shownAtMs = nowMs;
    process.stderr.write(`${this.#title}: ${text}\n`);
  }
}

class BarView implements RunView {
  readonly #title: string;
  readonly #colours = coloursFor(process.stderr);
  readonly #bars: MultiBar;
  readonly #bar: SingleBar;
  readonly #meter = new RateMeter();
  #figures: Figures = { total: 0, done: 0, running: 0, failed: 0 };
  #isOpen = true;

  constructor(title: string) {
    this.#title = title;
    this.#bars = new MultiBar({
      format: () => this.#line(),
      fps: 5,
      // Ctrl-C is ours to handle, and the cursor must come back whatever happens.
      gracefulExit: false,
      hideCursor: false,
      // The line may have been cleared for other output.
      forceRedraw: true,
      // Its last line would be cut by the length of its colours: we write that one.
      clearOnComplete: true,
    });
    this.#bar = this.#bars.create(1, 0);
  }

  progress(figures: Figures): void {
    if (!this.#isOpen) return;
    this.#figures = figures;
    this.#meter.add(Date.now(), figures.done);
    this.#bar.setTotal(Math.max(1, figures.total));
    this.#bar.update(figures.done);
  }

  note(line: string): void {
    if (this.#isOpen) this.#bars.log(`${line}\n`);
    else process.stderr.write(`${line}\n`);
  }

  output(stream: 'stdout' | 'stderr', text: string | Uint8Array): void {
    // On one terminal with the bar it goes above it; a file gets just the output.
    const isShared = (stream === 'stderr' ? process.stderr : process.stdout).isTTY;
    if (isShared && this.#isOpen) {
      const shown = typeof text === 'string' ? text : Buffer.from(text).toString();
      this.#bars.log(shown.endsWith('\n') ? shown : `${shown}\n`);
      return;
    }
    // What goes into a pipe may come out here: it finds an empty line.
    if (this.#isOpen && process.stderr.isTTY) {
      cursorTo(process.stderr, 0);
      clearLine(process.stderr, 0);
    }
    write(stream, text);
  }

  async drained(): Promise<void> {
    await drained();
  }

  close(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    // What was logged last is printed with the next drawing only.
    this.#bars.update();
    this.#bars.stop();
    process.stderr.write(`${this.#line()}\n`);
  }

  #line(): string {
    const { total, done } = this.#figures;
    const filled = total === 0 ? 0 : Math.floor((done / total) * BAR_CELLS);
    const full = this.#colours.green('█'.repeat(filled));
    const empty = this.#colours.dim('░'.repeat(BAR_CELLS - filled));
    return `${this.#title} ${full}${empty} ${describe(this.#figures, this.#meter)}`;
  }
}
