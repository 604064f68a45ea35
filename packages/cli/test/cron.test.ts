import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { CRON_JOB_KIND, parseObject, type Job } from '@drover/shared';
import { Store } from '@drover/store';
import { startRedis, type TestRedis } from '@drover/testkit';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { parseManifests } from '../src/manifests.ts';
import { Home, type Ended } from './drover.ts';

const ROOT = fileURLToPath(new URL('../../..', import.meta.url));
let home: Home;
let redis: TestRedis;

beforeAll(async () => {
  home = await Home.make();
  redis = await startRedis();
});

afterAll(async () => {
  await redis.stop();
  await home.remove();
});

/** Runs a command on the engine; without a controller CronJobs are kept and nothing starts. */
async function drover(args: readonly string[], input = ''): Promise<Ended> {
  return await home.drover(args, { input, env: { DROVER_REDIS_URL: redis.url } });
}

/** The lines of a command that must not fail, and that needs no engine. */
async function preview(...args: string[]): Promise<string[]> {
  const ended = await home.drover(['cron', 'preview', ...args]);
  expect(ended).toMatchObject({ code: 0, stderr: '' });
  return ended.stdout.trimEnd().split('\n');
}

function cronJob(name: string, spec: object = {}, annotations: object = {}): string {
  const containers = [{ name: 'main', command: ['true'] }];
  const jobTemplate = { spec: { template: { spec: { restartPolicy: 'Never', containers } } } };
  return JSON.stringify({
    apiVersion: 'batch/v1',
    kind: 'CronJob',
    metadata: { name, annotations },
    spec: { schedule: '30 2 * * *', timeZone: 'Europe/Berlin', jobTemplate, ...spec },
  });
}

describe('preview of a schedule needs no engine and', () => {
  const berlin = ['30 2 * * *', '--time-zone', 'Europe/Berlin', '-n', '2', '--from'];

  test('says what happens when the clock is set forward', async () => {
    expect(await preview(...berlin, '2026-03-28')).toEqual([
      'LOCAL TIME                      UTC                    NOTE',
      'Sat 2026-03-28 02:30:00+01:00   2026-03-28T01:30:00Z',
      '-                               2026-03-29T01:00:00Z   no Job: the clock goes from 02:00 to 03:00, times in between do not come',
      'Mon 2026-03-30 02:30:00+02:00   2026-03-30T00:30:00Z',
    ]);
  });

  test('says what happens when the clock is set back', async () => {
    expect(await preview(...berlin, '2026-10-24T12:00:00+02:00')).toEqual([
      'LOCAL TIME                      UTC                    NOTE',
      'Sun 2026-10-25 02:30:00+02:00   2026-10-25T00:30:00Z   the first of two: the clock is set back after it',
      'Sun 2026-10-25 02:30:00+01:00   2026-10-25T01:30:00Z   the second of two: the clock was set back',
    ]);
  });

  test('is in UTC when no zone is named, and JSON when that is wanted', async () => {
    const lines = await preview('@hourly', '--from', '2026-01-01T00:30:00Z', '-n', '1', '--json');
    expect(JSON.parse(lines.join(''))).toEqual({
      schedule: '@hourly',
      timeZone: 'UTC',
      jitterSeconds: 0,
      times: [
        {
          fires: true,
          time: '2026-01-01T01:00:00Z',
          localTime: '2026-01-01T01:00:00+00:00',
          startTime: '2026-01-01T01:00:00Z',
          reason: null,
          note: '',
        },
      ],
    });
  });

  test.each([
    {
      args: ['0 25 * foo *'],
      code: 2,
      stderr: [
        'error: this is no schedule:',
        '  0 25 * foo *',
        '    ^ hour: end of range (25) above maximum (23): 25',
        '         ^ month: failed to parse int from foo: strconv.Atoi: parsing "foo": invalid syntax',
      ],
    },
    {
      args: ['@daily', '--time-zone', 'berlin'],
      code: 2,
      stderr: ['error: unknown time zone "berlin": did you mean Europe/Berlin?'],
    },
    {
      args: ['@daily', '--time-zone', '+01:00'],
      code: 2,
      stderr: ['error: unknown time zone "+01:00": a name such as Europe/Berlin is expected'],
    },
    {
      args: ['@daily', '--from', 'noon'],
      code: 2,
      stderr: [
        'error: --from noon: a time such as 2026-03-29T01:00:00Z, or a date (from midnight UTC), is expected',
      ],
    },
    {
      args: ['0 0 31 2 *'],
      code: 1,
      stderr: ['It is never due: not within five years.'],
    },
  ])('of $args is refused', async ({ args, code, stderr }) => {
    const ended = await home.drover(['cron', 'preview', ...args]);
    expect([ended.code, ended.stderr.trimEnd().split('\n')]).toEqual([code, stderr]);
  });
});

describe('a CronJob', () => {
  test('is applied, listed, described, previewed, suspended, resumed and deleted', async () => {
    const annotations = {
      'drover.dev/cron-skipped-hour': 'once',
      'drover.dev/cron-repeated-hour': 'once',
      'drover.dev/cron-jitter-seconds': '600',
      'drover.dev/cron-exclude-dates': '2026-03-31',
    };
    const applied = await drover(['apply', '-f', '-'], cronJob('nightly', {}, annotations));
    expect(applied).toEqual({ code: 0, stdout: 'cronjob.batch/nightly created\n', stderr: '' });

    const listed = await drover(['get', 'cj']);
    expect(listed.stdout.split('\n')).toEqual([
      'NAME      SCHEDULE     TIMEZONE        SUSPEND   ACTIVE   LAST SCHEDULE   AGE',
      expect.stringMatching(
        /^nightly {3}30 2 \* \* \* {3}Europe\/Berlin {3}False {5}0 {8}<none> {10}\ds$/,
      ),
      '',
    ]);

    const described = await drover(['describe', 'cronjob/nightly']);
    expect(described.stdout).toMatch(/^Schedule: +30 2 \* \* \*\nTime Zone: +Europe\/Berlin$/m);
    expect(described.stdout).toMatch(/^Last Schedule Time: +<unset>$/m);
    expect(described.stdout).toMatch(/^Next Schedule Time: +\w+, \d\d \w+ \d{4} /m);

    const from = ['--from', '2026-03-28T12:00:00Z', '-n', '2', '--json'];
    const previewed = await drover(['cron', 'preview', 'nightly', ...from]);
    const { jitterSeconds, times } = JSON.parse(previewed.stdout) as {
      jitterSeconds: number;
      times: { time: string; reason: string | null; startTime: string | null }[];
    };
    expect(times.map(({ time, reason }) => [time, reason])).toEqual([
      ['2026-03-29T01:00:00Z', 'skipped'],
      ['2026-03-30T00:30:00Z', null],
    ]);
    expect(Date.parse(times[0]?.startTime ?? '')).toBe(
      Date.parse('2026-03-29T01:00:00Z') + jitterSeconds * 1000,
    );
    expect(jitterSeconds).toBeGreaterThan(0);

    expect((await drover(['suspend', 'cronjob/nightly'])).stdout).toBe(
      'cronjob.batch/nightly suspended\n',
    );
    const suspended = await drover(['cron', 'preview', 'nightly', '-n', '1']);
    expect(suspended.stderr).toBe('It is suspended: until it is resumed nothing starts.\n');
    expect((await drover(['resume', 'cj/nightly'])).stdout).toBe('cronjob.batch/nightly resumed\n');

    expect((await drover(['delete', 'cronjob', 'nightly'])).stdout).toBe(
      'cronjob.batch "nightly" deleted\n',
    );
    expect((await drover(['get', 'cronjob/nightly'])).stderr).toBe(
      'error: cronjobs.batch "nightly" in namespace "default" not found\n',
    );
  });

  test('is run now by trigger, also when it is suspended', async () => {
    const suspended = await readFile(join(ROOT, 'examples/cron.yaml'), 'utf8');
    await drover(['apply', '-f', '-'], suspended.replace('spec:\n', 'spec:\n  suspend: true\n'));
    const triggered = await drover(['cron', 'trigger', 'backup', '--job-name', 'by-hand']);
    expect(triggered).toEqual({ code: 0, stdout: 'job.batch/by-hand created\n', stderr: '' });
    const { stdout } = await drover(['get', 'job/by-hand', '-o', 'json']);
    const { metadata } = JSON.parse(stdout) as Job;
    expect(metadata.ownerReferences).toMatchObject([{ kind: 'CronJob', name: 'backup' }]);
    expect(metadata.annotations).toEqual({ 'cronjob.kubernetes.io/instantiate': 'manual' });
    const name = await drover(['cron', 'trigger', 'backup', '-o', 'name']);
    expect(name.stdout).toMatch(/^job\.batch\/backup-manual-\w{5}\n$/);
    expect((await drover(['cron', 'trigger', 'other'])).stderr).toBe(
      'error: cronjobs.batch "other" in namespace "default" not found\n',
    );
  });

  test('gets Jobs for past times that had none, each once, and tells them', async () => {
    await drover(['apply', '-f', '-'], cronJob('late'));
    const store = await Store.open({ redis: redis.connect(), prefix: 'drover' });
    const { cronJobs } = store.shardOf('default');
    const observed = await cronJobs.observe('default', 'late');
    // What a controller notes.
    const notes = [
      { type: 'skipped', slotMs: Date.parse('2026-03-25T01:30:00Z'), reason: 'suspended' },
      { type: 'skipped', slotMs: Date.parse('2026-03-26T01:30:00Z'), reason: 'forbidden' },
    ] as const;
    const { uid = '', resourceVersion = 0 } = observed?.stored ?? {};
    const about = { namespace: 'default', name: 'late', uid, runs: 0 };
    const nothing = { object: null, checkedMs: null, suspendedMs: null, jobs: [] };
    await cronJobs.run({ ...about, expectedResourceVersion: resourceVersion, ...nothing, notes });

    const range = ['--from', '2026-03-26', '--to', '2026-03-30T12:00:00Z'];
    const backfill = ['cron', 'backfill', 'late', ...range];
    // On the 29th there is no half past two.
    const jobs = ['26', '27', '28', '30'].map((day) => {
      const time = `2026-03-${day}T0${day === '30' ? 0 : 1}:30:00Z`;
      return { time, job: `late-${Date.parse(time) / 60_000}` };
    });
    const lines = (result: string) => [
      'UTC                    JOB             RESULT',
      ...jobs.map(({ time, job }) => `${time}   ${job}   ${result}`),
    ];
    expect((await drover([...backfill, '--dry-run'])).stdout.trimEnd().split('\n')).toEqual(
      lines('would be created (dry run)'),
    );
    expect((await drover(['get', 'jobs', '-o', 'name'])).stdout).not.toContain('late');
    expect((await drover(backfill)).stdout.trimEnd().split('\n')).toEqual(lines('created'));
    const again = JSON.parse((await drover([...backfill, '--json'])).stdout) as object[];
    expect(again).toEqual(jobs.map((job) => ({ ...job, outcome: 'ran' })));

    const job = await drover(['get', `job/${jobs[0]?.job}`, '-o', 'json']);
    expect((JSON.parse(job.stdout) as Job).metadata).toMatchObject({
      ownerReferences: [{ kind: 'CronJob', name: 'late', uid, controller: true }],
      annotations: {
        'batch.kubernetes.io/cronjob-scheduled-timestamp': '2026-03-26T02:30:00+01:00',
      },
    });
    await drover(['delete', `job/${jobs[1]?.job}`]);
    const history = await drover(['cron', 'history', 'late']);
    expect(history.stdout.trimEnd().split('\n')).toEqual([
      expect.stringMatching(/^LOCAL TIME +UTC +RESULT +JOB +STATUS +NOTE$/),
      expect.stringMatching(
        /^2026-03-25 02:30:00\+01:00 +2026-03-25T01:30:00Z +skipped +- +- +it was suspended$/,
      ),
      expect.stringMatching(/^2026-03-26 .* backfilled +late-\d+ +Running +\d+d after its time$/),
      expect.stringMatching(/^2026-03-27 .* backfilled +late-\d+ +removed /),
      expect.stringMatching(/^2026-03-28 /),
      expect.stringMatching(/^2026-03-30 02:30:00\+02:00 /),
    ]);
    const limited = await drover(['cron', 'history', 'late', '--limit', '1', '--json']);
    expect(JSON.parse(limited.stdout)).toMatchObject([
      { result: 'backfilled', job: jobs[3]?.job, reason: null },
    ]);
  });

  test.each([
    [['--from', '2026-03-02', '--to', '2026-03-01'], /from: .*must not be after `to`/],
    [['--from', '2026-03-02', '--to', '2999-03-01'], /to: .*must not be in the future/],
    [['--from', '1990-01-01', '--to', '2026-03-01'], /to: .*at most 1000 times/],
    [['--from', 'x', '--to', '2026-03-01'], /--from x: a time such as/],
  ])('is not backfilled for %j', async (range, problem) => {
    await drover(['apply', '-f', '-'], cronJob('kept'));
    const { code, stderr } = await drover(['cron', 'backfill', 'kept', ...range]);
    expect([code, stderr]).toEqual([2, expect.stringMatching(problem)]);
  });

  test('is refused with all that is wrong and where', async () => {
    const bad = cronJob(
      'bad',
      { schedule: '61 * * * *', timeZone: 'Mars/Olympus' },
      {
        'drover.dev/cron-jitter': '5',
      },
    );
    const { code, stderr } = await drover(['apply', '-f', '-'], bad);
    expect(code).toBe(2);
    expect(stderr).toContain(
      'spec.schedule: Invalid value: "61 * * * *": end of range (61) above maximum (59): 61 (minute, at character 1)',
    );
    expect(stderr).toContain('spec.timeZone: Invalid value: "Mars/Olympus": unknown time zone');
    expect(stderr).toContain('metadata.annotations: Unsupported value: "drover.dev/cron-jitter"');
  });
});

test('docs/cron.md shows what commands print, and manifests that are valid', async () => {
  const text = await readFile(join(ROOT, 'docs/cron.md'), 'utf8');
  const blocks = (kind: string) =>
    [...text.matchAll(new RegExp(`\`\`\`${kind}\\n([^]*?)\`\`\``, 'g'))].map(
      ([, body = '']) => body,
    );
  expect(blocks('console').length).toBeGreaterThan(3);
  for (const block of blocks('console')) {
    const [command = '', ...printed] = block.trimEnd().split('\n');
    // Words, or texts in quotes.
    const words = [...command.matchAll(/'([^']*)'|(\S+)/g)].map(
      ([, quoted, word]) => quoted ?? word,
    );
    const [prompt, program, ...args] = words as string[];
    expect([prompt, program]).toEqual(['$', 'drover']);
    const { stdout, stderr } = await home.drover(args);
    expect((stdout + stderr).trimEnd().split('\n'), command).toEqual(printed);
  }
  for (const manifest of [
    ...blocks('yaml'),
    await readFile(join(ROOT, 'examples/cron.yaml'), 'utf8'),
  ]) {
    const { manifests } = parseManifests('doc', manifest);
    for (const { object } of manifests) parseObject(CRON_JOB_KIND, object, 'default');
    expect(manifests).toHaveLength(1);
  }
});
