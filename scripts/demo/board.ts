import type { Job, Pod } from '@drover/sdk/client';

import { bar, style, type LiveLines } from './screen.ts';

const INDEX_LABEL = 'batch.kubernetes.io/job-completion-index';

/** What is known of one completion index. */
interface Cell {
  state: 'waiting' | 'running' | 'done' | 'lost';
  node: string;
}

/** The two Jobs of the demo as the screen shows them, fed by watches. */
export class Board {
  readonly #lines: LiveLines;
  readonly #total: number;
  readonly #cells: Cell[];
  #pi: Job | null = null;

  constructor(lines: LiveLines, total: number) {
    this.#lines = lines;
    this.#total = total;
    this.#cells = Array.from({ length: total }, () => ({ state: 'waiting', node: '' }));
  }

  /** The pi Job changed. */
  onPi(job: Job): void {
    this.#pi = job;
    this.draw();
  }

  /** A pod of the Indexed Job changed. */
  onPod(pod: Pod): void {
    const cell = this.#cells[indexOf(pod)];
    // What succeeded stays so, whatever becomes of another pod of the index.
    if (cell === undefined || cell.state === 'done') return;
    const node = pod.spec.nodeName ?? '';
    if (pod.status.phase === 'Running') Object.assign(cell, { state: 'running', node });
    if (pod.status.phase === 'Succeeded') Object.assign(cell, { state: 'done', node });
    if (pod.status.phase === 'Failed') Object.assign(cell, { state: 'waiting', node: '' });
    this.draw();
  }

  /** The worker is gone: what it ran is lost until it runs again. Answers which indexes. */
  onKilled(node: string): number[] {
    const lost: number[] = [];
    this.#cells.forEach((cell, index) => {
      if (cell.state !== 'running' || cell.node !== node) return;
      cell.state = 'lost';
      lost.push(index);
    });
    this.draw();
    return lost;
  }

  /** How many indexes are done. */
  get done(): number {
    return this.#cells.filter(({ state }) => state === 'done').length;
  }

  /** The worker that runs most pods now, and how many. */
  busiest(): { node: string; running: number } {
    const counts = new Map<string, number>();
    for (const { state, node } of this.#cells) {
      if (state === 'running') counts.set(node, (counts.get(node) ?? 0) + 1);
    }
    const [first] = [...counts].toSorted(([, a], [, b]) => b - a);
    return { node: first?.[0] ?? '', running: first?.[1] ?? 0 };
  }

  /** Draws the present state. */
  draw(): void {
    const piDone = this.#pi?.status.succeeded ?? 0;
    const running = this.#cells.filter(({ state }) => state === 'running').length;
    const marks = { waiting: style('dim', '·'), running: '▶', done: '✓', lost: style('red', '✗') };
    const cells = this.#cells.map(({ state }) => marks[state]).join(' ');
    this.#lines.draw(
      [
        `  pi          ${bar(piDone, 1)}  ${piDone}/1   ${piDone === 1 ? 'done' : 'running'}`,
        `  mandelbrot  ${bar(this.done, this.#total)} ${String(this.done).padStart(2)}/${this.#total}  ${running} running   ${cells}`,
      ],
      `pi ${piDone}/1   mandelbrot ${this.done}/${this.#total}, ${running} running`,
    );
  }
}

/** The completion index of a pod. */
export function indexOf(pod: Pod): number {
  return Number(pod.metadata.labels?.[INDEX_LABEL]);
}
