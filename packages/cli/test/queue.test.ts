import { spawn, spawnSync } from 'node:child_process';

import { Drover } from '@drover/sdk/client';
import { NodeProcess, startRedis, waitFor, type TestRedis } from '@drover/testkit';
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';

import { DROVER, Home, manifest, type Ended } from './drover.ts';
import { dead, done, runItemPod, type Settle } from './itemPod.ts';

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

let home: Home;
let redis: TestRedis;
let drover: Drover;
let settle: Settle;

beforeAll(async () => {
  home = await Home.make();
  redis = await startRedis();
  drover = new Drover({ connection: redis.url });
  settle = await runItemPod(redis);
});
afterAll(async () => {
  await drover.close();
  await redis.stop();
  await home.remove();
});
/** Ten items: 1 to 4 completed, out of order, 5 to 7 dead. */
beforeEach(async () => {
  for (const { metadata } of await drover.workQueues.list()) {
    await drover.workQueue(metadata.name).delete();
  }
  await drover.workQueue('pages').enqueue(Array.from({ length: 10 }, (_, n) => ({ n: n + 1 })));
  await settle('pages', [done(2, 'two'), done(1, { size: 1 }), done(4)]);
  await settle('pages', [
    done(3, 'three'),
    dead(5, { n: 5 }, 'connect ETIMEDOUT\n  at somewhere'),
    dead(7, { n: 7 }, 'not found'),
    dead(6, { n: 6 }, 'read ETIMEDOUT'),
  ]);
});

async function run(...args: string[]): Promise<Ended> {
  return await home.drover(args, { env: { DROVER_REDIS_URL: redis.url } });
}

/** Standard output of a command that has nothing to complain about. */
async function queue(...args: string[]): Promise<string> {
  const ended = await run('queue', ...args);
  expect(ended).toMatchObject({ code: 0, stderr: '' });
  return ended.stdout;
}

function ndjson(text: string): Record<string, unknown>[] {
  const lines = text.split('\n').filter((line) => line !== '');
  return lines.map((line) => JSON.parse(line) as Record<string, unknown>);
}

describe('drover queue ls', () => {
  test('lists the work queues of a namespace', async () => {
    await drover.workQueue('empty').enqueue([]);
    await drover.workQueue('empty').seal();
    await drover.workQueue('shut').enqueue([1]);
    await drover.workQueue('shut').seal();
    const lines = (await queue('ls')).split('\n').map((line) => line.replace(/ +\d+m?s$/, ''));
    expect(lines).toEqual([
      'NAME    STATUS   ITEMS   LEFT   COMPLETED   DEAD   AGE',
      'empty   Done     0       0      0           0',
      'pages   Open     10      3      4           3',
      'shut    Sealed   1       1      0           0',
      '',
    ]);
    expect(await queue('ls', '--no-headers', '-o', 'name')).toMatch(
      /^workqueue\.drover\.dev\/empty\n/,
    );
    const list = JSON.parse(await queue('ls', '-o', 'json')) as { items: object[] };
    expect(list.items).toHaveLength(3);
    expect(list.items[1]).toMatchObject({ kind: 'WorkQueue', status: { unsettled: 3 } });
  });

  test('says when there is none', async () => {
    expect(await run('queue', 'ls', '-n', 'other')).toMatchObject({
      code: 0,
      stderr: 'No work queues found in other namespace.\n',
    });
  });
});

test('drover queue stats counts items by where they are', async () => {
  await drover.workQueue('pages').enqueue([11], { delay: 3_600_000 });
  const text = await queue('stats', 'pages');
  expect(text).toMatch(/^Status: +Open\nEnqueued: +11\nWaiting: +3\nDelayed: +1\nIn Flight: +0\n/m);
  expect(text).toMatch(/^Completed: +4\nDead: +3\nRetried: +0\n/m);
  expect(JSON.parse(await queue('stats', 'pages', '-o', 'json'))).toMatchObject({
    name: 'pages',
    namespace: 'default',
    waiting: 3,
    delayed: 1,
    dead: 3,
    sealed: false,
  });
  expect(await queue('stats', 'pages', '-o', 'yaml')).toMatch(/^name: pages\nnamespace: default\n/);
});

describe('drover queue results', () => {
  test('as a table, in order of completion', async () => {
    const lines = (await queue('results', 'pages')).split('\n');
    expect(lines.map((line) => line.replace(/ \d+m?s /, ' - '))).toEqual([
      'ID   ATTEMPTS   AGE   RESULT',
      '2    1          -    "two"',
      '1    1          -    {"size":1}',
      '4    1          -    <none>',
      '3    1          -    "three"',
      '',
    ]);
  });

  test('as lines of JSON, in order of enqueue', async () => {
    const results = ndjson(await queue('results', 'pages', '-o', 'ndjson', '--order', 'enqueue'));
    expect(results.map(({ id, result }) => [id, result])).toEqual([
      [1, { size: 1 }],
      [2, 'two'],
      [3, 'three'],
      [4, undefined],
    ]);
    expect(results[0]).toMatchObject({ attempts: 1, pod: { number: 1 } });
  });

  test('as one JSON list, of none too', async () => {
    expect(JSON.parse(await queue('results', 'pages', '-o', 'json'))).toHaveLength(4);
    await drover.workQueue('none').enqueue([1]);
    expect(JSON.parse(await queue('results', 'none', '-o', 'json'))).toEqual([]);
    expect(await run('queue', 'results', 'none')).toMatchObject({
      code: 0,
      stderr: 'No results of workqueue.drover.dev/none.\n',
    });
  });

  test('--follow goes on until all is done', async () => {
    await drover.workQueue('pages').seal();
    const follow = home.start([
      'queue',
      'results',
      'pages',
      '--follow',
      '-o',
      'ndjson',
      '--redis',
      redis.url,
    ]);
    await follow.waitForLine(/"id":3/);
    await settle('pages', [done(8, 'eight')]);
    await follow.waitForLine(/"id":8,"result":"eight"/);
    expect(follow.isOver).toBe(false);
    await settle('pages', [done(9), done(10, 'last')]);
    expect((await follow.exited).code).toBe(0);
    expect(follow.output('stdout')).toMatch(/"id":10,"result":"last"/);
  });

  test('--follow ends with Ctrl-C, which is no error', async () => {
    const follow = home.start(['queue', 'results', 'pages', '-f', '--redis', redis.url]);
    await follow.waitForLine(/"three"/);
    expect((await follow.kill('SIGINT')).code).toBe(0);
  });
});

describe('drover queue dead', () => {
  test('as a table, in order of their ids, each in one line', async () => {
    const lines = (await queue('dead', 'pages')).split('\n');
    expect(lines[0]).toMatch(/^ID +REASON +ATTEMPTS +AGE +ERROR +DATA$/);
    expect(lines.slice(1, 4).map((line) => line.replace(/ +/g, ' '))).toEqual([
      expect.stringMatching(/^5 Failed 3 \w+ connect ETIMEDOUT at somewhere \{"n":5\}$/),
      expect.stringMatching(/^6 Failed 3 \w+ read ETIMEDOUT \{"n":6\}$/),
      expect.stringMatching(/^7 Failed 3 \w+ not found \{"n":7\}$/),
    ]);
  });

  test('with error and data, only those that are asked for', async () => {
    const found = ndjson(await queue('dead', 'pages', '--match', 'ETIMEDOUT', '-o', 'ndjson'));
    expect(found).toMatchObject([
      { id: 5, data: { n: 5 }, error: 'connect ETIMEDOUT\n  at somewhere', reason: 'Failed' },
      { id: 6, data: { n: 6 } },
    ]);
    expect(ndjson(await queue('dead', 'pages', '--id', '6,7', '-o', 'ndjson'))).toHaveLength(2);
    const none = await run('queue', 'dead', 'pages', '--match', 'nothing');
    expect(none.stderr).toBe('No dead letters of workqueue.drover.dev/pages.\n');
  });
});

describe('drover queue retry', () => {
  test('all', async () => {
    expect(await queue('retry', 'pages')).toBe(
      'workqueue.drover.dev/pages: 3 items enqueued again\n',
    );
    const { status } = await drover.workQueues.get('pages');
    expect(status).toMatchObject({ enqueued: 13, dead: 0, retried: 3, unsettled: 6 });
  });

  test('those that are named, by id or by their error', async () => {
    expect(await queue('retry', 'pages', '--id', '7')).toMatch(/: 1 item enqueued again$/m);
    expect(JSON.parse(await queue('retry', 'pages', '--match', 'read', '-o', 'json'))).toEqual({
      workQueue: 'pages',
      retried: 1,
      notFound: [],
    });
    expect(ndjson(await queue('dead', 'pages', '-o', 'ndjson'))).toMatchObject([{ id: 5 }]);
  });

  test('ids that are none are told, and the others are enqueued', async () => {
    const ended = await run('queue', 'retry', 'pages', '--id', '5', '--id', '1,99');
    expect(ended).toEqual({
      code: 1,
      stdout: 'workqueue.drover.dev/pages: 1 item enqueued again\n',
      stderr:
        'error: workqueue.drover.dev/pages has no dead letter 1\n' +
        'error: workqueue.drover.dev/pages has no dead letter 99\n',
    });
  });
});

test('drover queue clear removes what nobody works on', async () => {
  expect(await queue('clear', 'pages')).toBe('workqueue.drover.dev/pages: 3 items removed\n');
  expect((await drover.workQueues.get('pages')).status).toMatchObject({ cleared: 3, dead: 3 });
  expect(JSON.parse(await queue('clear', 'pages', '-o', 'json'))).toEqual({
    workQueue: 'pages',
    cleared: 0,
  });
});

test('drover queue seal, twice too', async () => {
  expect(await queue('seal', 'pages')).toBe('workqueue.drover.dev/pages sealed\n');
  expect(await queue('seal', 'pages')).toBe('workqueue.drover.dev/pages was sealed before\n');
  const sealed = JSON.parse(await queue('seal', 'pages', '-o', 'json')) as object;
  expect(sealed).toMatchObject({ status: { sealedTime: expect.any(String) as string } });
});

test('drover queue delete removes it; where nobody can be asked, it does not ask', async () => {
  expect(await queue('delete', 'pages')).toBe('workqueue.drover.dev "pages" deleted\n');
  expect(await drover.workQueues.list()).toEqual([]);
  expect((await run('queue', 'delete', 'pages')).code).toBe(1);
  expect(await queue('delete', 'pages', '--ignore-not-found')).toBe('');
});

const hasScript = spawnSync('sh', ['-c', 'command -v script']).status === 0;

describe.skipIf(process.platform !== 'linux' || !hasScript)('on a terminal', () => {
  function onTerminal(...args: string[]): NodeProcess {
    const command = [process.execPath, DROVER, 'queue', ...args].join(' ');
    const child = spawn('script', ['-qec', command, '/dev/null'], {
      env: { ...process.env, DROVER_REDIS_URL: redis.url, TERM: 'xterm' },
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    return new NodeProcess(child);
  }

  /** Answers the question, which has no end of line. */
  async function answered(command: NodeProcess, answer: string): Promise<Ended> {
    let asked = '';
    command.child.stdout?.on('data', (text: Buffer) => (asked += text.toString()));
    await waitFor(() => asked.includes('[y/N]'));
    command.child.stdin?.write(answer);
    const { code } = await command.exited;
    return { code, stdout: command.output('stdout'), stderr: '' };
  }

  test('delete and clear ask first, and do nothing without a yes', async () => {
    const no = await answered(onTerminal('delete', 'pages'), 'n\n');
    expect(no.stdout).toMatch(
      /Delete workqueue\.drover\.dev\/pages \(3 items not settled, 3 dead, 4 completed\) with all results\?/,
    );
    expect(no.stdout).toMatch(/nothing was changed/);
    expect(no.code).toBe(1);
    expect((await answered(onTerminal('clear', 'pages'), '\n')).code).toBe(1);
    expect((await drover.workQueues.get('pages')).status).toMatchObject({ unsettled: 3 });
    expect((await answered(onTerminal('clear', 'pages'), 'yes\n')).code).toBe(0);
    expect((await drover.workQueues.get('pages')).status).toMatchObject({ cleared: 3 });
    expect((await onTerminal('delete', 'pages', '--yes').exited).code).toBe(0);
    expect(await drover.workQueues.list()).toEqual([]);
  });

  test('Ctrl-D and Ctrl-C are no yes', async () => {
    expect((await answered(onTerminal('delete', 'pages'), '\u0004')).code).toBe(1);
    expect((await answered(onTerminal('delete', 'pages'), '\u0003')).code).not.toBe(0);
    expect(await drover.workQueues.list()).toHaveLength(1);
  });
});

describe('bad input', () => {
  test.each(['stats', 'results', 'dead', 'retry', 'clear', 'seal', 'delete'])(
    '%s of a work queue that is not there',
    async (verb) => {
      expect(await run('queue', verb, 'nobody')).toEqual({
        code: 1,
        stdout: '',
        stderr: 'error: workqueues.drover.dev "nobody" in namespace "default" not found\n',
      });
    },
  );

  const cases: { args: string[]; want: RegExp }[] = [
    { args: ['stats'], want: /missing required argument 'name'/ },
    { args: ['nonsense'], want: /unknown command 'nonsense'/ },
    { args: ['stats', ''], want: /the name of the work queue is empty/ },
    { args: ['dead', 'pages', '--id', '1,x'], want: /--id x: the number of an item is expected/ },
    { args: ['results', 'pages', '--order', 'random'], want: /Allowed choices are completion, en/ },
    { args: ['retry', 'pages', '--attempts', '0'], want: /--attempts 0: a whole number of 1 to/ },
  ];
  test.each(cases)('$args', async ({ args, want }) => {
    const ended = await run('queue', ...args);
    expect(ended.stderr).toMatch(want);
    expect(ended.code).toBe(2);
  });
});

describe('a Job on a work queue', () => {
  async function apply(name: string, workQueue: string): Promise<void> {
    const job = JSON.parse(manifest(name, ['true'], { parallelism: 2 })) as { metadata: object };
    job.metadata = { name, annotations: { 'drover.dev/work-queue': workQueue } };
    const input = JSON.stringify(job);
    const env = { DROVER_REDIS_URL: redis.url };
    expect(await home.drover(['apply', '-f', '-'], { input, env })).toMatchObject({ code: 0 });
  }

  test('is described with it', async () => {
    await apply('crawl', 'pages');
    const { stdout } = await run('describe', 'job/crawl');
    expect(stdout).toMatch(
      /^Work Queue:\n {2}Name: +pages\n {2}Status: +Open\n {2}Items: +10 Enqueued \/ 3 Waiting /m,
    );
    const json = JSON.parse((await run('describe', 'job/crawl', '--json')).stdout) as object;
    expect(json).toMatchObject({ workQueue: { name: 'pages', stats: { waiting: 3 } } });
  });

  test('that is over and left items: wait says so, though it is Complete', async () => {
    await apply('early', 'pages');
    const controller = home.start(['controller', '--redis', redis.url, '--log-level', 'warn']);
    const worker = home.start(['worker', '--redis', redis.url, '--log-level', 'warn']);
    try {
      expect(await run('wait', 'job/early', '--for', 'complete', '--timeout', '30s')).toEqual({
        code: 0,
        stdout: 'job.batch/early condition met\n',
        stderr:
          'job.batch/early: 3 items are not settled: another Job on workqueue.drover.dev/pages would take them\n' +
          'job.batch/early: 3 items are dead letters of workqueue.drover.dev/pages: `drover queue dead pages` says why\n',
      });
      const { stdout } = await run('describe', 'job/early');
      expect(stdout).toMatch(/^ {2}Items Left: +3 items are not settled/m);
      // Events are told when what they are about is done.
      await expect
        .poll(async () => (await run('describe', 'job/early')).stdout)
        .toMatch(/^ {2}Warning +ItemsLeft +\d+s +job-controller +3 items are not settled/m);
    } finally {
      await Promise.all([controller.kill('SIGTERM'), worker.kill('SIGTERM')]);
    }
  });

  test('that is not there is what it waits for; describe and get say so', async () => {
    await apply('lost', 'nowhere');
    const controller = home.start(['controller', '--redis', redis.url, '--log-level', 'warn']);
    try {
      await waitFor(async () => (await drover.jobs.get('lost')).status.startTime !== undefined, {
        timeoutMs: 20_000,
      });
      const why = 'its pods start when there is a work queue "nowhere" in its namespace';
      const { stdout } = await run('describe', 'job/lost');
      expect(stdout).toMatch(/^Work Queue: +nowhere \(there is none\)$/m);
      expect(stdout).toContain(`Waiting:\n  ${why}`);
      expect((await run('get', 'job/lost')).stderr).toContain(`job/lost: ${why}`);
    } finally {
      await controller.kill('SIGTERM');
    }
  });
});
