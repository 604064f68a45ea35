/** Server-side apply by the real kubectl. */

import { afterAll, beforeAll, expect, test } from 'vitest';

import { ServerBed } from './bed.ts';

let bed: ServerBed;
beforeAll(async () => {
  bed = await ServerBed.start();
}, 60_000);
afterAll(async () => await bed.stop());

async function apply(object: object | readonly object[], ...more: string[]) {
  const args = ['apply', '--server-side', '-f', '-', ...more];
  const documents = [object].flat().map((one) => JSON.stringify(one));
  return await bed.kubectl(args, documents.join('\n---\n'));
}

function job(name: string, spec: object = {}) {
  const container = { name: 'main', command: ['true'] };
  return {
    apiVersion: 'batch/v1',
    kind: 'Job',
    metadata: { name },
    spec: {
      suspend: true,
      ...spec,
      template: { spec: { restartPolicy: 'Never', containers: [container] } },
    },
  };
}

test('a Job is made, changed and left alone; others that own a field are asked', async () => {
  const made = job('a', { parallelism: 2, completions: 5 });
  expect(await apply(made)).toMatchObject({
    code: 0,
    stdout: 'job.batch/a serverside-applied\n',
  });
  const { resourceVersion, generation } = (await bed.drover.jobs.get('a')).metadata;
  await apply(made);
  expect((await bed.drover.jobs.get('a')).metadata).toMatchObject({ resourceVersion, generation });

  await bed.kubectl(['patch', 'job', 'a', '-p', '{"spec":{"parallelism":4}}']);
  const refused = await apply(made);
  expect(refused).toMatchObject({
    code: 1,
    stderr: expect.stringMatching(
      /^error: Apply failed with 1 conflict: conflict with "kubectl-patch" using batch\/v1 at .*Z: \.spec\.parallelism\n/,
    ),
  });
  expect((await apply(made, '--force-conflicts')).code).toBe(0);
  expect((await bed.drover.jobs.get('a')).spec.parallelism).toBe(2);
  const shown = await bed.kubectl(['get', 'job', 'a', '-o', 'json', '--show-managed-fields']);
  const { metadata } = JSON.parse(shown.stdout) as {
    metadata: { managedFields: { manager: string; operation: string }[] };
  };
  // The one that patched owns nothing any more.
  expect(metadata.managedFields).toMatchObject([{ manager: 'kubectl', operation: 'Apply' }]);
}, 30_000);

test('what is only checked is not stored; a field that there is not is refused', async () => {
  expect(await apply(job('dry'), '--dry-run=server')).toMatchObject({
    stdout: 'job.batch/dry serverside-applied (server dry run)\n',
  });
  await expect(bed.drover.jobs.get('dry')).rejects.toThrow('not found');
  const unknown = await apply(job('unknown', { paralelism: 2 }));
  expect(unknown).toMatchObject({ code: 1, stderr: expect.stringContaining('spec.paralelism') });
});

test('one who applied by kubectl alone goes over to it, and fields go with it', async () => {
  const map = (data: object) => ({
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name: 'settings' },
    data,
  });
  await bed.kubectl(['apply', '-f', await bed.write('map.json', map({ a: '1', b: '1' }))]);
  expect((await apply(map({ a: '2', b: '1' }))).code).toBe(0);
  expect((await apply(map({ a: '2' }))).code).toBe(0);
  expect((await bed.drover.configMaps.get('settings')).data).toEqual({ a: '2' });
}, 30_000);

test('the other kinds are applied, too', async () => {
  const objects = [
    { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'made' } },
    { apiVersion: 'v1', kind: 'Secret', metadata: { name: 's' }, stringData: { k: 'geheim' } },
    { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'sa' } },
    { apiVersion: 'drover.dev/v1', kind: 'WorkQueue', metadata: { name: 'q' } },
    {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: 'p' },
      spec: { restartPolicy: 'Never', containers: [{ name: 'main', command: ['true'] }] },
    },
  ];
  for (let n = 1; n <= 2; n++) {
    expect(await apply(objects)).toMatchObject({ code: 0, stderr: '' });
  }
  const labelled = objects.map((object) =>
    object.kind === 'WorkQueue'
      ? object
      : { ...object, metadata: { ...object.metadata, labels: { x: '1' } } },
  );
  expect(await apply(labelled)).toMatchObject({ code: 0, stderr: '' });
  const found = await bed.kubectl(['get', 'secrets,sa,pods', '-l', 'x=1', '-o', 'name']);
  expect(found.stdout).toBe('secret/s\nserviceaccount/sa\npod/p\n');
}, 30_000);
