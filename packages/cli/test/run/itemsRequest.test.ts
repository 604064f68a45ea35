import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { readItemsRequest, refuseWithoutItems } from '../../src/run/itemsRequest.ts';

let directory: string;
let file: string;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'drover-items-'));
  file = join(directory, 'items');
  await writeFile(file, '1\n');
});
afterAll(async () => {
  await rm(directory, { recursive: true, force: true });
});

describe('what is to be run for items', () => {
  test('is a program, with what consume is told', async () => {
    const options = { stream: true, result: true, keepOrder: true, retries: 5 };
    expect(await readItemsRequest(['wc', '-w'], { items: [file], ...options })).toMatchObject({
      words: ['wc', '-w'],
      sources: [{ name: file, sizeBytes: 2 }],
      format: { isText: false, key: null },
      attempts: 5,
      consume: ['--stream', '--result'],
      results: 'enqueue',
      keeps: false,
    });
  });

  test('one word with something for a shell in it is for sh', async () => {
    const options = { items: [file], lines: true };
    expect(await readItemsRequest(['wc -w | tr a b'], options)).toMatchObject({
      words: ['sh', '-c', 'wc -w | tr a b'],
      format: { isText: true },
      attempts: null,
      consume: [],
      results: null,
    });
  });

  test('what contradicts it is told, all of it', async () => {
    const options = {
      items: [file, join(directory, 'none')],
      completions: 3,
      jobs: '2',
      parallelism: 3,
      tag: true,
      keepOrder: true,
      batch: 2,
      stream: true,
      retries: 0,
      timeout: 0,
    };
    await expect(readItemsRequest([':::', 'x'], options)).rejects.toMatchObject({
      exitCode: 2,
      message: 'what is to be run for the items? A program is missing',
      details: [
        '`:::` gives arguments and --items gives items: choose one of them',
        '--tag is about arguments; with --items there are items instead',
        '--keep-order is about results: with --result',
        '--completions: the program is run for each of its items',
        '--jobs and --parallelism say the same thing: give one of them',
        '--batch gives several lines to each run and --stream all of them to one: choose one',
        '--retries 0: with --items 1 to 1000, how often each is tried',
        '--timeout 0: more than 0 is expected',
        `${directory}/none: can't be read: there is no such file or directory`,
      ],
    });
  });

  test('options about items need some', () => {
    expect(() => refuseWithoutItems({ lines: true, keep: true })).toThrow(
      expect.objectContaining({
        message: '--lines is about items, and there are none: --items FILE gives them',
        details: ['--keep is about items, and there are none: --items FILE gives them'],
      }),
    );
    expect(() => refuseWithoutItems({})).not.toThrow();
  });
});
