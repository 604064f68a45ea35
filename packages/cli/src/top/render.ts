import { humanDuration } from '@drover/shared';

import type { Colours } from '../text/colours.ts';
import { formatClock } from '../text/duration.ts';
import { displayWidth, formatTable, truncate } from '../text/table.ts';
import type { JobRow, NodeRow, TopView } from './state.ts';

/** Where a view is drawn. */
export interface Screen {
  /** Columns and rows; rows are unbounded for a snapshot. */
  readonly columns: number;
  readonly rows: number;
  /** Jobs above the first one shown. */
  readonly scroll: number;
  readonly colours: Colours;
  /** A column with the namespace. */
  readonly withNamespace: boolean;
  /** What the keys do; empty in a snapshot. */
  readonly hint: string;
}

/** Workers take no more than this part of the rows. */
const WORKERS_SHARE = 1 / 3;
/** Lines that are there in any case: title, two headers, two blank lines. */
const FIXED_LINES = 5;

/** The lines of a view; no more than fit, none longer than the screen is wide. Pure. */
export function renderTop(view: TopView, screen: Screen): string[] {
  const workers = workersThatFit(view, screen);
  const jobs = fit(jobLines(view.jobs, screen), jobRoom(workers, screen), screen.scroll);
  const lines = [titleLine(view, screen), '', ...workers, '', ...jobs];
  return lines.slice(0, screen.rows).map((line) => truncate(line, screen.columns));
}

/** How many Jobs may be scrolled away at most: the last one stays at the bottom. */
export function maxScroll(view: TopView, screen: Screen): number {
  const room = jobRoom(workersThatFit(view, screen), screen);
  // Beside the header one line says how many are above.
  return view.jobs.length + 1 <= room ? 0 : Math.max(0, view.jobs.length - Math.max(1, room - 2));
}

function workersThatFit({ nodes }: TopView, { rows, colours }: Screen): string[] {
  const room = Math.max(1, Math.floor((rows - FIXED_LINES) * WORKERS_SHARE));
  return fit(workerLines(nodes, colours), room + 1, 0);
}

function jobRoom(workers: readonly string[], { rows }: Screen): number {
  return Math.max(3, rows - workers.length - 3);
}

function titleLine({ jobs, nodes, perSecond, problem }: TopView, screen: Screen): string {
  const { colours, hint, columns } = screen;
  const running = jobs.reduce((sum, job) => sum + job.running, 0);
  const pending = jobs.reduce((sum, job) => sum + job.pending, 0);
  const capacity = nodes.reduce((sum, node) => sum + node.capacity, 0);
  const unfinished = jobs.filter(({ status }) => status !== 'Complete' && status !== 'Failed');
  const parts = [
    `Jobs: ${unfinished.length} of ${jobs.length} not over`,
    `Pods: ${running} running, ${pending} pending, ${rateText(perSecond)} ended`,
    `Workers: ${nodes.length}, ${capacity} places`,
  ];
  // On a narrow screen the last parts go: half a figure would be wrong.
  while (parts.length > 1 && parts.join('   ').length > columns) parts.pop();
  const text = problem === null ? parts.join('   ') : colours.red(problem);
  const room = columns - displayWidth(text) - displayWidth(hint);
  return hint === '' || room < 3 ? text : `${text}${' '.repeat(room)}${colours.dim(hint)}`;
}

function workerLines(nodes: readonly NodeRow[], colours: Colours): string[] {
  if (nodes.length === 0) return ['no workers: `drover worker` starts one'];
  const header = ['worker', 'status', 'pods', 'pool', 'runtimes'];
  const rows = nodes.map(({ name, status, pods, capacity, pool, runtimes }) => [
    name,
    status === 'Ready' ? colours.green(status) : colours.red(status),
    `${pods}/${capacity}`,
    pool,
    runtimes,
  ]);
  return withBoldHeader(formatTable(header, rows), colours);
}

function jobLines(jobs: readonly JobRow[], { colours, withNamespace }: Screen): string[] {
  if (jobs.length === 0) return ['no jobs'];
  const header = ['job', 'status', 'done', 'run', 'pend', 'failed', 'rate', 'eta', 'time'];
  if (withNamespace) header.unshift('namespace');
  const rows = jobs.map((job) => {
    const cells = [
      job.name,
      statusCell(job.status, colours),
      doneText(job),
      String(job.running),
      String(job.pending),
      job.failed === 0 ? '0' : colours.red(String(job.failed)),
      job.perSecond === 0 ? '-' : rateText(job.perSecond),
      job.etaSeconds === null ? '-' : formatClock(job.etaSeconds * 1000),
      job.seconds === null ? '-' : humanDuration(job.seconds * 1000),
    ];
    if (withNamespace) cells.unshift(job.namespace);
    return cells;
  });
  return withBoldHeader(formatTable(header, rows), colours);
}

function doneText({ succeeded, completions }: JobRow): string {
  if (completions === null) return String(succeeded);
  const percent = completions === 0 ? 100 : Math.floor((succeeded / completions) * 100);
  return `${succeeded}/${completions} ${percent}%`;
}

function statusCell(status: string, colours: Colours): string {
  if (status === 'Failed' || status === 'FailureTarget') return colours.red(status);
  if (status === 'Complete') return colours.green(status);
  return status === 'Suspended' ? colours.yellow(status) : status;
}

function rateText(perSecond: number): string {
  return `${perSecond >= 10 ? perSecond.toFixed(0) : perSecond.toFixed(1)}/s`;
}

function withBoldHeader([header = '', ...rows]: readonly string[], colours: Colours): string[] {
  return [colours.bold(header), ...rows];
}

/** A header and as many of the rows as there is room for, with a line about the rest. */
function fit(lines: readonly string[], room: number, scroll: number): string[] {
  const [header = '', ...rows] = lines;
  if (lines.length <= room && scroll === 0) return [...lines];
  const shown = rows.slice(scroll, scroll + Math.max(1, room - 2));
  const below = rows.length - scroll - shown.length;
  const rest = [scroll > 0 ? `${scroll} above` : '', below > 0 ? `${below} more` : ''];
  return [header, ...shown, `  (${rest.filter((text) => text !== '').join(', ')})`];
}
