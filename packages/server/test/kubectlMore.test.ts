/** What people do with kubectl beside apply and get, and what it says when that can not be. */

import { chmod, readFile } from 'node:fs/promises';

import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { ServerBed } from './bed.ts';

let bed: ServerBed;
beforeAll(async () => {
  bed = await ServerBed.start();
  await bed.drover.jobs.create(job('held', { suspend: true }));
}, 60_000);
afterAll(async () => await bed.stop());

function job(name: string, spec: object = {}, labels: Record<string, string> = {}) {
  const container = { name: 'main', command: ['sh', '-c', 'exec sleep 60'] };
  return {
    apiVersion: 'batch/v1' as const,
    kind: 'Job' as const,
    metadata: { name, labels },
    spec: {
      ...spec,
      template: { spec: { restartPolicy: 'Never' as const, containers: [container] } },
    },
  };
}

async function kubectl(...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await bed.kubectl(args);
  expect(code, stderr).toBe(0);
  return stdout;
}

describe('a Job', () => {
  test('is edited; a mistake is told, and what was written is kept', async () => {
    const editor = await bed.write('editor.sh', '#!/bin/sh\nsed -i "$DROVER_TEST_SED" "$1"\n');
    await chmod(editor, 0o700);
    const edit = (script: string) =>
      bed.kubectl(['edit', 'job', 'held'], '', {
        KUBE_EDITOR: editor,
        TMPDIR: bed.path('.'),
        DROVER_TEST_SED: script,
      });
    expect(await edit('s/parallelism: 1/parallelism: 3/')).toMatchObject({
      code: 0,
      stdout: 'job.batch/held edited\n',
    });
    expect((await bed.drover.jobs.get('held')).spec.parallelism).toBe(3);
    const refused = await edit('s/completions: 1/completions: 9/');
    expect(refused.code).toBe(1);
    expect(refused.stderr).toContain('jobs.batch "held" is invalid');
    const [, copy = ''] = /changes has been stored to "(.*)"/.exec(refused.stderr) ?? [];
    expect(await readFile(copy, 'utf8')).toContain('field is immutable');
  }, 30_000);

  test('is compared with a file; a difference is told by the exit code', async () => {
    const file = await bed.write('d.json', job('diff', { suspend: true }));
    await kubectl('apply', '-f', file);
    expect(await bed.kubectl(['diff', '-f', file])).toMatchObject({ code: 0, stdout: '' });
    await bed.write('d.json', job('diff', { suspend: true, parallelism: 7 }));
    const seen = await bed.kubectl(['diff', '-f', file]);
    expect(seen).toMatchObject({ code: 1, stdout: expect.stringContaining('+  parallelism: 7') });
    const server = await kubectl('apply', '-f', file, '--dry-run=server', '-o', 'yaml');
    expect(server).toContain('parallelism: 7');
    expect(await kubectl('apply', '-f', file, '--dry-run=client')).toContain('(dry run)');
    expect((await bed.drover.jobs.get('diff')).spec.parallelism).toBe(1);
  }, 30_000);

  test('is waited for: by a value, until it is gone, and by what it is not yet', async () => {
    await bed.drover.jobs.create(job('waited', { suspend: true, completions: 4 }));
    expect(
      await kubectl('wait', '--for=jsonpath={.spec.completions}=4', 'job/waited', '--timeout=9s'),
    ).toBe('job.batch/waited condition met\n');
    expect(await kubectl('wait', '--for=condition=Suspended', 'job/waited', '--timeout=9s')).toBe(
      'job.batch/waited condition met\n',
    );
    const gone = bed.kubectl(['wait', '--for=delete', 'job/waited', '--timeout=20s']);
    await bed.drover.jobs.delete('waited');
    expect((await gone).code).toBe(0);
  }, 30_000);

  test('keeps its status, whoever writes to it; metadata go with it', async () => {
    const patch = (body: object) =>
      bed.fetch('/apis/batch/v1/namespaces/default/jobs/held/status', {
        method: 'PATCH',
        headers: { 'content-type': 'application/merge-patch+json' },
        body: JSON.stringify(body),
      });
    const labelled = await patch({ metadata: { labels: { s: '1' } }, spec: { parallelism: 9 } });
    expect(labelled.code).toBe(200);
    const { metadata, spec } = await bed.drover.jobs.get('held');
    expect([metadata.labels?.['s'], spec.parallelism]).toEqual(['1', 3]);
    expect(await patch({ status: { succeeded: 7 } })).toMatchObject({
      code: 422,
      text: expect.stringContaining('status: Forbidden: is written by Drover alone'),
    });
    const put = await bed.fetch('/apis/batch/v1/namespaces/default/jobs/held/status', {
      method: 'PUT',
      body: JSON.stringify({ ...(await bed.drover.jobs.get('held')), kind: 'Job' }),
    });
    expect(put.code).toBe(200);
  });
});

test('a list is applied, checked by what OpenAPI v2 says', async () => {
  const list = (spec: object) => ({
    apiVersion: 'v1',
    kind: 'List',
    items: [job('one', { suspend: true, ...spec }), job('two', { suspend: true })],
  });
  const file = await bed.write('list.json', list({}));
  expect(await kubectl('apply', '-f', file)).toBe('job.batch/one created\njob.batch/two created\n');
  await bed.write('list.json', list({ paralelism: 2 }));
  expect((await bed.kubectl(['apply', '-f', file])).stderr).toContain(
    'ValidationError(Job.spec): unknown field "paralelism" in io.k8s.api.batch.v1.JobSpec',
  );
  expect(await kubectl('delete', '-f', file)).toMatch(/"one" deleted[^]*"two" deleted/);
  expect(await kubectl('explain', 'job.spec', '--output=plaintext-openapiv2')).toMatch(
    /^KIND: +Job\nVERSION: +batch\/v1\n[^]*parallelism\t<integer>/,
  );
  const { definitions } = JSON.parse((await bed.fetch('/openapi/v2')).text) as {
    definitions: object;
  };
  const references = JSON.stringify(definitions).matchAll(/#\/definitions\/([\w.]+)/g);
  for (const [, name = ''] of references) expect(definitions).toHaveProperty([name]);
});

describe('what can not be is told', () => {
  test.each([
    {
      args: ['exec', 'POD', '--', 'true'],
      want: 'exec is not offered: a pod is a program of a worker here',
    },
    { args: ['attach', 'POD'], want: 'attach is not offered' },
    { args: ['cp', 'POD:/etc/hostname', 'copied'], want: 'exec is not offered' },
    { args: ['port-forward', 'POD', '18080:80'], want: 'portforward is not offered' },
    { args: ['rollout', 'status', 'job/held'], want: 'no status viewer' },
    { args: ['top', 'pods'], want: 'Metrics API not available' },
    { args: ['get', 'jobs', 'none'], want: '(NotFound): jobs.batch "none" not found' },
    { args: ['get', 'pods', '-n', 'nowhere'], want: 'No resources found in nowhere namespace.' },
    { args: ['delete', 'job', 'none'], want: '(NotFound): jobs.batch "none" not found' },
    { args: ['logs', 'job/none'], want: 'jobs.batch "none" not found' },
    { args: ['get', 'namespace', 'nowhere'], want: 'namespaces "nowhere" not found' },
  ])('$args', async ({ args, want }) => {
    const [pod] = await running();
    const { code, stderr } = await bed.kubectl(args.map((arg) => arg.replace('POD', pod)));
    expect(stderr).toContain(want);
    expect(code).toBe(args.includes('-n') ? 0 : 1);
  });
});

let started: Promise<[string]> | null = null;

/** The name of a pod that runs. */
function running(): Promise<[string]> {
  started ??= (async () => {
    await bed.drover.jobs.create(job('runs'));
    let name = '';
    const look = async () => {
      const pods = await bed.drover.pods.list({ job: 'runs' });
      name = pods.find(({ status }) => status.phase === 'Running')?.metadata.name ?? '';
      return name;
    };
    await expect.poll(look).not.toBe('');
    return [name] as [string];
  })();
  return started;
}
