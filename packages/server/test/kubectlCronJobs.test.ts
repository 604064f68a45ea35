import { afterAll, beforeAll, expect, test } from 'vitest';

import { ServerBed } from './bed.ts';

let bed: ServerBed;
beforeAll(async () => {
  bed = await ServerBed.start();
}, 60_000);
afterAll(async () => await bed.stop());

/** What kubectl says when all goes well. */
async function kubectl(...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await bed.kubectl(args);
  expect(code, stderr).toBe(0);
  return stdout;
}

/** Due once in four years: its times are not what these tests are about. */
function cronJob(name: string, spec: object = {}) {
  const containers = [{ name: 'main', command: ['echo', 'hello'] }];
  return {
    apiVersion: 'batch/v1',
    kind: 'CronJob',
    metadata: { name },
    spec: {
      schedule: '0 0 29 2 *',
      timeZone: 'Europe/Berlin',
      ...spec,
      jobTemplate: { spec: { template: { spec: { restartPolicy: 'Never', containers } } } },
    },
  };
}

test('a CronJob is applied, shown in every form, changed and deleted', async () => {
  const file = await bed.write('leap.json', cronJob('leap'));
  expect(await kubectl('apply', '-f', file)).toBe('cronjob.batch/leap created\n');
  expect(await kubectl('apply', '-f', file)).toBe('cronjob.batch/leap unchanged\n');
  expect(await kubectl('get', 'cj')).toMatch(
    /^NAME +SCHEDULE +TIMEZONE +SUSPEND +ACTIVE +LAST SCHEDULE +AGE\nleap +0 0 29 2 \* +Europe\/Berlin +False +0 +<none> +\d+s\n$/,
  );
  expect(await kubectl('get', 'cronjob/leap', '-o', 'wide')).toMatch(
    /CONTAINERS +IMAGES +SELECTOR\n.*main +<none> +<none>/,
  );
  expect(await kubectl('get', 'all')).toContain('cronjob.batch/leap');
  const described = await kubectl('describe', 'cronjob', 'leap');
  expect(described).toMatch(/^Schedule: +0 0 29 2 \*$/m);
  expect(described).toMatch(/^Concurrency Policy: +Allow$/m);
  expect(described).toMatch(/^Active Jobs: +<none>$/m);

  await kubectl('patch', 'cronjob', 'leap', '-p', '{"spec":{"suspend":true}}');
  expect(await kubectl('get', 'cj', 'leap')).toMatch(/ True +0 /);
  // By the list's merge key: only the image is set.
  const image =
    '{"spec":{"jobTemplate":{"spec":{"template":{"spec":{"containers":[{"name":"main","image":"x:1"}]}}}}}}';
  await kubectl('patch', 'cronjob', 'leap', '-p', image);
  const path = 'jsonpath={.spec.jobTemplate.spec.template.spec.containers[0].command[1]}';
  expect(await kubectl('get', 'cj', 'leap', '-o', path)).toBe('hello');
  expect(await kubectl('get', 'cj', 'leap', '-o', 'jsonpath={.metadata.generation}')).toBe('3');

  const status = [
    '--subresource=status',
    '-p',
    '{"status":{"lastScheduleTime":"2026-01-01T00:00:00Z"}}',
  ];
  const refused = await bed.kubectl(['patch', 'cj', 'leap', '--type=merge', ...status]);
  expect(refused.stderr).toContain('status: Forbidden: is written by Drover alone');

  expect(await kubectl('delete', 'cronjob', 'leap')).toMatch(/^cronjob\.batch "leap" deleted/);
  expect((await bed.kubectl(['get', 'cj', 'leap'])).stderr).toContain('(NotFound)');
});

test('kubectl makes CronJobs, and Jobs of them', async () => {
  await kubectl('create', 'cronjob', 'made', '--image=x', '--schedule=@yearly', '--', 'true');
  expect(await kubectl('get', 'cj', 'made', '-o', 'jsonpath={.spec.schedule}')).toBe('@yearly');
  const file = await bed.write('source.json', cronJob('source'));
  await kubectl('create', '-f', file);
  expect(await kubectl('create', 'job', 'by-hand', '--from=cronjob/source')).toBe(
    'job.batch/by-hand created\n',
  );
  await kubectl('wait', '--for=condition=complete', 'job/by-hand', '--timeout=20s');
  expect(await kubectl('logs', 'job/by-hand')).toBe('hello\n');
  expect(
    await kubectl('get', 'job', 'by-hand', '-o', 'jsonpath={.metadata.ownerReferences[0].name}'),
  ).toBe('source');
  // It takes its Jobs with it.
  await kubectl('delete', 'cronjob', 'source');
  await kubectl('wait', '--for=delete', 'job/by-hand', '--timeout=20s');
});

test('what is wrong is told by its path, and every field is explained', async () => {
  const file = await bed.write(
    'bad.json',
    cronJob('bad', { schedule: '0 25 * * *', timeZone: 'Berlin' }),
  );
  const { code, stderr } = await bed.kubectl(['create', '-f', file]);
  expect(code).toBe(1);
  expect(stderr).toContain('The CronJob "bad" is invalid');
  expect(stderr).toContain(
    'spec.schedule: Invalid value: "0 25 * * *": end of range (25) above maximum (23): 25 (hour, at character 3)',
  );
  expect(stderr).toContain('spec.timeZone: Invalid value: "Berlin": unknown time zone Berlin');

  expect(await kubectl('explain', 'cronjob.spec')).toMatch(/concurrencyPolicy\t<string>/);
  expect(await kubectl('explain', 'cronjob.spec.jobTemplate.spec')).toMatch(
    /parallelism\t<integer>\n +Most pods at once/,
  );
  expect(await kubectl('explain', 'job.spec')).toMatch(/template\t<PodTemplateSpec> -required-/);
});
