import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { defineHandler, InvalidSpecError, type Job, type PodEnd } from '../src/index.ts';
import { Engine } from './engine.ts';

let engine: Engine;

beforeAll(async () => {
  engine = await Engine.start([defineHandler('unused', () => null)]);
});

afterAll(async () => {
  await engine.stop();
});

function listJob(name: string, completions: number, spec: object = {}, settings: object = {}) {
  return {
    metadata: { name },
    spec: {
      completions,
      parallelism: 4,
      completionMode: 'Indexed',
      ...spec,
      template: {
        metadata: { annotations: { 'drover.dev/argument-list': JSON.stringify(settings) } },
        spec: {
          restartPolicy: 'Never',
          containers: [{ name: 'main', command: ['sh', '-c'], args: ['exit 99'] }],
        },
      },
    },
  };
}

/** Follows the ends of pods until there are as many as wanted. */
async function endsOf(job: Job, count: number): Promise<PodEnd[]> {
  const all: PodEnd[] = [];
  const controller = new AbortController();
  for await (const batch of engine.drover.pods.ends(job, { signal: controller.signal })) {
    all.push(...batch);
    if (all.length >= count) break;
  }
  controller.abort();
  return all.toSorted((a, b) => a.index - b.index);
}

describe('jobs.create with an argument list', () => {
  test('gives each index its own arguments, as they are', async () => {
    const words = ['$(HOME) $$', 'ü "\'', '', '-n'];
    const list = words.map((word) => ['printf "[%s]" "$1"; echo err >&2', 'sh', word]);
    const job = await engine.drover.jobs.create(listJob('each', 4), { argumentList: list });
    const done = await engine.drover.jobs.wait(job, { for: 'complete', timeoutMs: 20_000 });
    expect(done.status.completedIndexes).toBe('0-3');

    const ends = await endsOf(job, 4);
    expect(ends.map(({ index, exitCode, nodeName }) => [index, exitCode, nodeName])).toEqual(
      words.map((_, index) => [index, 0, 'test-worker']),
    );
    const numbers = ends.map(({ podNumber }) => podNumber);
    const outputs = await engine.drover.pods.outputs(job, numbers);
    const written = outputs.map((pieces) =>
      pieces.map((piece) => (piece.stream === 'stdout' ? piece.data.toString() : '')).join(''),
    );
    expect(written).toEqual(words.map((word) => `[${word}]`));
    expect(JSON.stringify(job)).not.toContain('printf');
  });

  test('every index is run to its end, and its exit code is kept', async () => {
    const list = Array.from({ length: 20 }, (_, i) => [`exit ${i % 3}`]);
    const job = await engine.drover.jobs.create(listJob('codes', 20), { argumentList: list });
    await engine.drover.jobs.wait(job, { for: 'complete', timeoutMs: 20_000 });
    const ends = await endsOf(job, 20);
    expect(ends.map(({ exitCode }) => exitCode)).toEqual(list.map((_, i) => i % 3));
    expect(new Set(ends.map(({ outcome }) => outcome))).toEqual(new Set(['Succeeded']));
    expect(ends[1]).toMatchObject({ exitCode: 1, reason: 'Error' });
  });

  test('follows ends while they happen, each once', async () => {
    const list = Array.from({ length: 300 }, () => ['exit 0']);
    const job = await engine.drover.jobs.create(listJob('many', 300), { argumentList: list });
    const ends = await endsOf(job, 300);
    expect(ends.map(({ index }) => index)).toEqual(list.map((_, i) => i));
  });

  test('stops starting programs when it is halted', async () => {
    const list = Array.from({ length: 50 }, () => ['exit 7']);
    const spec = { parallelism: 1 };
    const settings = { halt: { on: 'fail', count: 3 } };
    const job = await engine.drover.jobs.create(listJob('halted', 50, spec, settings), {
      argumentList: list,
    });
    const ends = await endsOf(job, 50);
    expect(ends.map(({ exitCode }) => exitCode).filter((code) => code === 7)).toHaveLength(3);
    expect(ends[3]).toMatchObject({ outcome: 'Succeeded', reason: 'Deleted' });
  });
});

test.each([
  [{ completionMode: 'NonIndexed' }, [['a'], ['b']], 'spec.completionMode'],
  [{}, [['a']], 'spec.completions'],
  [{}, [['a'], ['b\0']], 'argumentList[1]'],
])('a list that does not fit is refused (%#)', async (spec, list, path) => {
  const creating = engine.drover.jobs.create(listJob('bad', 2, spec), { argumentList: list });
  await expect(creating).rejects.toThrow(InvalidSpecError);
  await expect(creating).rejects.toThrow(path);
});

test('a list without entries for a Job written by hand fails in words', async () => {
  const job = await engine.drover.jobs.create(listJob('by-hand', 1, { backoffLimit: 0 }));
  const end = await engine.drover.jobs.wait(job, { for: 'failed', timeoutMs: 20_000 });
  expect(end.status.failed).toBe(1);
  const [pod] = await engine.drover.pods.list({ job });
  expect(JSON.stringify(pod?.status)).toContain('no entry for index 0');
});
