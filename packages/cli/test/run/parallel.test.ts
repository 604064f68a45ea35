import { spawnSync } from 'node:child_process';
import { mkdir, mkdtemp, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import type { NodeProcess } from '@drover/testkit';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { Home } from '../drover.ts';

/** Not on every machine: Debian, Ubuntu: apt-get install parallel; macOS: brew install parallel. */
const version = spawnSync('parallel', ['--version'], { encoding: 'utf8' }).stdout ?? '';
const isThere = version.startsWith('GNU parallel');

/** Command lines that both understand; what they print, log and exit with must be the same. */
const CASES: readonly { readonly args: readonly string[]; readonly input?: string }[] = [
  { args: ['-k', 'echo', '{}', ':::', 'a b', "it's", 'd$x', '', '*', '-n'] },
  { args: ['-k', '-0', 'echo', '{}'], input: 'a b\0c\nd\0' },
  { args: ['-k'], input: 'echo x\necho y z\n' },
  { args: ['-k', '--tag', 'echo {}; echo two; printf no-nl', ':::', 'a', 'b', ':::+', '1', '2'] },
  { args: ['-k', '--tagstring', 'T{#}-{.}', 'echo {}', ':::', 'a.x', 'b.y'] },
  { args: ['--line-buffer', '-j1', '--tag', 'echo {}; printf z', ':::', 'a', 'b'] },
  { args: ['-k', '-j50%', 'echo {}; exit {}', ':::', '0', '3', '0', '5'] },
  { args: ['-j0', 'exit 1; {}', ':::'].concat(Array.from({ length: 102 }, (_, i) => String(i))) },
  { args: ['-j1', '--joblog', 'log', 'echo {}; echo err >&2; exit {}', ':::', '0', '3'] },
  { args: ['-j1', '--joblog', 'log', 'kill -9 $$ #{}', ':::', '1'] },
  { args: ['-j1', '--joblog', 'log', 'echo', '{}', ':::', 'a b', "it's", 'x=y'] },
  { args: ['-j1', '--joblog', 'log', 'there-is-no-such-program', ':::', '1'] },
  { args: ['-j1', '--joblog', 'log', '--timeout', '1', 'sleep {}', ':::', '50'] },
  { args: ['-j1', '--joblog', 'log', '--retries', '3', 'echo x >>n; wc -l <n; false', ':::', '1'] },
  { args: ['-j1', '--halt', 'soon,fail=1', 'kill -9 $$; echo {}', ':::', '1', '2'] },
  { args: ['--results', 'results', 'echo {}; echo e >&2', ':::', 'a', 'b/c', ':::', 'x y'] },
  ...[
    ['now,fail=1', '0 3 0 4'],
    ['soon,fail=2', '0 3 0 4 0'],
    ['now,success=1', '1 0 2 4'],
    ['now,fail=50%', '1 0 2 4'],
  ].map(([rule = '', codes = '']) => ({
    args: [
      '-j1',
      '--halt',
      rule,
      '--joblog',
      'log',
      'echo {}; exit {}',
      ':::',
      ...codes.split(' '),
    ],
  })),
  // How arguments are read and put in needs no engine.
  ...[
    'echo {} {.} {/} {//} {/.} {#}|:::|a/b.c.d|x|/r/s.t|a/|.|.x|a/.b|a.b/c|/x|a//b|../x.y'.split(
      '|',
    ),
    ['echo', '{.}', '{/}', '{//}', '{/.}', ':::', 'a/b.c.d', 'x', '/r/s.t'],
    ['echo', ':::', 'a', 'b', ':::', '1', '2'],
    ['echo {} , {1}-{2} {-1} {#}', ':::', 'a', 'b', ':::', '1', '2'],
    ['echo', ':::', 'a', 'b', ':::+', '1', '2', ':::', 'x', 'y'],
    ['-a', 'A', '-a', 'B', 'echo {1}{2}'],
    ['echo {1}{2}', '::::', 'A', '::::+', 'B'],
    ['--tag', 'echo', '{}', ':::', "it's", '', 'a=b', '~x', 'ü'],
    ['echo {1}{2}', '::::', '-', ':::', 'x', 'y'],
    ['echo x{}y'],
  ].map((args) => ({ args: ['-k', '--dry-run', ...args], input: 'q\n\nr' })),
];

/** Each starts two commands, which takes its time on a busy machine. */
const TIMEOUT_MS = 60_000;

let home: Home;
let dev: NodeProcess | null = null;

beforeAll(async () => {
  home = await Home.make();
  if (isThere) dev = await home.dev(['--max-pods', '8']);
}, TIMEOUT_MS);

afterAll(async () => {
  await dev?.kill('SIGTERM');
  await home.remove();
});

/** An empty place to run a command in, with the files that the commands read. */
async function makePlace(): Promise<string> {
  const place = await mkdtemp(join(home.dir, 'place-'));
  await writeFile(join(place, 'A'), 'a\nb\n');
  await writeFile(join(place, 'B'), '1\n2\n');
  await mkdir(join(place, 'home'));
  // GNU parallel asks to be cited, once, on standard error.
  await writeFile(join(place, 'home', 'will-cite'), '');
  return place;
}

/** The job log without its times, and without the host: drover names the node. */
async function readLog(place: string): Promise<string[][]> {
  const text = await readFile(join(place, 'log'), 'utf8').catch(() => '');
  return text.split('\n').map((line) => line.split('\t').toSpliced(1, 3));
}

async function readResults(place: string): Promise<string[]> {
  const folder = join(place, 'results', '1', 'b\\_c', '2', 'x y');
  const read = (name: string) => readFile(join(folder, name), 'utf8').catch(() => '');
  return [await read('stdout'), await read('stderr'), await read('seq')];
}

describe.skipIf(!isThere)('beside GNU parallel (skipped where it is not installed)', () => {
  test.for(CASES)('$args', { timeout: TIMEOUT_MS }, async ({ args, input = '' }) => {
    const theirs = await makePlace();
    const { status, stdout } = spawnSync('parallel', args, {
      cwd: theirs,
      input,
      encoding: 'utf8',
      env: { ...process.env, PARALLEL_HOME: join(theirs, 'home') },
    });
    const ours = await makePlace();
    const result = await home.droverHosted(['run', ...args], { cwd: ours, input });
    expect({ code: result.code, stdout: result.stdout }).toEqual({ code: status, stdout });
    expect(await readLog(ours)).toEqual(await readLog(theirs));
    expect(await readResults(ours)).toEqual(await readResults(theirs));
  });
});
