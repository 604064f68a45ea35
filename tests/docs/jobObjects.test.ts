/** Rows of docs/semantics.md about Job objects that no other test shows. Nothing runs here: there is no controller. */
import { randomUUID } from 'node:crypto';

import { Drover, type JobManifest } from '@drover/sdk';
import { InvalidSpecError } from '@drover/shared';
import { startRedis, uniquePrefix, type TestRedis } from '@drover/testkit';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

let server: TestRedis;
let drover: Drover;

beforeAll(async () => {
  server = await startRedis();
  drover = new Drover({ connection: server.url, prefix: uniquePrefix() });
});

afterAll(async () => {
  await drover.close();
  await server.stop();
});

/** A Job of a name, with more metadata. */
function manifest(name: string, metadata: Readonly<Record<string, unknown>> = {}): JobManifest {
  const container = { name: 'main', command: ['true'] };
  const template = { spec: { restartPolicy: 'Never', containers: [container] } };
  return { metadata: { name, ...metadata }, spec: { parallelism: 2, completions: 4, template } };
}

describe('metadata of a new Job', () => {
  test('what the store sets is not taken from the manifest', async () => {
    const job = await drover.jobs.create(
      manifest('fresh', {
        uid: randomUUID(),
        resourceVersion: '12',
        generation: 7,
        creationTimestamp: '2001-01-01T00:00:00Z',
        deletionTimestamp: '2001-01-01T00:00:00Z',
      }),
    );
    expect(job.metadata.generation).toBe(1);
    expect(Number(job.metadata.resourceVersion)).toBeGreaterThan(12);
    expect(job.metadata.creationTimestamp).not.toMatch(/^2001/);
    expect(job.metadata).not.toHaveProperty('deletionTimestamp');
  });

  test('labels, annotations, owners and what kubectl adds are kept', async () => {
    const metadata = {
      labels: { app: 'a' },
      annotations: { 'example.com/Note': 'any text\n' },
      ownerReferences: [{ apiVersion: 'v1', kind: 'Thing', name: 'x', uid: '1', controller: true }],
      managedFields: [{ manager: 'kubectl', operation: 'Update' }],
      selfLink: '/old',
    };
    const job = await drover.jobs.create(manifest('kept', metadata));
    expect(job.metadata).toMatchObject(metadata);
  });

  test('a uid given with the call makes a create that can be sent again', async () => {
    const uid = randomUUID();
    const first = await drover.jobs.create(manifest('twice'), { uid });
    const second = await drover.jobs.create(manifest('twice'), { uid });
    expect(second.metadata).toEqual(first.metadata);
    expect(first.metadata.uid).toBe(uid);
  });

  test.each(['', 'x', 'A0000000-0000-4000-8000-000000000000', `${randomUUID()}:1`])(
    'the uid %j is refused',
    async (uid) => {
      const created = drover.jobs.create(manifest('bad-uid'), { uid, dryRun: true });
      await expect(created).rejects.toThrow(InvalidSpecError);
      await expect(created).rejects.toThrow('metadata.uid: Invalid value');
    },
  );
});

describe('generation', () => {
  test('counts changes of the spec, not those of metadata, nor those that mean nothing', async () => {
    const { metadata } = await drover.jobs.create(manifest('counted'));
    expect(metadata.generation).toBe(1);

    const labelled = await drover.jobs.patch('counted', { metadata: { labels: { a: 'b' } } });
    expect(labelled.metadata.generation).toBe(1);
    expect(labelled.metadata.resourceVersion).not.toBe(metadata.resourceVersion);

    const nothing = { spec: { template: { spec: { nodeSelector: {}, tolerations: [] } } } };
    expect((await drover.jobs.patch('counted', nothing)).metadata.generation).toBe(1);

    const scaled = await drover.jobs.patch('counted', { spec: { parallelism: 3 } });
    expect(scaled.metadata.generation).toBe(2);
  });
});
