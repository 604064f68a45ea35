import { readFileSync } from 'node:fs';

import { waitFor } from '@drover/testkit';
import { expect, test } from 'vitest';

import { Engine } from './support/engine.ts';
import { handlerJob, programJob } from './support/manifests.ts';

const GIGABYTE = 1024 ** 3;
const MEGABYTE = 1024 ** 2;

/** Everything that a pod's log holds now. */
async function readLog(engine: Engine, pod: string): Promise<string> {
  let text = '';
  for await (const line of engine.drover.pods.logs(pod)) text += line;
  return text;
}

/** Largest resident size of a process so far, bytes. */
function peakBytes(pid: number): number {
  const [, kilobytes] =
    /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? [];
  return Number(kilobytes) * 1024;
}

test('a log is followed while the pod runs, and read after its worker was killed', async () => {
  await using engine = await Engine.forTest();
  const { drover, records } = engine;
  await engine.controller();
  const worker = await engine.worker();
  await drover.jobs.create(
    programJob(['/bin/sh', '-c', 'echo hello; echo oops >&2; exec sleep 600'], {
      name: 'program',
      backoffLimit: 0,
    }),
  );
  await drover.jobs.create(handlerJob('talk', { name: 'handler' }));
  const [program, handler] = await Promise.all(
    ['program', 'handler'].map((job) =>
      waitFor(async () => (await engine.pods(job)).find((pod) => pod.status?.phase === 'Running')),
    ),
  );
  const programPod = program?.metadata.name ?? '';
  const handlerPod = handler?.metadata.name ?? '';

  await waitFor(async () => (await readLog(engine, programPod)).includes('oops'));
  const followed: string[] = [];
  const following = (async () => {
    for await (const line of drover.pods.logs(handlerPod, { follow: true })) followed.push(line);
  })();
  await waitFor(() => followed.includes('hello\n'));
  expect((await drover.pods.get(handlerPod)).status?.phase).toBe('Running');
  records.go('handler');
  await following;
  expect(followed).toEqual(['hello\n', 'good bye\n']);

  await worker.process.kill('SIGKILL');
  // Before anybody noticed, and after the pod was ended as lost.
  expect((await readLog(engine, programPod)).split('\n').toSorted()).toEqual(['', 'hello', 'oops']);
  await engine.finished('program');
  expect((await drover.pods.get(programPod)).status).toMatchObject({
    phase: 'Failed',
    reason: 'NodeLost',
  });
  expect((await readLog(engine, programPod)).split('\n').toSorted()).toEqual(['', 'hello', 'oops']);
  expect(await readLog(engine, handlerPod)).toBe('hello\ngood bye\n');
}, 40_000);

test('a gigabyte of output: the end of it is kept, the worker stays small and serves other pods', async () => {
  await using engine = await Engine.forTest();
  const { drover } = engine;
  await engine.controller();
  const worker = await engine.worker();
  const before = peakBytes(worker.process.pid);
  const flood = `yes 0123456789abcdef0123456789abcdef | head -c ${GIGABYTE}; echo; echo the end`;
  await drover.jobs.create(programJob(['/bin/sh', '-c', flood], { name: 'flood' }));
  const pod = await waitFor(async () => (await engine.pods('flood'))[0]?.metadata.name);
  await waitFor(async () => (await readLog(engine, pod)).includes('0123456789abcdef'));

  const small = handlerJob('noop', { name: 'small', completions: 100, parallelism: 4 });
  await drover.jobs.create(small);
  expect((await engine.finished('small')).status).toMatchObject({ succeeded: 100 });
  const floods = (await drover.pods.get(pod)).status?.phase;

  expect((await engine.finished('flood', 60_000)).status).toMatchObject({ succeeded: 1 });
  const log = await readLog(engine, pod);
  expect(log.endsWith('\nthe end\n')).toBe(true);
  expect(log.length).toBeLessThan(256 * 1024 + 64);
  expect(log.length).toBeGreaterThan(100 * 1024);
  expect(peakBytes(worker.process.pid) - before).toBeLessThan(150 * MEGABYTE);
  // The other Job was served while the flood came.
  expect(floods).toBe('Running');
}, 90_000);
