import { describe, expect, test } from 'vitest';

import { readCronPolicy, strayCronAnnotationIssues } from '../../src/cron/annotations.ts';
import { formatIssue } from '../../src/issues.ts';
import { parseJob } from '../../src/job.ts';

const PREFIX = 'drover.dev/cron-';

/** What annotations say, their names given without the prefix; or what is wrong with them. */
function read(annotations: Record<string, string>): unknown {
  const named = Object.entries(annotations).map(([name, value]) => [`${PREFIX}${name}`, value]);
  const reading = readCronPolicy(Object.fromEntries(named));
  return reading.ok ? reading.policy : reading.issues.map(formatIssue);
}

describe('the annotations of a CronJob', () => {
  test('are not needed: it is then as in Kubernetes', () => {
    expect(readCronPolicy({ 'example.com/cron-x': 'of others' })).toEqual({
      ok: true,
      policy: {
        repeatedHour: 'twice',
        skippedHour: 'skip',
        jitterSeconds: 0,
        catchUp: 'latest',
        catchUpLimit: 1,
        excludedDates: [],
      },
    });
  });

  test('say what it does otherwise', () => {
    expect(
      read({
        'repeated-hour': 'once',
        'skipped-hour': 'once',
        'jitter-seconds': '86400',
        'catch-up': 'all',
        'catch-up-limit': '1000',
        'exclude-dates': '2026-12-24..2026-12-26',
      }),
    ).toEqual({
      repeatedHour: 'once',
      skippedHour: 'once',
      jitterSeconds: 86_400,
      catchUp: 'all',
      catchUpLimit: 1000,
      excludedDates: [{ from: '2026-12-24', to: '2026-12-26' }],
    });
    expect(read({ 'catch-up': 'none' })).toMatchObject({ catchUpLimit: 0 });
    expect(read({ 'catch-up': 'all' })).toMatchObject({ catchUpLimit: 100 });
  });

  test('name dates in any order, overlapping or not', () => {
    expect(
      read({ 'exclude-dates': '2027-05-01, 2026-01-05..2026-01-09,2026-01-01..2026-01-06' }),
    ).toMatchObject({
      excludedDates: [
        { from: '2026-01-01', to: '2026-01-09' },
        { from: '2027-05-01', to: '2027-05-01' },
      ],
    });
  });

  test('are refused with all that is wrong, where, and what would be right', () => {
    const path = `metadata.annotations[${PREFIX}`;
    expect(
      read({
        jitter: '5',
        'repeated-hour': 'Once',
        'skipped-hour': '',
        'jitter-seconds': '86401',
        'catch-up': 'latest',
        'catch-up-limit': '0',
        'exclude-dates': '2026-02-29,24.12.2026,2026-01-02..2026-01-01,',
      }),
    ).toEqual([
      expect.stringMatching(
        /^metadata\.annotations: Unsupported value: "drover\.dev\/cron-jitter": supported values: .*jitter-seconds/,
      ),
      `${path}repeated-hour]: Unsupported value: "Once": supported values: "twice", "once"`,
      `${path}skipped-hour]: Unsupported value: "": supported values: "skip", "once"`,
      `${path}jitter-seconds]: Invalid value: "86401": must be a whole number from 0 to 86400`,
      `${path}catch-up-limit]: Invalid value: "0": must be a whole number from 1 to 1000`,
      `${path}catch-up]: Required value: must be "all" when ${PREFIX}catch-up-limit is set`,
      ...[
        'item 1, "2026-02-29": there is no 2026-02-29 in the calendar',
        'item 2, "24.12.2026": must be a date such as 2026-12-24, or two with .. between',
        'item 3, "2026-01-02..2026-01-01": the first date must not be after the last',
        'item 4, "": must be a date such as 2026-12-24, or two with .. between',
      ].map(
        (detail) =>
          `${path}exclude-dates]: Invalid value: "2026-02-29,24.12.2026,2026-01-02..2026-01-01,": ${detail}`,
      ),
    ]);
  });

  test('are refused where nobody would act on them: on a Job and on its pod template', () => {
    const annotations = { [`${PREFIX}jitter-seconds`]: '5' };
    const job = {
      apiVersion: 'batch/v1',
      kind: 'Job',
      metadata: { name: 'one', annotations },
      spec: {
        template: {
          metadata: { annotations },
          spec: { restartPolicy: 'Never', containers: [{ name: 'main', command: ['true'] }] },
        },
      },
    };
    const detail = 'Forbidden: belongs into metadata.annotations of a CronJob';
    const key = `annotations[${PREFIX}jitter-seconds]`;
    expect(() => parseJob(job)).toThrow(
      `[metadata.${key}: ${detail}, spec.template.metadata.${key}: ${detail}]`,
    );
    expect(strayCronAnnotationIssues({ 'drover.dev/client': 'true' }, 'x')).toEqual([]);
  });
});
