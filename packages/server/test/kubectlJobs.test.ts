import { waitFor } from '@drover/testkit';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { ServerBed } from './bed.ts';

let bed: ServerBed;
beforeAll(async () => {
  bed = await ServerBed.start();
}, 60_000);
afterAll(async () => await bed.stop());

/** A Job that runs a program. */
function job(name: string, script: string, spec: object = {}) {
  return {
    apiVersion: 'batch/v1',
    kind: 'Job',
    metadata: { name, labels: { app: name } },
    spec: {
      ...spec,
      template: {
        spec: {
          restartPolicy: 'Never',
          containers: [{ name: 'main', command: ['sh', '-c', script] }],
        },
      },
    },
  };
}

/** What kubectl says when all goes well; warnings are left out. */
async function kubectl(...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await bed.kubectl(args);
  expect(code, stderr).toBe(0);
  return stdout;
}

describe('what there is', () => {
  test('is told by version, api-versions and api-resources', async () => {
    expect(await kubectl('version')).toMatch(/Server Version: v1\.35\.\d+\+drover\./);
    const versions = await kubectl('api-versions');
    expect(versions.trim().split('\n')).toEqual(expect.arrayContaining(['batch/v1', 'v1']));
    const resources = await kubectl('api-resources', '-o', 'wide');
    expect(resources).toMatch(
      /^jobs +batch\/v1 +true +Job +create,delete,deletecollection,get,list,patch,update,watch +all$/m,
    );
    expect(resources).toMatch(/^pods +po +v1 +true +Pod +/m);
  });

  test('explain knows every field, with what Drover makes of it', async () => {
    const spec = await kubectl('explain', 'job.spec');
    expect(spec).toMatch(/GROUP: +batch\nKIND: +Job\nVERSION: +v1/);
    expect(spec).toMatch(/parallelism\t<integer>\n +Most pods at once/);
    expect(spec).toMatch(/template\t<PodTemplateSpec> -required-/);
    const image = await kubectl('explain', 'job.spec.template.spec.containers.lifecycle');
    expect(image).toContain('Refused:');
    expect(await kubectl('explain', 'pod.status', '--recursive')).toContain('containerStatuses');
  });
});

describe('a Job', () => {
  test('is created, waited for, shown in every form, and deleted', async () => {
    const file = await bed.write('life.json', job('life', 'echo hello'));
    const created = await bed.kubectl(['create', '-f', file]);
    expect(created).toMatchObject({ code: 0, stdout: 'job.batch/life created\n' });
    const waited = await kubectl('wait', '--for=condition=complete', 'job/life', '--timeout=20s');
    expect(waited).toBe('job.batch/life condition met\n');
    expect(await kubectl('get', 'jobs', 'life')).toMatch(
      /^NAME +STATUS +COMPLETIONS +DURATION +AGE\nlife +Complete +1\/1 +\d+s +\d+s\n$/,
    );
    expect(await kubectl('get', 'job', 'life', '-o', 'wide')).toMatch(
      /CONTAINERS +IMAGES +SELECTOR\n.*main +<none> +batch\.kubernetes\.io\/controller-uid=/,
    );
    expect(await kubectl('get', 'job/life', '-o', 'name')).toBe('job.batch/life\n');
    expect(await kubectl('get', 'job', 'life', '-o', 'jsonpath={.status.succeeded}')).toBe('1');
    expect(await kubectl('get', 'job', 'life', '-o', 'yaml')).toMatch(/^kind: Job$/m);
    expect(await kubectl('get', 'job', 'life', '-o', 'custom-columns=N:.metadata.name')).toBe(
      'N\nlife\n',
    );
    expect(await kubectl('get', 'jobs', '-l', 'app=life,app!=x', '-o', 'name')).toBe(
      'job.batch/life\n',
    );
    expect(await kubectl('get', 'jobs', '-A', '--field-selector=metadata.name=life')).toContain(
      'life',
    );
    const described = await kubectl('describe', 'job', 'life');
    expect(described).toMatch(/^Pods Statuses: +0 Active \(0 Ready\) \/ 1 Succeeded \/ 0 Failed$/m);
    // It waits until the Job is gone, by watching.
    expect(await kubectl('delete', 'job', 'life')).toMatch(/job\.batch "life" deleted/);
    expect(await bed.kubectl(['get', 'job', 'life'])).toMatchObject({
      code: 1,
      stderr: 'Error from server (NotFound): jobs.batch "life" not found\n',
    });
  });

  test('is changed by apply, label, annotate, patch and replace', async () => {
    const file = await bed.write(
      'a.json',
      job('changed', 'true', { suspend: true, parallelism: 2 }),
    );
    const apply = () => kubectl('apply', '-f', file);
    expect(await apply()).toBe('job.batch/changed created\n');
    expect(await apply()).toBe('job.batch/changed unchanged\n');
    await bed.write('a.json', job('changed', 'true', { suspend: true, parallelism: 3 }));
    expect(await kubectl('diff', '-f', file).catch(() => 'differs')).toBe('differs');
    expect(await apply()).toBe('job.batch/changed configured\n');
    expect(await kubectl('label', 'job/changed', 'x=1')).toBe('job.batch/changed labeled\n');
    expect(await kubectl('annotate', 'job/changed', 'n=hi')).toBe('job.batch/changed annotated\n');
    const strategic = '{"metadata":{"labels":{"x":null,"y":"2"}}}';
    await kubectl('patch', 'job', 'changed', '-p', strategic);
    const operations = '[{"op":"replace","path":"/spec/parallelism","value":4}]';
    await kubectl('patch', 'job', 'changed', '--type=json', '-p', operations);
    await kubectl('patch', 'job', 'changed', '--type=merge', '-p', '{"spec":{"backoffLimit":9}}');
    const stored = await bed.drover.jobs.get('changed');
    expect(stored.metadata.labels).toMatchObject({ app: 'changed', y: '2' });
    expect(stored.metadata.labels).not.toHaveProperty('x');
    expect(stored.metadata.annotations).toMatchObject({ n: 'hi' });
    expect(stored.spec).toMatchObject({ parallelism: 4, backoffLimit: 9 });
    const replaced = { ...stored, spec: { ...stored.spec, parallelism: 5 } };
    const replacement = await bed.write('r.json', replaced);
    expect(await kubectl('replace', '-f', replacement)).toBe('job.batch/changed replaced\n');
    expect((await bed.drover.jobs.get('changed')).spec.parallelism).toBe(5);
    // The file has the version from before.
    const again = await bed.kubectl(['replace', '-f', replacement]);
    expect(again.code).toBe(1);
    expect(again.stderr).toContain(
      'Operation cannot be fulfilled on jobs.batch "changed": the object has been modified',
    );
  });

  test('is made by create job, whose body is protobuf, and by dry runs is not', async () => {
    expect(await kubectl('create', 'job', 'made', '--image=x', '--', 'echo', 'made')).toBe(
      'job.batch/made created\n',
    );
    const [container] = (await bed.drover.jobs.get('made')).spec.template.spec.containers;
    expect(container).toMatchObject({ name: 'made', image: 'x', command: ['echo', 'made'] });
    const dry = await kubectl(
      'create',
      'job',
      'dry',
      '--image=x',
      '--dry-run=server',
      '--',
      'true',
    );
    expect(dry).toBe('job.batch/dry created (server dry run)\n');
    expect((await bed.kubectl(['get', 'job', 'dry'])).code).toBe(1);
  });

  test('that fails is waited for by its condition; a get -w tells every step', async () => {
    const { watches } = bed.figures;
    const watch = bed.startKubectl(['get', 'jobs', '-w', '-l', 'app=fails']);
    let seen = '';
    watch.stdout.setEncoding('utf8').on('data', (text: string) => (seen += text));
    // It would show the Job as it is by then.
    await waitFor(() => bed.figures.watches > watches);
    const file = await bed.write('f.json', job('fails', 'exit 3', { backoffLimit: 0 }));
    await kubectl('create', '-f', file);
    await kubectl('wait', '--for=condition=failed', 'job/fails', '--timeout=20s');
    await expect.poll(() => seen).toMatch(/^NAME +STATUS.*\nfails +Running[^]*fails +Failed +0\/1/);
    watch.kill();
    const missed = await bed.kubectl([
      'wait',
      '--for=condition=complete',
      'job/fails',
      '--timeout=1ms',
    ]);
    expect(missed).toMatchObject({ code: 1, stderr: expect.stringContaining('timed out waiting') });
  });
});

describe('what is wrong', () => {
  const cases: { name: string; spec: object; want: string }[] = [
    {
      name: 'an unknown field',
      spec: { paralelism: 2 },
      want: 'Job in version "v1" cannot be handled as a Job: strict decoding error: unknown field "spec.paralelism"',
    },
    {
      name: 'several bad values',
      spec: { parallelism: -1, completionMode: 'Odd' },
      want: 'The Job "bad" is invalid: \n* spec.parallelism: Invalid value: -1: must be greater than or equal to 0\n* spec.completionMode: Unsupported value: "Odd": supported values: "NonIndexed", "Indexed"\n',
    },
  ];
  test.each(cases)('$name is told with its path', async ({ spec, want }) => {
    const file = await bed.write('bad.json', job('bad', 'true', spec));
    const { code, stderr } = await bed.kubectl(['create', '-f', file]);
    expect(code).toBe(1);
    for (const line of want.split('\n')) expect(stderr).toContain(line);
  });

  test('an immutable field, and a taken name', async () => {
    const file = await bed.write('fixed.json', job('fixed', 'true', { suspend: true }));
    await kubectl('create', '-f', file);
    expect((await bed.kubectl(['create', '-f', file])).stderr).toBe(
      `Error from server (AlreadyExists): error when creating "${file}": jobs.batch "fixed" already exists\n`,
    );
    const patch = await bed.kubectl(['patch', 'job', 'fixed', '-p', '{"spec":{"completions":4}}']);
    expect(patch.code).toBe(1);
    expect(patch.stderr).toContain('spec.completions: Invalid value: 4: field is immutable');
  });

  test('what there is no meaning for', async () => {
    expect((await bed.kubectl(['scale', 'job/fixed', '--replicas=2'])).code).toBe(1);
    expect((await bed.kubectl(['get', 'deployments'])).stderr).toBe(
      'error: the server doesn\'t have a resource type "deployments"\n',
    );
    expect((await bed.kubectl(['delete', 'node', 'worker-1'])).stderr).toContain(
      'MethodNotAllowed',
    );
  });
});

test('questions about oneself are answered', async () => {
  expect(await kubectl('auth', 'can-i', 'create', 'jobs')).toBe('yes\n');
  expect(await kubectl('auth', 'whoami')).toContain('drover-admin');
});
