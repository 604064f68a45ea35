import { PassThrough } from 'node:stream';

import { describe, expect, test } from 'vitest';

import { ItemFeed, readSources, type LineProblem } from '../../src/enqueue/feed.ts';
import type { LineSource } from '../../src/enqueue/sources.ts';

function source(name: string, stream: AsyncIterable<Buffer>): LineSource {
  return { name, sizeBytes: null, isFile: false, open: () => stream };
}

function setUp(sources: readonly LineSource[], skipsInvalid = false) {
  const problems: LineProblem[] = [];
  const stop = new AbortController();
  const feed = new ItemFeed(readSources(sources, stop.signal), {
    format: { isText: false, key: null },
    skipsInvalid,
    signal: stop.signal,
    onProblem: (problem) => problems.push(problem),
  });
  return { feed, problems, stop };
}

async function* texts(...pieces: string[]): AsyncGenerator<Buffer> {
  for (const piece of pieces) yield Buffer.from(piece);
}

async function burst(feed: ItemFeed): Promise<unknown[]> {
  const items: unknown[] = [];
  for await (const item of feed.burst()) items.push(item);
  return items;
}

describe('ItemFeed', () => {
  test('reads sources one after the other; each counts its own lines', async () => {
    const { feed, problems } = setUp([
      source('a', texts('1\n', '\n2')),
      source('b', texts('3\nx\n4\n')),
    ]);
    expect(await burst(feed)).toEqual([1, 2, 3]);
    expect(feed).toMatchObject({ isOver: true, items: 3, skipped: 0 });
    expect(problems).toEqual([
      { at: 'b:2', line: 2, problem: expect.stringMatching(/^is not JSON/) as string },
    ]);
  });

  test('passes over bad lines where that is wanted, and counts bytes', async () => {
    const { feed, problems } = setUp(
      [source('a', texts('1\nx\n2\n')), source('b', texts('y\n'))],
      true,
    );
    expect(await burst(feed)).toEqual([1, 2]);
    expect(feed).toMatchObject({ isOver: true, skipped: 2, bytesRead: 8 });
    expect(problems.map(({ at }) => at)).toEqual(['a:2', 'b:1']);
  });

  test('a source that pauses is a burst of its own; nothing is lost in between', async () => {
    const stream = new PassThrough();
    const { feed } = setUp([source('s', stream)]);
    stream.write('1\n2\n');
    expect(await burst(feed)).toEqual([1, 2]);
    expect(feed.isOver).toBe(false);
    const second = burst(feed);
    stream.write('3\n');
    expect(await second).toEqual([3]);
    stream.end('4');
    expect(await burst(feed)).toEqual([4]);
    expect(feed.isOver).toBe(true);
  });

  test('ends when it is told to, in the middle of a block or while it waits', async () => {
    const inBlock = setUp([source('s', texts('1\n2\n3\n'))]);
    const items = inBlock.feed.burst()[Symbol.asyncIterator]();
    expect((await items.next()).value).toBe(1);
    inBlock.stop.abort();
    expect(await items.next()).toEqual({ done: true, value: undefined });
    expect(inBlock.feed.isOver).toBe(true);

    const stream = new PassThrough();
    const waiting = setUp([source('s', stream)]);
    const rest = burst(waiting.feed);
    waiting.stop.abort();
    stream.destroy();
    expect(await rest).toEqual([]);
    expect(waiting.feed.isOver).toBe(true);
  });

  test('a source that breaks is an error', async () => {
    const stream = new PassThrough();
    const { feed } = setUp([source('s', stream)]);
    const rest = burst(feed);
    stream.destroy(new Error('disk on fire'));
    await expect(rest).rejects.toThrow('disk on fire');
  });
});
