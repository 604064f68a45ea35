import { existsSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { waitFor } from '@drover/testkit';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';

import { Home, type Ended, type RunOptions } from '../drover.ts';
import { LocalEngine } from '../localEngine.ts';

vi.setConfig({ testTimeout: 40_000, hookTimeout: 40_000 });

let home: Home;
let engine: LocalEngine;

beforeAll(async () => {
  home = await Home.make();
  engine = await LocalEngine.start();
  await home.write('items', '1\n"two"\n{"n": 3}\n');
  await home.write('mixed', '1\n{"n": \n"two"\n{"n": 3}\n');
});
afterAll(async () => {
  await engine.stop();
  await home.remove();
});

/** With the engine of the test. */
async function run(args: readonly string[], options: RunOptions = {}): Promise<Ended> {
  return await home.drover(['run', ...args], {
    ...options,
    env: { DROVER_REDIS_URL: engine.redis.url, ...options.env },
  });
}

const sh = (script: string): string[] => ['--', 'sh', '-c', script];

const queues = async (): Promise<string[]> =>
  (await engine.drover.workQueues.list()).map(({ metadata }) => metadata.name);

describe('with an engine of its own', () => {
  test('runs the program for each item, and tells what failed', async () => {
    const script = `read -r x; echo "got $x"; case $x in two) echo "no two" >&2; exit 4;; esac`;
    const { code, stdout, stderr } = await home.drover([
      'run',
      '--items',
      'items',
      '--retries',
      '1',
      '-j',
      '2',
      ...sh(script),
    ]);
    expect(code).toBe(1);
    expect(stdout.trimEnd().split('\n').toSorted()).toEqual(['got 1', 'got two', 'got {"n":3}']);
    expect(stderr).toMatch(/^no two$/m);
    expect(stderr).toMatch(/^item 2 \("two"\) failed: exit code 4: no two$/m);
    expect(stderr).toMatch(/^job\/sh-\w{5}: 3\/3 done, \d running, 1 failed$/m);
    expect(stderr).toMatch(/^job\/sh-\w{5} complete: 2 items completed, 1 failed in \d+\.\d s$/m);
  });

  test('needs a program that is there, and can not keep what ends with it', async () => {
    expect(await home.drover(['run', '--items', 'items', '--', 'no-such-program'])).toEqual({
      code: 2,
      stdout: '',
      stderr: 'error: no-such-program: it is not found in PATH\n',
    });
    const { code, stderr } = await home.drover(['run', '--items', 'items', '--keep', '--', 'cat']);
    expect(code).toBe(2);
    expect(stderr).toMatch(/^error: --keep: the engine of this run ends with it/);
  });
});

describe('with an engine that stays', () => {
  test('prints results in the order of the items, and leaves no work queue', async () => {
    const ended = await run(
      [
        '--items',
        '-',
        '--lines',
        '--result',
        '-k',
        '-j',
        '2',
        '--no-bar',
        ...sh('read -r x; [ "$x" != slow ] || sleep 0.3; echo "$x!"'),
      ],
      {
        input: 'slow\nfast\n\n{"no": "JSON here"\n',
      },
    );
    expect(ended.code).toBe(0);
    const results = ended.stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as unknown);
    expect(results).toMatchObject([
      { id: 1, result: 'slow!' },
      { id: 2, result: 'fast!' },
      { id: 3, result: '{"no": "JSON here"!' },
    ]);
    expect(ended.stderr).toMatch(/complete: 3 items completed in/);
    expect(await queues()).toEqual([]);
  });

  test('runs what comes while more is read, and ends with it', async () => {
    const seen = join(home.dir, 'seen');
    const command = home.start(['run', '--items', '-', ...sh(`cat >> ${seen}`)], {
      input: null,
      env: { DROVER_REDIS_URL: engine.redis.url },
    });
    command.child.stdin!.write('"first"\n');
    await waitFor(() => existsSync(seen), { timeoutMs: 20_000 });
    command.child.stdin!.end('"second"\n');
    expect(await command.exited).toMatchObject({ code: 0 });
    expect(await readFile(seen, 'utf8')).toBe('first\nsecond\n');
    expect(command.output('stderr')).toMatch(/complete: 2 items completed/);
  });

  test('keeps the work queue where it is asked to, and says all of it as JSON', async () => {
    const { code, stdout, stderr } = await run([
      '--items',
      'mixed',
      '--skip-invalid',
      '--name',
      'kept',
      '--keep',
      '--json',
      '--batch',
      '1',
      '--retries',
      '1',
      ...sh('! grep -q two'),
    ]);
    expect(code).toBe(1);
    expect(JSON.parse(stdout)).toMatchObject({
      items: { enqueued: 3, completed: 2, failed: 1, left: 0, skipped: 1 },
      failures: [{ id: 2, data: 'two', error: 'exit code 1', attempts: 1 }],
      job: { metadata: { name: 'kept' }, status: { conditions: expect.any(Array) as unknown } },
    });
    expect(stderr).toMatch(/^skipped mixed:2: is not JSON/m);
    expect(stderr).toMatch(/complete: 2 items completed, 1 failed, 1 line skipped in/);
    expect(stderr).toContain('its items stay: `drover queue stats kept`');
    expect(await engine.drover.workQueue('kept').stats()).toMatchObject({ allDone: true, dead: 1 });
    const again = await run(['--items', 'items', '--name', 'kept', '--', 'cat']);
    expect(again).toMatchObject({
      code: 2,
      stderr: expect.stringMatching(/already exists/) as string,
    });
    await engine.drover.workQueue('kept').delete();
  });

  test('Ctrl-C lets what runs end, and takes Job and items with it', async () => {
    const [begun, go] = ['begun', 'go'].map((file) => join(home.dir, `interrupt.${file}`));
    const command = home.start(
      [
        'run',
        '--items',
        '-',
        '-j',
        '1',
        ...sh(`cat >> ${begun}; while [ ! -e ${go} ]; do sleep 0.02; done`),
      ],
      { input: null, env: { DROVER_REDIS_URL: engine.redis.url } },
    );
    // Its input does not end.
    command.child.stdin!.write('1\n2\n3\n4\n5\n6\n7\n8\n9\n10\n');
    await waitFor(() => existsSync(begun!), { timeoutMs: 20_000 });
    command.child.kill('SIGINT');
    await command.waitForLine(/Ctrl-C: no further items are begun/);
    const [name = ''] = await queues();
    await waitFor(async () => {
      const { waiting, inFlight } = await engine.drover.workQueue(name).stats();
      return waiting === 0 && inFlight === 1;
    });
    await writeFile(go!, '');
    expect(await command.exited).toMatchObject({ code: 130 });
    expect(command.output('stderr')).toMatch(/ended: 1 item completed, 9 left in/);
    expect(await queues()).toEqual([]);
    const jobs = await engine.drover.jobs.list();
    expect(jobs.filter(({ spec }) => spec.suspend)).toEqual([]);
  });

  test('a program that is not on the workers ends it at once: 1, and no item is to blame', async () => {
    const { code, stderr } = await run(['--items', 'items', '-j', '1', '--', 'no-such-program']);
    expect(code).toBe(1);
    expect(stderr).toMatch(/^error: no-such-program: it is not found in PATH$/m);
    expect(stderr).toMatch(/^a pod failed: exit code 2$/m);
    expect(stderr).toMatch(/failed: PodFailurePolicy: /);
    expect(stderr).toMatch(/^0 items completed, 3 left$/m);
  });

  test('one that takes too long: 124', async () => {
    const { code, stderr } = await run([
      '--items',
      'items',
      '--timeout',
      '1s',
      '--',
      'sleep',
      '60',
    ]);
    expect(code).toBe(124);
    expect(stderr).toMatch(/failed: DeadlineExceeded: /);
    expect(stderr).toMatch(/^0 items completed, 3 left$/m);
    expect(await queues()).toEqual([]);
  });

  test('a bad line: nothing is run of a file, and of a pipe what came before', async () => {
    const file = await run(['--items', 'mixed', ...sh('cat')]);
    expect(file).toEqual({
      code: 2,
      stdout: '',
      stderr: expect.stringMatching(
        /^error: mixed:2: is not JSON: .*\nNothing was enqueued\./,
      ) as string,
    });
    const pipe = await run(['--items', '-', ...sh('cat')], { input: '1\n2\n{"n": \n4\n' });
    expect(pipe.code).toBe(2);
    expect(pipe.stderr).toMatch(
      /^error: stdin:3: is not JSON: .*\nThe items before it were enqueued, and may have run: 2\. The Job is deleted\.$/m,
    );
    expect(await queues()).toEqual([]);
  });
});
