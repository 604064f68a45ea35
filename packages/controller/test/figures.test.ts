import { JOB_CONDITION_REASONS } from '@drover/shared';
import { expect, test } from 'vitest';

import { ControllerFigures } from '../src/figures.ts';

test('each way in which a Job may end is told from the beginning, as 0: else nobody could tell that the first one is new', () => {
  const figures = new ControllerFigures();
  const ends = JOB_CONDITION_REASONS.filter((reason) => !/^Job(Suspended|Resumed)$/.test(reason));
  expect(figures.finished.map(({ reason, count }) => [reason, count])).toEqual(
    ends.map((reason) => [reason, 0]),
  );
  figures.noteFinished('Failed', 'DeadlineExceeded');
  expect(figures.finished.filter(({ count }) => count > 0)).toEqual([
    { condition: 'Failed', reason: 'DeadlineExceeded', count: 1 },
  ]);
});
