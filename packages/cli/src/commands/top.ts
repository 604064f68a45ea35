import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';

import type { Drover } from '@drover/sdk/client';

import { withDrover } from '../client.ts';
import { badInput, reportError } from '../errors.ts';
import { EXIT } from '../exitCodes.ts';
import { untilInterrupted } from '../interrupt.ts';
import type { ObjectOptions } from '../options.ts';
import { coloursFor } from '../text/colours.ts';
import { maxScroll, renderTop, type Screen } from '../top/render.ts';
import { AlternateScreen, type Key } from '../top/screen.ts';
import { TopState } from '../top/state.ts';

/** Options of `drover top`. */
export interface TopOptions extends ObjectOptions {
  allNamespaces?: boolean;
  once?: boolean;
  json?: boolean;
}

/** Workers can't be watched: they are looked at so often, and times go on. */
const LOOK_MS = 1_000;
/** A look that takes longer than this is told: the figures are old. */
const SILENT_MS = 3_000;
/** Changes are drawn no more often than this. */
const DRAW_MS = 200;
/** Columns of a snapshot that goes into a pipe: nothing is cut. */
const WIDE = 100_000;
const HINT = 'q quits, arrows scroll';

/** Shows Jobs, workers and rates: live on a terminal, one look otherwise. */
export async function topCommand(options: TopOptions): Promise<number> {
  if (options.allNamespaces === true && options.namespace !== undefined) {
    throw badInput('-n and -A exclude each other');
  }
  return await withDrover(options, async (drover) => {
    const isLive = process.stdout.isTTY && options.once !== true && options.json !== true;
    if (isLive) {
      // A wrong address is told before the screen is taken.
      await drover.connect();
      await untilInterrupted((signal) => new LiveTop(drover, options).run(signal));
    } else await printOnce(drover, options);
    return EXIT.ok;
  });
}

/** Without -n all namespaces are shown: who looks at an engine wants to see what it does. */
function scopeOf(options: TopOptions): { namespace?: string; allNamespaces?: boolean } {
  return options.namespace === undefined
    ? { allNamespaces: true }
    : { namespace: options.namespace };
}

async function printOnce(drover: Drover, options: TopOptions): Promise<void> {
  const state = new TopState();
  const nowMs = Date.now();
  const [jobs] = await Promise.all([
    drover.jobs.list(scopeOf(options)),
    lookAtNodes(drover, state),
  ]);
  for (const job of jobs) state.setJob(job, nowMs);
  const view = state.view('average', nowMs);
  if (options.json === true) {
    const { jobs: rows, nodes, perSecond } = view;
    const text = JSON.stringify(
      { time: new Date(nowMs).toISOString(), perSecond, nodes, jobs: rows },
      null,
      2,
    );
    process.stdout.write(`${text}\n`);
    return;
  }
  const lines = renderTop(view, {
    columns: WIDE,
    rows: WIDE,
    scroll: 0,
    colours: coloursFor(process.stdout),
    withNamespace: options.namespace === undefined,
    hint: '',
  });
  process.stdout.write(`${lines.join('\n')}\n`);
}

async function lookAtNodes(drover: Drover, state: TopState): Promise<void> {
  const [nodes, podCounts] = await Promise.all([drover.nodes.list(), drover.nodes.podCounts()]);
  state.setNodes(nodes, podCounts);
}

/** The live view: fed by a watch of Jobs and a look at the workers every second. */
class LiveTop {
  readonly #drover: Drover;
  readonly #options: TopOptions;
  readonly #state = new TopState();
  readonly #quit = new AbortController();
  readonly #screen: AlternateScreen;
  #scroll = 0;
  #drawing: NodeJS.Timeout | null = null;
  #answeredMs = performance.now();

  constructor(drover: Drover, options: TopOptions) {
    this.#drover = drover;
    this.#options = options;
    this.#screen = new AlternateScreen({
      onKey: (key) => this.#onKey(key),
      onResize: () => this.#draw(),
    });
  }

  async run(interrupted: AbortSignal): Promise<void> {
    const signal = AbortSignal.any([interrupted, this.#quit.signal]);
    this.#screen.open();
    const clock = setInterval(() => this.#checkAnswer(), LOOK_MS);
    try {
      const feeding = Promise.all([
        this.#again(signal, () => this.#watchJobs(signal)),
        this.#again(signal, () => this.#lookAtNodes(signal)),
      ]);
      // A Redis that does not answer must not keep the user waiting.
      await Promise.race([feeding, once(signal, 'abort')]);
    } finally {
      clearInterval(clock);
      if (this.#drawing !== null) clearTimeout(this.#drawing);
      this.#screen.close();
    }
  }

  /** Redis may go away for a while: the screen stays, says so, and goes on when it is back. */
  async #again(signal: AbortSignal, run: () => Promise<void>): Promise<void> {
    while (!signal.aborted) {
      try {
        await run();
      } catch (error) {
        if (signal.aborted) return;
        this.#state.problem = reportError(error).lines[0] ?? 'Redis is not reachable';
        this.#plan();
        await delay(LOOK_MS, undefined, { signal }).catch(() => undefined);
      }
    }
  }

  async #watchJobs(signal: AbortSignal): Promise<void> {
    const watch = this.#drover.jobs.watch({ ...scopeOf(this.#options), signal });
    for await (const { type, job } of watch) {
      if (type === 'DELETED') this.#state.removeJob(job.metadata.uid);
      else this.#state.setJob(job, Date.now());
      this.#plan();
    }
  }

  async #lookAtNodes(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await lookAtNodes(this.#drover, this.#state);
      this.#answeredMs = performance.now();
      this.#state.problem = null;
      this.#state.tick(Date.now());
      this.#plan();
      await delay(LOOK_MS, undefined, { signal }).catch(() => undefined);
    }
  }

  /** A connection that is lost is made anew for a long while before a call fails. */
  #checkAnswer(): void {
    const silentMs = performance.now() - this.#answeredMs;
    if (silentMs < SILENT_MS) return;
    this.#state.problem = `no answer from Redis for ${Math.round(silentMs / 1000)} s`;
    this.#plan();
  }

  #plan(): void {
    this.#drawing ??= setTimeout(() => this.#draw(), DRAW_MS);
  }

  #draw(): void {
    if (this.#drawing !== null) clearTimeout(this.#drawing);
    this.#drawing = null;
    const view = this.#state.view('recent', Date.now());
    const screen: Screen = {
      ...this.#screen.size,
      scroll: this.#scroll,
      colours: coloursFor(process.stdout),
      withNamespace: this.#options.namespace === undefined,
      hint: HINT,
    };
    this.#scroll = Math.min(this.#scroll, maxScroll(view, screen));
    this.#screen.draw(renderTop(view, { ...screen, scroll: this.#scroll }));
  }

  #onKey(key: Key): void {
    if (key === 'quit') {
      this.#quit.abort();
      return;
    }
    const page = Math.max(1, Math.floor(this.#screen.size.rows / 2));
    const steps = { up: -1, down: 1, pageUp: -page, pageDown: page, home: -Infinity } as const;
    this.#scroll = Math.max(0, this.#scroll + steps[key]);
    this.#draw();
  }
}
