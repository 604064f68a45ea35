/** terminationMessagePath and terminationMessagePolicy, with real programs. */
import { existsSync } from 'node:fs';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { waitFor } from '@drover/testkit';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';

import { ContainerMessage } from '../../src/process/containerMessage.ts';
import type { ProcessExit } from '../../src/process/processExit.ts';
import { containerOf } from '../support/configs.ts';
import type { TestEngine, TestJob } from '../support/engine.ts';
import { Workers } from '../support/workers.ts';

let workers: Workers;
let engine: TestEngine;
let directory: string;

beforeAll(async () => {
  workers = await Workers.start();
});
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'drover-messages-'));
  engine = await workers.engine();
  const crashLoop = { baseMs: 20 };
  await workers.worker(engine, {
    runtimes: ['process'],
    maxPods: 2,
    volumes: { directory },
    crashLoop,
  });
});
afterEach(async () => {
  await workers.clear();
  await rm(directory, { recursive: true, force: true });
});
afterAll(() => workers.stop());

function shell(script: string, more: object = {}): object {
  return { name: 'main', command: ['/bin/sh', '-c', script], ...more };
}

/** How a pod of these containers ended. */
async function ended(containers: readonly object[], job: Partial<TestJob> = {}) {
  const uid = await engine.createJob({ run: [], ...job, pod: { containers, ...job.pod } });
  await engine.offer(uid, 1);
  return await waitFor(() => engine.endedPod(uid), { timeoutMs: 20_000 });
}

async function messages(containers: readonly object[]): Promise<(string | undefined)[]> {
  const { overlay } = await ended(containers);
  return (overlay?.details?.containers ?? []).map(({ state }) => state?.terminated?.message);
}

const OWN = { terminationMessagePath: '/drover-words/last' };

describe('the file of terminationMessagePath', () => {
  test("is what the program left there, whether it failed or not; it is nobody else's", async () => {
    expect(await messages([shell('echo sorry > /dev/termination-log; exit 3')])).toEqual([
      'sorry\n',
    ]);
    expect(await messages([shell('printf done > /drover-words/last', OWN)])).toEqual(['done']);
    const written = 'printf "$0" > "$DROVER_TERMINATION_LOG"';
    expect(await messages([shell(written, { args: ['by variable'] })])).toEqual(['by variable']);
    expect(existsSync('/dev/termination-log')).toBe(false);
    // Worker and shared directory: nothing of the pods is left.
    await waitFor(async () => {
      const [shared = ''] = await readdir(directory);
      const [worker = ''] = await readdir(join(directory, shared));
      return (await readdir(join(directory, shared, worker))).length === 0;
    });
  });

  test('is read from its end, and those of a pod share a limit', async () => {
    const fill =
      'head -c 5000 /dev/zero | tr "\\\\0" a > $DROVER_TERMINATION_LOG; printf z >> $DROVER_TERMINATION_LOG';
    const [one] = await messages([shell(fill, OWN)]);
    expect(one).toBe(`${'a'.repeat(4095)}z`);
    const four = ['a', 'b', 'c', 'd'].map((name) => ({ ...shell(fill, OWN), name }));
    for (const message of await messages(four)) expect(message).toBe('a'.repeat(3072));
  });

  test('is empty for each run', async () => {
    const script =
      'cat $DROVER_TERMINATION_LOG; printf "run $(wc -l < runs)" > $DROVER_TERMINATION_LOG; echo x >> runs; test $(wc -l < runs) -ge 2';
    const container = shell(`touch runs; ${script}`, { ...OWN, workingDir: directory });
    const { overlay, hasLog } = await ended([container], { restartPolicy: 'OnFailure' });
    const [record] = overlay?.details?.containers ?? [];
    expect(record?.lastState?.terminated?.message).toBe('run 0');
    expect(record?.state?.terminated?.message).toBe('run 1');
    expect(hasLog).toBe(false);
  });
});

test('a program that removes the directory of that file harms its pod only, a sidecar too', async () => {
  const script = 'rm -rf $(dirname $DROVER_TERMINATION_LOG); exit 1';
  const sidecar = { ...shell(script, OWN), name: 'side', restartPolicy: 'Always' };
  const main = shell('until test -e go; do sleep 0.02; done; exit 3', { workingDir: directory });
  const uid = await engine.createJob({
    run: [],
    pod: { initContainers: [sidecar], containers: [main] },
  });
  await engine.offer(uid, 1);
  // It can not be started again.
  await waitFor(async () => {
    const side = await containerOf(engine, uid, 'side');
    return side?.lastState?.terminated?.reason === 'StartError';
  });
  await writeFile(join(directory, 'go'), '');
  const end = await waitFor(() => engine.endedPod(uid), { timeoutMs: 20_000 });
  expect(end).toMatchObject({ outcome: 'Failed', exitCode: 3 });
});

describe('FallbackToLogsOnError', () => {
  const policy = { terminationMessagePolicy: 'FallbackToLogsOnError' };

  test('gives the end of the output of a program that failed and said nothing', async () => {
    const { overlay } = await ended([shell('echo out; echo err >&2; exit 1', policy)]);
    expect(overlay).toEqual({ message: expect.stringMatching(/^(out\nerr|err\nout)\n$/) });
    expect((await ended([shell('echo out', policy)])).overlay).toBeNull();
    const both = shell('echo out; echo words > /dev/termination-log; exit 1', policy);
    expect(await messages([both])).toEqual(['words\n']);
  });

  test('is not the default', async () => {
    expect((await ended([shell('echo out; exit 1')])).overlay).toBeNull();
  });
});

describe('the end of an output', () => {
  const failed = { exitCode: 1, message: '' } as ProcessExit;
  const told = (chunks: readonly string[]): string => {
    const message = new ContainerMessage({ file: null, fallsBackToLogs: true, maxBytes: 4096 });
    message.begin();
    for (const chunk of chunks) message.note(Buffer.from(chunk));
    return message.finish(failed).message;
  };

  test('has at most 80 lines', () => {
    const lines = Array.from({ length: 100 }, (_, i) => `${i}\n`);
    expect(told(lines)).toBe(lines.slice(20).join(''));
    expect(told([lines.join('').trimEnd()])).toBe(lines.slice(20).join('').trimEnd());
  });

  test('has at most 2 KiB, and begins with a whole character', () => {
    expect(told(['x'.repeat(3000), 'y'])).toBe(`${'x'.repeat(2047)}y`);
    expect(told(Array.from({ length: 5000 }, () => 'z'))).toBe('z'.repeat(2048));
    expect(told(['ü'.repeat(3000), 'y'])).toBe(`${'ü'.repeat(1023)}y`);
  });

  test('is that of the last run', () => {
    const message = new ContainerMessage({ file: null, fallsBackToLogs: true, maxBytes: 4096 });
    message.note(Buffer.from('first'));
    message.begin();
    message.note(Buffer.from('second'));
    expect(message.finish(failed).message).toBe('second');
  });
});
