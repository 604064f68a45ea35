/** Pods that are clients themselves: what they create belongs to their Job. */
import { readdir, readFile, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { NotFoundError } from '@drover/sdk';
import { waitFor } from '@drover/testkit';
import { expect, test } from 'vitest';

import { Engine } from './support/engine.ts';

const PROGRAM = fileURLToPath(new URL('./fixtures/parentPod.ts', import.meta.url));

test('a pod submits Jobs, which belong to its own and are deleted with it', async () => {
  await using engine = await Engine.forTest();
  const [, worker] = await Promise.all([engine.controller(), engine.worker()]);
  const { jobs, pods } = engine.drover;
  const container = { name: 'main', command: [process.execPath, PROGRAM] };
  const parent = await jobs.create({
    metadata: { name: 'parent' },
    spec: {
      backoffLimit: 0,
      template: {
        metadata: { annotations: { 'drover.dev/client': 'true' } },
        spec: { restartPolicy: 'Never', containers: [container] },
      },
    },
  });
  const [pod] = await waitFor(async () => {
    const found = await pods.list({ job: parent });
    return found.length > 0 ? found : null;
  });
  const done = await engine.finished('parent');
  const lines: string[] = [];
  for await (const line of pods.logs(pod!)) lines.push(line);
  expect([done.status?.succeeded, lines]).toEqual([1, [`${pod!.metadata.name}\n`]]);

  const owner = {
    apiVersion: 'batch/v1',
    kind: 'Job',
    name: 'parent',
    uid: parent.metadata.uid,
    controller: true,
    blockOwnerDeletion: true,
  };
  for (const name of ['child-first', 'child-second']) {
    expect((await jobs.get(name)).metadata.ownerReferences).toEqual([owner]);
  }
  await waitFor(() => engine.records.read('child-second').length === 1);

  // The file says where Redis is; nobody else may read it, and it goes with the worker.
  const shared = join(tmpdir(), `drover-client-${process.getuid?.() ?? 0}`);
  const files = async (): Promise<string[]> => {
    const names = (await readdir(shared)).map((name) => join(shared, name, 'client.json'));
    const texts = await Promise.all(names.map((name) => readFile(name, 'utf8').catch(() => '')));
    return names.filter((_name, i) => texts[i]?.includes(engine.prefix));
  };
  const [file] = await files();
  expect((await stat(file ?? '')).mode & 0o777).toBe(0o600);

  await jobs.delete(parent);
  for (const name of ['child-first', 'child-second']) {
    await waitFor(() =>
      jobs.get(name).then(
        () => false,
        (error: unknown) => error instanceof NotFoundError,
      ),
    );
  }
  await waitFor(() => engine.records.read('child-second')[0]?.endMs !== null);
  await worker.process.kill('SIGTERM');
  await waitFor(async () => (await files()).length === 0);
});
