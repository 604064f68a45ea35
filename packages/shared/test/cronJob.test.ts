import { describe, expect, test } from 'vitest';

import {
  CRON_JOB_FIELD_RULES,
  CRON_JOB_KIND,
  cronCalendarOf,
  CronJob,
  formatIssue,
  InvalidSpecError,
  parseObject,
  parseObjectUpdate,
  readObject,
} from '../src/index.ts';
import { manifest } from './manifests.ts';
import { schemaPaths } from './support/schemaPaths.ts';

const jobTemplate = { spec: (manifest() as { spec: object }).spec };

function cronJob(spec: object = {}, metadata: object = {}): object {
  return {
    apiVersion: 'batch/v1',
    kind: 'CronJob',
    metadata: { name: 'report', ...metadata },
    spec: { schedule: '*/5 * * * *', jobTemplate, ...spec },
  };
}

function problemsOf(input: unknown): string[] {
  try {
    parseObject(CRON_JOB_KIND, input);
    return [];
  } catch (error) {
    if (!(error instanceof InvalidSpecError)) throw error;
    return error.issues.map(formatIssue);
  }
}

test('defaults are those of Kubernetes; those of the Jobs are left to their creation', () => {
  const parsed = parseObject(CRON_JOB_KIND, cronJob());
  expect(parsed.spec).toMatchObject({
    concurrencyPolicy: 'Allow',
    suspend: false,
    successfulJobsHistoryLimit: 3,
    failedJobsHistoryLimit: 1,
  });
  expect(parsed.spec.jobTemplate.spec).not.toHaveProperty('parallelism');
  expect(parsed).toMatchObject({ metadata: { generation: 1 }, status: {} });
  // What was read from the store is what was written to it.
  expect(readObject(CRON_JOB_KIND, JSON.parse(JSON.stringify(parsed)))).toEqual(parsed);
});

describe('what is refused, in the words of Kubernetes', () => {
  const long = 'a'.repeat(53);
  const cases: [string, object, string[]][] = [
    [
      'a name of 53 characters',
      cronJob({}, { name: long }),
      [`metadata.name: Invalid value: "${long}": must be no more than 52 characters`],
    ],
    ['no schedule', cronJob({ schedule: '' }), ['spec.schedule: Required value']],
    [
      'a schedule that can not be read, with where',
      cronJob({ schedule: '0 24 * * *' }),
      [
        'spec.schedule: Invalid value: "0 24 * * *": end of range (24) above maximum (23): 24 (hour, at character 3)',
      ],
    ],
    [
      'each part of it that can not be read',
      cronJob({ schedule: '60 * * * 7' }),
      [
        'spec.schedule: Invalid value: "60 * * * 7": end of range (60) above maximum (59): 60 (minute, at character 1)',
        'spec.schedule: Invalid value: "60 * * * 7": end of range (7) above maximum (6): 7 (day of week, at character 10)',
      ],
    ],
    [
      'a zone in the schedule',
      cronJob({ schedule: 'TZ=UTC 0 0 * * *' }),
      [
        'spec.schedule: Invalid value: "TZ=UTC 0 0 * * *": cannot use TZ or CRON_TZ in schedule, use timeZone field instead',
      ],
    ],
    [
      'an annotation of the calendar that can not be',
      cronJob({}, { annotations: { 'drover.dev/cron-catch-up': 'some' } }),
      [
        'metadata.annotations[drover.dev/cron-catch-up]: Unsupported value: "some": supported values: "latest", "none", "all"',
      ],
    ],
    [
      'an empty zone',
      cronJob({ timeZone: '' }),
      ['spec.timeZone: Invalid value: "": timeZone must be nil or non-empty string'],
    ],
    [
      'the zone of the machine',
      cronJob({ timeZone: 'local' }),
      [
        'spec.timeZone: Invalid value: "local": timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones',
      ],
    ],
    ...['Europe/Nowhere', '../etc/passwd', '+01:00', 'America//New_York'].map(
      (zone): [string, object, string[]] => [
        `the zone ${zone}`,
        cronJob({ timeZone: zone }),
        [`spec.timeZone: Invalid value: "${zone}": unknown time zone ${zone}`],
      ],
    ),
    [
      'negative numbers',
      cronJob({
        startingDeadlineSeconds: -1,
        successfulJobsHistoryLimit: -1,
        failedJobsHistoryLimit: -1,
      }),
      ['startingDeadlineSeconds', 'successfulJobsHistoryLimit', 'failedJobsHistoryLimit'].map(
        (field) => `spec.${field}: Invalid value: -1: must be greater than or equal to 0`,
      ),
    ],
    [
      'another concurrencyPolicy',
      cronJob({ concurrencyPolicy: 'Queue' }),
      [
        'spec.concurrencyPolicy: Unsupported value: "Queue": supported values: "Allow", "Forbid", "Replace"',
      ],
    ],
    [
      'an empty concurrencyPolicy',
      cronJob({ concurrencyPolicy: '' }),
      ['spec.concurrencyPolicy: Required value: valid values: "Allow", "Forbid", "Replace"'],
    ],
    [
      'a selector of the Jobs',
      cronJob({
        jobTemplate: {
          spec: {
            ...jobTemplate.spec,
            selector: { matchLabels: { a: 'b' } },
            manualSelector: true,
          },
        },
      }),
      [
        'spec.jobTemplate.spec.selector: Invalid value: {"matchLabels":{"a":"b"}}: `selector` will be auto-generated',
        'spec.jobTemplate.spec.manualSelector: Unsupported value: true: supported values: "nil", "false"',
      ],
    ],
    [
      'what is wrong with the Jobs, with its path',
      cronJob({
        jobTemplate: { spec: { ...jobTemplate.spec, parallelism: -1, backoffLimit: 'x' } },
      }),
      [
        'spec.jobTemplate.spec.backoffLimit: Invalid value: "x": must be an integer',
        'spec.jobTemplate.spec.parallelism: Invalid value: -1: must be greater than or equal to 0',
      ],
    ],
    [
      'a field of the Jobs that can not be honoured',
      cronJob({
        jobTemplate: {
          spec: (manifest({ pod: { ephemeralContainers: [{ name: 'a' }] } }) as { spec: object })
            .spec,
        },
      }),
      [expect.stringContaining('spec.jobTemplate.spec.template.spec.ephemeralContainers')],
    ],
    [
      'misspelt fields, with what may have been meant',
      cronJob({
        shedule: 'x',
        restartPolicy: 'Never',
        jobTemplate: { spec: { ...jobTemplate.spec, paralelism: 2 } },
      }),
      [
        'spec.jobTemplate.spec.paralelism: Unknown field: did you mean "spec.jobTemplate.spec.parallelism"?',
        'spec.shedule: Unknown field: did you mean "spec.schedule"?',
        'spec.restartPolicy: Unknown field: did you mean "spec.jobTemplate.spec.template.spec.restartPolicy"?',
      ],
    ],
    [
      'an Indexed Job whose last pod would have too long a hostname',
      cronJob(
        {
          jobTemplate: {
            spec: { ...jobTemplate.spec, completionMode: 'Indexed', completions: 1000 },
          },
        },
        { name: 'a'.repeat(52) },
      ),
      [expect.stringMatching(/^metadata.name: Invalid value: "a{52}": .*DNS label/)],
    ],
    [
      'the beginning of a name that would be too long',
      cronJob({ schedule: '@every 1s' }, { name: '', generateName: 'a'.repeat(48) }),
      [
        `metadata.generateName: Invalid value: "${'a'.repeat(48)}": must be no more than 52 characters with the 5 that are added`,
      ],
    ],
  ];
  test.each(cases)('%s', (_name, input, problems) => {
    expect(problemsOf(input)).toEqual(problems);
  });
});

test('the longest name with every second is valid', () => {
  expect(problemsOf(cronJob({ schedule: '@every 1s' }, { name: 'a'.repeat(52) }))).toEqual([]);
});

test('the error names the kind with its group', () => {
  expect(() => parseObject(CRON_JOB_KIND, cronJob({ schedule: '' }))).toThrow(
    'CronJob.batch "report" is invalid: spec.schedule: Required value',
  );
});

test('fields without effect are warned of, when they change', () => {
  const spec = (manifest({ pod: { schedulerName: 'mine' } }) as { spec: object }).spec;
  const parsed = parseObject(
    CRON_JOB_KIND,
    cronJob({ jobTemplate: { metadata: { name: 'ignored' }, spec } }, { name: 'a.b' }),
  );
  expect(CRON_JOB_KIND.warnings?.(parsed, null)).toEqual([
    'spec.jobTemplate.spec.template.spec.schedulerName: no effect: workers take pods themselves',
    'spec.jobTemplate.metadata.name: no effect: Jobs get their labels and annotations alone',
    expect.stringContaining('metadata.name: this is used in Pod names'),
  ]);
  expect(CRON_JOB_KIND.warnings?.(parsed, parsed)).toEqual([]);
  const without = parseObject(CRON_JOB_KIND, cronJob({}, { name: 'a.b' }));
  expect(CRON_JOB_KIND.warnings?.(parsed, without)).toContain(
    'spec.jobTemplate.metadata.name: no effect: Jobs get their labels and annotations alone',
  );
});

test('of the metadata of its template there is what its user wrote, and no more', () => {
  const metadata = { labels: { app: 'report' } };
  const { jobTemplate: shown } = parseObject(
    CRON_JOB_KIND,
    cronJob({ jobTemplate: { metadata, ...jobTemplate } }),
  ).spec;
  expect(shown.metadata).toEqual(metadata);
});

describe('an update', () => {
  const stored = {
    ...parseObject(CRON_JOB_KIND, cronJob()),
    status: { lastScheduleTime: '2026-01-01T00:00:00Z' },
  };

  test('keeps the status, and counts changes of the spec', () => {
    const update = (change: object) =>
      parseObjectUpdate(CRON_JOB_KIND, stored, { ...stored, status: {}, ...change });
    expect(update({}).metadata.generation).toBe(1);
    expect(update({ metadata: { ...stored.metadata, labels: { a: 'b' } } })).toMatchObject({
      metadata: { generation: 1 },
      status: stored.status,
    });
    expect(update({ spec: { ...stored.spec, suspend: true } }).metadata.generation).toBe(2);
  });

  test('may change everything, as long as it is valid', () => {
    const spec = { ...stored.spec, schedule: '@every 2s', timeZone: 'Asia/Tokyo' };
    expect(parseObjectUpdate(CRON_JOB_KIND, stored, { ...stored, spec }).spec).toEqual(spec);
    expect(() =>
      parseObjectUpdate(CRON_JOB_KIND, stored, {
        ...stored,
        spec: { ...spec, schedule: '@reboot' },
      }),
    ).toThrow('unrecognized descriptor: @reboot');
  });
});

test('each field of a CronJob has a row', () => {
  const own = schemaPaths(CronJob).filter((path) => /^spec\.\w+$/.test(path));
  expect(CRON_JOB_FIELD_RULES.map(({ path }) => path).toSorted()).toEqual(own.toSorted());
});

test('its calendar has the schedule, zone and annotations, and counts from its last time', () => {
  const annotations = { 'drover.dev/cron-jitter-seconds': '60' };
  const made = parseObject(CRON_JOB_KIND, cronJob({ schedule: '@every 90s' }, { annotations }));
  const created = { ...made.metadata, creationTimestamp: '2026-01-01T00:00:00Z' };
  expect(cronCalendarOf({ ...made, metadata: created })).toMatchObject({
    ok: true,
    calendar: {
      namespace: 'default',
      name: 'report',
      schedule: { type: 'every', everyMs: 90_000 },
      timeZone: 'UTC',
      policy: { jitterSeconds: 60 },
      everyFromMs: Date.UTC(2026, 0, 1),
    },
  });
  const status = { lastScheduleTime: '2026-02-01T00:00:00Z' };
  expect(cronCalendarOf({ ...made, metadata: created, status })).toMatchObject({
    calendar: { everyFromMs: Date.UTC(2026, 1, 1) },
  });
  const spec = { ...made.spec, timeZone: 'Mars/Olympus' };
  expect(cronCalendarOf({ ...made, spec })).toEqual({
    ok: false,
    wrong: 'timeZone',
    why: 'unknown time zone Mars/Olympus',
  });
});
