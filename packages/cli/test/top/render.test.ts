import { describe, expect, test } from 'vitest';

import { coloursFor } from '../../src/text/colours.ts';
import { maxScroll, renderTop, type Screen } from '../../src/top/render.ts';
import type { JobRow, NodeRow, TopView } from '../../src/top/state.ts';

const job = (name: string, over: Partial<JobRow> = {}): JobRow => ({
  namespace: 'default',
  name,
  status: 'Running',
  completions: 10,
  succeeded: 4,
  running: 2,
  pending: 1,
  failed: 0,
  perSecond: 0.5,
  etaSeconds: 12,
  seconds: 90,
  ...over,
});
const node = (name: string): NodeRow => ({
  name,
  status: 'Ready',
  pool: 'default',
  runtimes: 'process',
  pods: 2,
  capacity: 4,
});
const view = (jobs: number, nodes: number): TopView => ({
  jobs: Array.from({ length: jobs }, (_, n) => job(`j${n}`)),
  nodes: Array.from({ length: nodes }, (_, n) => node(`n${n}`)),
  perSecond: 0.5,
  problem: null,
});
const screen: Screen = {
  columns: 100,
  rows: 20,
  scroll: 0,
  colours: coloursFor({ isTTY: false }),
  withNamespace: false,
  hint: '',
};

test('shows totals, workers and Jobs', () => {
  expect(renderTop(view(1, 1), screen)).toEqual([
    'Jobs: 1 of 1 not over   Pods: 2 running, 1 pending, 0.5/s ended   Workers: 1, 4 places',
    '',
    'WORKER   STATUS   PODS   POOL      RUNTIMES',
    'n0       Ready    2/4    default   process',
    '',
    'JOB   STATUS    DONE       RUN   PEND   FAILED   RATE    ETA    TIME',
    'j0    Running   4/10 40%   2     1      0        0.5/s   0:12   90s',
  ]);
});

describe('on a small screen', () => {
  test.each([
    [20, 5],
    [40, 8],
    [80, 24],
    [200, 3],
  ])('of %i columns and %i rows nothing is too long', (columns, rows) => {
    const lines = renderTop(view(50, 20), { ...screen, columns, rows, hint: 'q quits' });
    expect(lines.length).toBeLessThanOrEqual(rows);
    for (const line of lines) expect(line.length).toBeLessThanOrEqual(columns);
  });

  test('the rest is counted', () => {
    const lines = renderTop(view(50, 20), screen);
    expect(lines).toContain('  (16 more)');
    expect(lines.at(-1)).toBe('  (41 more)');
  });

  test('the title leaves out figures rather than cutting them', () => {
    const [title] = renderTop(view(1, 1), { ...screen, columns: 50 });
    expect(title).toBe('Jobs: 1 of 1 not over');
  });

  test('scrolling ends with the last Job at the bottom', () => {
    const all = view(50, 1);
    const scroll = maxScroll(all, screen);
    const lines = renderTop(all, { ...screen, scroll });
    expect(lines.at(-2)).toMatch(/^j49 /);
    expect(lines.at(-1)).toBe(`  (${scroll} above)`);
    expect(maxScroll(view(3, 1), screen)).toBe(0);
  });
});

test('says what is wrong instead of totals, and what is missing', () => {
  const [title] = renderTop({ ...view(0, 0), problem: 'Redis is gone' }, screen);
  expect(title).toBe('Redis is gone');
  expect(renderTop(view(0, 0), screen)).toEqual(
    expect.arrayContaining(['no workers: `drover worker` starts one', 'no jobs']),
  );
});
