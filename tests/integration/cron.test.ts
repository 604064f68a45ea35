import { parseTime } from '@drover/shared';
import { expect, test } from 'vitest';

import { Engine } from './support/engine.ts';

/** CRON_MINUTES=3 waits for so many times of a schedule of minutes, instead of some seconds. */
const MINUTES = Number(process.env['CRON_MINUTES'] ?? 0);
const [SCHEDULE, TIMES, APART_MS] =
  MINUTES > 0 ? ['* * * * *', MINUTES, 60_000] : ['@every 1s', 8, 1_000];
const TIMEOUT_MS = (TIMES + 2) * APART_MS + 40_000;

test(
  'two controllers, one is killed: each time of a CronJob has one Job',
  async () => {
    await using engine = await Engine.forTest();
    const { drover } = engine;
    const [first] = await Promise.all([engine.controller(), engine.controller()]);
    const template = {
      spec: { restartPolicy: 'Never', containers: [{ name: 'main', command: ['true'] }] },
    };
    await drover.cronJobs.create({
      metadata: {
        name: 'tick',
        annotations: { 'drover.dev/cron-catch-up': 'all', 'drover.dev/cron-catch-up-limit': '100' },
      },
      // Jobs that do nothing, and stay.
      spec: { schedule: SCHEDULE, jobTemplate: { spec: { suspend: true, template } } },
    });
    const times = async (): Promise<number[]> =>
      (await drover.jobs.list())
        .map(
          ({ metadata }) =>
            metadata.annotations?.['batch.kubernetes.io/cronjob-scheduled-timestamp'],
        )
        .map((text) => parseTime(text) ?? Number.NaN)
        .toSorted((a, b) => a - b);
    const until = (count: number) =>
      expect
        .poll(async () => (await times()).length, { timeout: TIMEOUT_MS })
        .toBeGreaterThanOrEqual(count);

    await until(MINUTES > 0 ? 1 : 3);
    await first.kill('SIGKILL');
    await until(TIMES);
    const seen = await times();
    // None is missing, none came twice.
    expect(seen).toEqual(seen.map((_, i) => seen[0]! + i * APART_MS));
  },
  TIMEOUT_MS,
);
