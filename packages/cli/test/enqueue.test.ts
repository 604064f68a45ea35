import { execFile } from 'node:child_process';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';

import { Drover } from '@drover/sdk/client';
import { MAX_ITEM_BYTES } from '@drover/shared';
import { ITEM_QUEUE_NAME, type ItemQueueJobData, itemQueueOptions } from '@drover/store';
import { startRedis, waitFor, type TestRedis } from '@drover/testkit';
import { Queue } from 'bullmq';
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';

import { DROVER, Home, type Ended, type RunOptions } from './drover.ts';

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

let home: Home;
let redis: TestRedis;
let drover: Drover;

beforeAll(async () => {
  home = await Home.make();
  redis = await startRedis();
  drover = new Drover({ connection: redis.url });
});
afterAll(async () => {
  await drover.close();
  await redis.stop();
  await home.remove();
});
beforeEach(async () => {
  for (const { metadata } of await drover.workQueues.list()) {
    await drover.workQueue(metadata.name).delete();
  }
});

async function enqueue(args: readonly string[], options: RunOptions = {}): Promise<Ended> {
  return await home.drover(['enqueue', ...args], {
    ...options,
    env: { DROVER_REDIS_URL: redis.url, ...options.env },
  });
}

/** QueueJobs that wait, in the order in which they would be taken. */
async function queueJobs(name: string) {
  const { metadata } = await drover.workQueues.get(name);
  const queue = new Queue<ItemQueueJobData>(ITEM_QUEUE_NAME, {
    connection: redis.connect(),
    ...itemQueueOptions('drover', metadata.uid),
  });
  const jobs = await queue.getJobs(['waiting', 'prioritized', 'delayed'], 0, -1, true);
  await queue.close();
  return jobs;
}

/** Data of the items that wait, in that order. */
async function items(name: string): Promise<unknown[]> {
  const jobs = await queueJobs(name);
  return jobs.flatMap(({ data }): unknown[] => ('c' in data ? [...data.c] : [data.d]));
}

async function isThere(name: string): Promise<boolean> {
  return (await drover.workQueues.list()).some(({ metadata }) => metadata.name === name);
}

describe('drover enqueue', () => {
  test('NDJSON of several files, in order', async () => {
    const first = await home.write('first.ndjson', '{"n":1}\n\n{"n":2}\r\n');
    const second = await home.write('second.ndjson', '\uFEFF[3]\n"four"\nnull');
    const { code, stdout, stderr } = await enqueue(['pages', first, second]);
    expect(stdout).toMatch(/^workqueue\.drover\.dev\/pages: 5 items enqueued in \d+\.\d s\n$/);
    expect([code, stderr]).toEqual([0, '']);
    expect(await items('pages')).toEqual([{ n: 1 }, { n: 2 }, [3], 'four', null]);
  });

  test('lines of standard input as texts, and a summary as JSON', async () => {
    const input = 'one\ntwo words\n\n{"three":3}\n';
    const { code, stdout } = await enqueue(['words', '--lines', '-', '--seal', '--json'], {
      input,
    });
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toEqual({
      workQueue: 'words',
      namespace: 'default',
      enqueued: 3,
      duplicates: 0,
      skipped: 0,
      sealed: true,
      seconds: expect.any(Number) as number,
    });
    expect(await items('words')).toEqual(['one', 'two words', '{"three":3}']);
    expect((await drover.workQueues.get('words')).status?.sealedTime).toBeDefined();
  });

  test('paths of files that match a pattern, relative to where it runs', async () => {
    await mkdir(join(home.dir, 'data'), { recursive: true });
    for (const name of ['b.csv', 'a.csv', 'c.txt']) await home.write(join('data', name), '');
    const args = ['tables', '--glob', 'data/*.csv', '--key', '.'];
    expect((await enqueue(args)).stdout).toMatch(/: 2 items enqueued /);
    expect(await items('tables')).toEqual(['data/a.csv', 'data/b.csv']);
    await home.write('data/d.csv', '');
    expect((await enqueue(args)).stdout).toMatch(
      /: 1 item enqueued .*, 2 had been enqueued before/,
    );
  });

  test('with a key, a repeated enqueue adds what is missing and nothing twice', async () => {
    const path = await home.write(
      'keys.ndjson',
      '{"u":{"id":1}}\n{"u":{"id":2}}\n{"u":{"id":1}}\n',
    );
    const first = await enqueue(['keyed', path, '--key', '/u/id']);
    expect(first.stdout).toMatch(/: 2 items enqueued in .*, 1 had been enqueued before$/m);
    await home.write('keys.ndjson', '{"u":{"id":3}}\n{"u":{"id":2}}\n');
    const second = await enqueue(['keyed', path, '--key', '/u/id']);
    expect(second.stdout).toMatch(/: 1 item enqueued in .*, 1 had been enqueued before$/m);
    expect(await items('keyed')).toEqual([1, 2, 3].map((id) => ({ u: { id } })));
  });

  test('priority, delay, attempts and back-off', async () => {
    const options = [
      '--priority',
      '5',
      '--delay',
      '1h',
      '--attempts',
      '7',
      '--backoff',
      'fixed:3s',
    ];
    const { code } = await enqueue(['later', '-', ...options], { input: '1\n' });
    expect(code).toBe(0);
    expect((await queueJobs('later')).map(({ opts }) => opts)).toMatchObject([
      { priority: 5, delay: 3_600_000, attempts: 7, backoff: { type: 'fixed', delay: 3_000 } },
    ]);
  });

  test('what comes slowly is enqueued as it comes; Ctrl-C ends it and tells what is there', async () => {
    const command = home.start(['enqueue', 'live', '-', '--lines', '--redis', redis.url], {
      input: null,
    });
    command.child.stdin?.write('one\ntwo\n');
    await waitFor(async () => (await isThere('live')) && (await items('live')).length === 2);
    command.child.stdin?.write('three\n');
    await waitFor(async () => (await items('live')).length === 3);
    expect((await command.kill('SIGINT')).code).toBe(130);
    expect(command.output('stderr')).toMatch(
      /^interrupted\. 3 items are enqueued: the same again would enqueue them twice \(--key prevents that\)\.$/m,
    );
    expect(await items('live')).toEqual(['one', 'two', 'three']);
  });

  test('a work queue that is sealed meanwhile breaks it off; it is said what came before', async () => {
    const args = ['enqueue', 'live', '-', '--lines', '--key', '.', '--redis', redis.url];
    const command = home.start(args, { input: null });
    command.child.stdin?.write('one\n');
    await waitFor(async () => (await isThere('live')) && (await items('live')).length === 1);
    await drover.workQueue('live').seal();
    command.child.stdin?.write('two\n');
    expect((await command.exited).code).toBe(2);
    expect(command.output('stderr')).toBe(
      'broken off. 1 item is enqueued: the same again adds the rest.\n' +
        'error: WorkQueue "live" is sealed: it takes no more items. Use another one\n',
    );
  });

  test('a pipe that is named is read once, as standard input is', async () => {
    const script = '"$0" "$1" enqueue pipe <(echo 1; echo 2) --redis "$2"';
    const args = ['-c', script, process.execPath, DROVER, redis.url];
    const { stdout } = await promisify(execFile)('bash', args);
    expect(stdout).toMatch(/: 2 items enqueued/);
    expect(await items('pipe')).toEqual([1, 2]);
  });

  test('progress: a bar where it is asked for, with the last figures', async () => {
    const input = 'x\n'.repeat(5_000);
    const path = await home.write('many.txt', input);
    const { stderr } = await enqueue(['many', '--lines', path, '--bar']);
    expect(stderr.split(/[\r\n]+/).at(-2)).toMatch(/^many █{30} 5000 items, 100%/);
    const quiet = await enqueue(['many', '--lines', path, '--no-bar']);
    expect(quiet.stderr).toBe('');
  });
});

describe('a bad line', () => {
  const lines = ['{"id":1}', 'nonsense', '{"id":2}', '{"no":3}', `"${'x'.repeat(MAX_ITEM_BYTES)}"`];
  const text = lines.join('\n');

  test('of a file: all are told with their lines, and nothing is enqueued', async () => {
    await home.write('good.ndjson', '{"id":0}\n');
    await home.write('bad.ndjson', text);
    const { code, stderr, stdout } = await enqueue([
      'q',
      'good.ndjson',
      'bad.ndjson',
      '--key',
      'id',
    ]);
    expect([code, stdout]).toEqual([2, '']);
    expect(stderr.split('\n')).toEqual([
      expect.stringMatching(/^error: bad\.ndjson:2: is not JSON: Unexpected token/),
      'bad.ndjson:4: has no field id, which is to be its key',
      'bad.ndjson:5: has 262146 bytes as JSON, at most 262144 are allowed: store it elsewhere',
      'Nothing was enqueued. --skip-invalid enqueues the other lines.',
      '',
    ]);
    expect(await isThere('q')).toBe(false);
  });

  test('of many, the first 20 are told and the rest is counted', async () => {
    await home.write('bad.txt', 'nonsense\n'.repeat(25));
    const { stderr } = await enqueue(['q', 'bad.txt']);
    expect(stderr).toMatch(/bad\.txt:20: [^\n]*\nand 5 more lines that can't be enqueued\n/);
    expect(stderr).toMatch(/\nLines that are no JSON become items with --lines\.\n/);
    const skipped = await enqueue(['q', 'bad.txt', '--skip-invalid']);
    expect(skipped.stderr).toMatch(
      /\nskipped bad\.txt:20: [^\n]*\nand 5 more lines were skipped\n$/,
    );
    expect(skipped.stdout).toMatch(/: 0 items enqueued in .*, 25 lines skipped$/m);
  });

  test('--skip-invalid enqueues the others and tells what it passed over', async () => {
    await home.write('bad.ndjson', text);
    const { code, stderr, stdout } = await enqueue(['q', 'bad.ndjson', '--skip-invalid']);
    expect(code).toBe(0);
    expect(stdout).toMatch(/: 3 items enqueued in .*, 2 lines skipped$/m);
    expect(stderr).toMatch(/^skipped bad\.ndjson:2: is not JSON: .*\nskipped bad\.ndjson:5: has /);
    expect(await items('q')).toEqual([{ id: 1 }, { id: 2 }, { no: 3 }]);
  });

  test('of standard input: what came before is enqueued, and said', async () => {
    const { code, stderr } = await enqueue(['q', '-', '--key', 'id', '--seal'], { input: text });
    expect(code).toBe(2);
    expect(stderr).toMatch(
      /^error: stdin:2: is not JSON: .*\n1 item is enqueued: the same again adds the rest\.\n/,
    );
    expect(await items('q')).toEqual([{ id: 1 }]);
    // It has not come to its end.
    expect((await drover.workQueues.get('q')).status?.sealedTime).toBeUndefined();
  });
});

describe('bad input', () => {
  const cases: { name: string; args: string[]; want: RegExp }[] = [
    { name: 'no queue', args: [], want: /missing required argument 'queue'/ },
    { name: 'an empty name', args: ['', '-'], want: /the name of the work queue is empty/ },
    {
      name: 'a name that is none',
      args: ['A_b', '-'],
      want: /metadata\.name: Invalid value: "A_b"/,
    },
    {
      name: 'nothing to enqueue',
      args: ['q'],
      want: /name a FILE, - for standard input, or --glob/,
    },
    { name: 'files and a pattern', args: ['q', 'f', '--glob', '*'], want: /give one of them/ },
    {
      name: 'a pattern and --lines',
      args: ['q', '--lines', '--glob', '*'],
      want: /--glob has none/,
    },
    { name: 'a field of texts', args: ['q', '--lines', '-', '--key', 'id'], want: /has no fields/ },
    {
      name: 'files that are not there',
      args: ['q', 'x', 'y'],
      want: /x: can't be read: .*\ny: can't/,
    },
    {
      name: 'a pattern without files',
      args: ['q', '--glob', '*.none'],
      want: /'\*\.none': no file/,
    },
    {
      name: 'values of options',
      args: [
        'q',
        '-',
        '--priority',
        '-1',
        '--attempts',
        '0',
        '--delay',
        'x',
        '--backoff',
        'slow:1s',
      ],
      want: /--priority -1: .*\n--attempts 0: .*\n--delay x: .*\n--backoff slow:1s: /,
    },
    {
      name: 'a delay that no timer can hold',
      args: ['q', '-', '--delay', '100d'],
      want: /options of items of WorkQueue "q" is invalid: delay: /,
    },
  ];
  test.each(cases)('$name', async ({ args, want }) => {
    // Told before Redis is asked for: there is none here.
    const ended = await enqueue([...args], { env: { DROVER_REDIS_URL: 'redis://127.0.0.1:1' } });
    expect(ended.stderr).toMatch(want);
    expect(ended.stderr).not.toMatch(/^\s+at /m);
    expect(ended.code).toBe(2);
  });

  test('a sealed work queue', async () => {
    expect((await enqueue(['shut', '-', '--seal'], { input: '1\n' })).code).toBe(0);
    const again = await enqueue(['shut', '-'], { input: '2\n' });
    expect(again).toMatchObject({
      code: 2,
      stderr: 'error: WorkQueue "shut" is sealed: it takes no more items. Use another one\n',
    });
  });

  test('no Redis', async () => {
    const env = { DROVER_REDIS_URL: 'redis://127.0.0.1:1' };
    expect((await enqueue(['q', '-'], { input: '1\n', env })).code).toBe(3);
  });
});
