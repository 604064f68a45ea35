import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

import { waitFor, type NodeProcess } from '@drover/testkit';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';

import { Home, type Ended } from '../drover.ts';

/** Commands take their time to start on a busy machine. */
const TIMEOUT_MS = 60_000;
vi.setConfig({ testTimeout: TIMEOUT_MS, hookTimeout: TIMEOUT_MS });

let home: Home;
let dev: NodeProcess;
let running: NodeProcess | null = null;

beforeAll(async () => {
  home = await Home.make();
  dev = await home.dev(['--max-pods', '4']);
});

afterEach(async () => {
  await running?.kill('SIGKILL');
  running = null;
});

afterAll(async () => {
  await dev.kill('SIGTERM');
  await home.remove();
});

const run = (...args: string[]): Promise<Ended> => home.droverHosted(['run', ...args]);
const pipe = (input: string, ...args: string[]): Promise<Ended> =>
  home.droverHosted(['run', ...args], { input });

describe('output', () => {
  test('of each run is whole, in the order of the arguments when asked for', async () => {
    const { code, stdout, stderr } = await run(
      '-k',
      '-j4',
      'echo a{}; sleep 0.{}; echo b{}',
      ':::',
      ...'321'.split(''),
    );
    expect({ code, stdout, stderr }).toEqual({
      code: 0,
      stdout: 'a3\nb3\na2\nb2\na1\nb1\n',
      stderr: '',
    });
  });

  test('comes byte for byte, to where it was written', async () => {
    const { stdout, stderr } = await run('-k', "printf '\\303{}'; echo e{} >&2", ':::', 'x', 'y');
    // Half a character: text of any other encoding is no business of ours.
    expect(stdout).toBe('\uFFFDx\uFFFDy');
    expect(stderr).toBe('ex\ney\n');
  });

  test('comes line by line while programs run when asked for', async () => {
    const go = join(home.dir, 'go-lines');
    const script = `echo first {}; until [ -e ${go} ]; do sleep 0.05; done; printf last`;
    running = home.start(['run', '--line-buffer', '--tag', '-j2', script, ':::', 'a', 'b']);
    await running.waitForLine(/^a\tfirst a$/, TIMEOUT_MS);
    await running.waitForLine(/^b\tfirst b$/, TIMEOUT_MS);
    await home.write('go-lines', '');
    expect(await running.exited).toEqual({ code: 0, signal: null });
    expect(running.output('stdout')).toMatch(/^(a\tlastb\tlast|b\tlasta\tlast)$/m);
  });

  test('is not waited for by a reader that goes away', async () => {
    const counter = join(home.dir, 'counter');
    const command = `printf x >> ${counter}; echo {}; sleep 0.05`;
    const drover = home.start(['run', '-j2', '--name', 'unread', command, ':::', ...numbers(400)]);
    running = drover;
    await drover.waitForLine(/^1$/, TIMEOUT_MS);
    drover.child.stdout?.destroy();
    expect(await drover.exited).toEqual({ code: 141, signal: null });
    expect(drover.output('stderr')).toBe('');
    expect((await readFile(counter, 'utf8')).length).toBeLessThan(400);
    expect((await home.drover(['get', 'job/unread'])).code).toBe(1);
  });
});

describe('the exit code', () => {
  test.each([
    ['is the number that failed', '0 1 0 7', 2, /^2 of 4 failed: number 2, 4$/m],
    ['is 101 for more than 100', numbers(103, '9').join(' '), 101, /^103 of 103 failed/m],
  ])('%s', async (_name, codes, want, note) => {
    const { code, stderr } = await run('-j1', 'exit {}', ':::', ...codes.split(' '));
    expect(code).toBe(want);
    expect(stderr).toMatch(note);
  });

  test('is 255 when somebody deletes the Job', async () => {
    running = home.start([
      'run',
      '--name',
      'gone',
      '--line-buffer',
      'echo {}; sleep 1000',
      ':::',
      'a',
    ]);
    await running.waitForLine(/^a$/, TIMEOUT_MS);
    await home.drover(['delete', 'job/gone']);
    expect(await running.exited).toEqual({ code: 255, signal: null });
    expect(running.output('stderr')).toBe('the Job was deleted\n');
  });

  test('is 255 when nothing could be run', async () => {
    const { code, stderr } = await run('--retries', 'x', '--halt', 'now', 'echo', ':::', 'a');
    expect(code).toBe(255);
    expect(stderr).toBe('error: --retries x: a whole number of 0 or more is expected\n');
  });
});

describe('a job log', () => {
  test('is gone on with after a crash', async () => {
    const log = join(home.dir, 'resumed');
    const go = join(home.dir, 'go-resume');
    const script = `[ {} -lt 3 ] || until [ -e ${go} ]; do sleep 0.05; done; echo {}; exit $(({} == 2))`;
    const args = ['-k', '-j1', '--joblog', log, script, ':::', '1', '2', '3', '4'];
    running = home.start(['run', '--name', 'crashed', ...args]);
    const isSecond = async () => /^2\t/m.test(await readFile(log, 'utf8').catch(() => ''));
    await waitFor(isSecond, { timeoutMs: TIMEOUT_MS });
    await running.kill('SIGKILL');
    await home.drover(['delete', 'job/crashed']);
    await home.write('go-resume', '');

    const all = await run('--resume', ...args);
    expect([all.code, all.stdout]).toEqual([0, '3\n4\n']);
    const failed = await run('--resume-failed', ...args);
    expect([failed.code, failed.stdout]).toEqual([1, '2\n']);
    const lines = (await readFile(log, 'utf8')).trimEnd().split('\n');
    expect(lines.map((line) => line.split('\t')[0])).toEqual(['Seq', '1', '2', '3', '4', '2']);
    expect(lines[1]).toMatch(/^1\t\S+\t\d+\.\d{3}\t +\d+\.\d{3}\t0\t2\t0\t0\t/);
  });

  test('with everything in it leaves nothing to run', async () => {
    const log = join(home.dir, 'done');
    await run('--joblog', log, 'true', ':::', 'a');
    const { code, stderr } = await run('--joblog', log, '--resume', 'true', ':::', 'a');
    expect({ code, stderr }).toEqual({
      code: 0,
      stderr: 'all arguments were run before: nothing to run\n',
    });
    const other = await run('--joblog', log, '--resume', 'false', ':::', 'a');
    expect(other.code).toBe(255);
    expect(other.stderr).toMatch(/number 1 was: true a; it is now: false a/);
  });
});

test('--halt now stops what runs and starts nothing more', async () => {
  const marker = join(home.dir, 'halted');
  const script = `[ {} = 2 ] && sleep 0.3 && exit 5; echo {} >> ${marker}; exec sleep 1000`;
  const { code, stderr } = await run('-j2', '--halt', 'now,fail=1', script, ':::', ...numbers(50));
  expect(code).toBe(5);
  expect(await readFile(marker, 'utf8')).toBe('1\n');
  expect(stderr).toMatch(/^halting: number 2 failed with exit code 5$/m);
  expect(stderr).toMatch(/^halted: 49 were not run to the end$/m);
});

test('a run that takes too long, or ends by a signal, is tried again and shows in the log', async () => {
  const log = join(home.dir, 'ends');
  const marker = join(home.dir, 'tries');
  const script = `echo {} >> ${marker}; [ {} = k ] && kill -9 $$; exec sleep 1000`;
  const { code } = await run(
    '-j2',
    '--timeout',
    '0.5s',
    '--retries',
    '2',
    '--joblog',
    log,
    script,
    ':::',
    'k',
    's',
  );
  expect(code).toBe(2);
  const fields = (await readFile(log, 'utf8'))
    .trimEnd()
    .split('\n')
    .slice(1)
    .map((line) => line.split('\t'));
  const ends = fields.map((field) => [field[0], field[6], field[7]].join(' '));
  expect(ends.toSorted()).toEqual(['1 0 9', '2 -1 15']);
  expect((await readFile(marker, 'utf8')).split('\n').toSorted().join('')).toBe('kkss');
});

test('arguments by the thousand do not make the Job any larger', async () => {
  const lines = numbers(1_000).map((number) => `${number} ${'x'.repeat(100)}`);
  const { code, stdout } = await pipe(lines.join('\n'), '-k', '--name', 'large', 'echo', '{}');
  expect(code).toBe(0);
  expect(stdout === `${lines.join('\n')}\n`).toBe(true);
  const job = await home.drover(['get', 'job/large', '-o', 'json']);
  expect(job.stdout.length).toBeLessThan(5_000);
  expect(JSON.parse(job.stdout)).toMatchObject({ status: { succeeded: 1_000 } });
});

test('standard input is read for {}, and for options of lists, not for a program alone', async () => {
  expect((await pipe('a\nb\n', '-k', 'echo')).stdout).toBe('a\nb\n');
  expect((await pipe('a\n', 'echo', 'x{}')).stdout).toBe('xa\n');
  expect((await pipe('a\n', 'echo', 'x')).stdout).toBe('x\n');
  expect((await pipe('a\n', '-c', '1', 'echo', 'x{}')).stdout).toBe('x{}\n');
  const empty = await pipe('', 'echo', '{}');
  expect(empty).toEqual({ code: 0, stdout: '', stderr: 'no arguments: nothing to run\n' });
});

test('nothing is lost on the way to a slow reader', async () => {
  const script = 'seq 200000 | "$0" "$1" run --dry-run echo {} | (sleep 1; wc -l)';
  const drover = fileURLToPath(new URL('../../bin/drover.js', import.meta.url));
  const { stdout } = await promisify(execFile)('sh', ['-c', script, process.execPath, drover]);
  expect(stdout.trim()).toBe('200000');
});

test('a worker that is killed takes nothing with it', async () => {
  const log = join(home.dir, 'killed');
  const args = ['-k', '-j4', '--joblog', log, 'echo {}; sleep 0.2', ':::', ...numbers(24)];
  const following = run(...args);
  await waitFor(async () => /^4\t/m.test(await readFile(log, 'utf8').catch(() => '')), {
    timeoutMs: TIMEOUT_MS,
  });
  const { stdout: nodes } = await home.drover(['get', 'nodes', '-o', 'json']);
  process.kill(Number(/"drover.dev\/pid": "(\d+)"/.exec(nodes)?.[1]), 'SIGKILL');
  const { code, stdout } = await following;
  expect({ code, stdout }).toEqual({ code: 0, stdout: `${numbers(24).join('\n')}\n` });
  const seqs = (await readFile(log, 'utf8'))
    .trimEnd()
    .split('\n')
    .map((line) => line.split('\t')[0]);
  expect(seqs.length).toBe(25);
  expect(new Set(seqs).size).toBe(25);
});

test('--dry-run prints what would be run', async () => {
  const dry = await run('--dry-run', '--tag', 'cp', '{}', '{.}.bak', ':::', 'a b.c');
  expect(dry).toEqual({ code: 0, stdout: "a b.c\tcp 'a b.c' 'a b.bak'\n", stderr: '' });
  expect((await run('--dry-run', 'echo', "it's")).stdout).toBe(`echo 'it'"'"'s'\n`);
});

test('--results keeps the output in files', async () => {
  const dir = join(home.dir, 'results');
  const { stdout } = await run(
    '--results',
    dir,
    'echo {}; echo e{} >&2',
    ':::',
    'a/b',
    ':::',
    '..',
  );
  expect(stdout).toBe('');
  const folder = join(dir, '1', 'a\\_b', '2', '\\..');
  expect(await readFile(join(folder, 'stdout'), 'utf8')).toBe('a/b ..\n');
  expect(await readFile(join(folder, 'stderr'), 'utf8')).toBe('ea/b ..\n');
});

test('Ctrl-C lets what runs end, writes the log, and starts nothing more', async () => {
  const log = join(home.dir, 'interrupted');
  const go = join(home.dir, 'go-interrupted');
  const script = `until [ -e ${go} ]; do sleep 0.05; done; echo {}`;
  running = home.start([
    'run',
    '-j2',
    '--name',
    'intr',
    '--joblog',
    log,
    script,
    ':::',
    ...numbers(9),
  ]);
  await waitFor(
    async () => {
      const { stdout } = await home.drover(['get', 'pods', '-l', 'job-name=intr']);
      return stdout.match(/Running/g)?.length === 2;
    },
    { timeoutMs: TIMEOUT_MS },
  );
  running.signal('SIGINT');
  await running.waitForLine(/^Ctrl-C: no further pods start, 2 running ones go on/, TIMEOUT_MS);
  await home.write('go-interrupted', '');
  expect(await running.exited).toEqual({ code: 130, signal: null });
  expect(running.output('stdout').trim().split('\n').toSorted()).toEqual(['1', '2']);
  expect((await readFile(log, 'utf8')).trimEnd().split('\n')).toHaveLength(3);
});

function numbers(count: number, text?: string): string[] {
  return Array.from({ length: count }, (_, i) => text ?? String(i + 1));
}
