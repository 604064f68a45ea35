import assert from 'node:assert/strict';
import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync, readFileSync } from 'node:fs';
import { copyFile, mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { availableParallelism, release, tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { guardProcess, waitFor } from '@drover/testkit';
import { pino } from 'pino';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import {
  encodeFrame,
  FrameReader,
  FrameType,
  PROTOCOL_VERSION,
  StartEncoder,
  type Frame,
} from '../../src/process/frames.ts';
import { helperSources, type HelperSource } from '../../src/process/helperProgram.ts';
import { HelperReplies } from '../../src/process/helperReplies.ts';
import { compiledHelper, PORTABLE_FLAG } from '../../src/process/nativeHelper.ts';
import { ProcessRunner } from '../../src/process/processRunner.ts';
import { canCompile, compiles } from '../support/helpers.ts';

/** What a compiler can find wrong, and what the program finds wrong with itself while it runs. */
const WARNINGS = ['-Wall', '-Wextra', '-Wshadow', '-Wstrict-prototypes', '-Werror'];
const SANITIZERS = ['-g', '-fsanitize=address,undefined', '-fno-sanitize-recover=all'];

// The compiler takes a second, and many on a busy machine.
vi.setConfig({ testTimeout: 60_000 });

const sanitizers = (await compiles(SANITIZERS)) ? SANITIZERS : [];

let directory: string;
const closers: (() => void | Promise<void>)[] = [];

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'drover-test-'));
});

afterEach(async () => {
  for (const close of closers.splice(0)) await close();
});

afterAll(async () => {
  await rm(directory, { recursive: true, force: true });
});

/** A helper that is spoken to frame by frame. */
class RawHelper {
  readonly child: ChildProcess;
  readonly frames: Frame[] = [];
  readonly errors: string[] = [];
  outputBytes = 0;
  replies: HelperReplies | null = null;
  exitCode: number | null | undefined;

  constructor(command: string, args: readonly string[], home: string) {
    this.child = spawn(command, [...args, '0123456789abcdef', home], {
      stdio: ['pipe', 'pipe', 'pipe'],
      env: { PATH: process.env['PATH'] ?? '' },
    });
    guardProcess(this.child);
    this.child.stdin?.on('error', () => {});
    this.child.stderr?.on('data', (chunk: Buffer) => this.errors.push(chunk.toString()));
    this.child.once('close', (code) => (this.exitCode = code));
    const first = new FrameReader({ onFrame: (frame) => this.#ready(frame), onOutput: () => {} });
    this.child.stdout?.on('data', (chunk: Buffer) => first.push(chunk));
  }

  #ready({ type, fields: [version, path = ''] }: Frame): void {
    assert.deepEqual([type, version], [FrameType.ready, PROTOCOL_VERSION]);
    const reader = new FrameReader({
      onFrame: (frame) => this.#take(frame),
      onOutput: (_id, _stream, bytes) => (this.outputBytes += bytes.length),
    });
    this.replies = HelperReplies.open(path, (bytes) => reader.push(bytes));
  }

  /** One that says all is taken for the two that it stands for. */
  #take(frame: Frame): void {
    this.frames.push(frame);
    if (frame.type !== FrameType.ran) return;
    const { id, fields } = frame;
    this.frames.push(
      { type: FrameType.started, id, fields: fields.slice(0, 3) },
      { type: FrameType.exited, id, fields: fields.slice(3) },
    );
  }

  write(...frames: Buffer[]): void {
    this.child.stdin?.write(Buffer.concat(frames));
  }

  ofType(type: number): Frame[] {
    return this.frames.filter((frame) => frame.type === type);
  }
}

async function startRaw(flags: readonly string[], shellPrefix = ''): Promise<RawHelper> {
  const path = await compiledHelper(flags);
  const home = await mkdtemp(join(directory, 'raw-'));
  const [command, args] =
    shellPrefix === '' ? [path, []] : ['sh', ['-c', `${shellPrefix}; exec "$0" "$@"`, path]];
  const helper = new RawHelper(command, args, home);
  closers.push(() => {
    helper.replies?.close();
    helper.child.kill('SIGKILL');
  });
  await waitFor(() => helper.replies !== null, { describe: () => helper.errors });
  return helper;
}

function program(id: number, argv: readonly string[]): Buffer {
  return new StartEncoder({
    workingDir: '/',
    input: null,
    user: null,
    cgroup: null,
    mounts: [],
    argv,
    env: { PATH: '/usr/bin:/bin' },
  }).encode(id, []);
}

const variants = [
  { name: 'native', flags: [] },
  { name: 'portable', flags: [PORTABLE_FLAG] },
];

describe.skipIf(!canCompile).each(variants)('$name', ({ flags }) => {
  const checked = [...WARNINGS, ...sanitizers, ...flags];

  test('compiles without a warning, optimised', async () => {
    await expect(compiledHelper([...WARNINGS, ...flags])).resolves.toMatch(/process-helper/);
  });

  test('many programs, good and bad, with signals for some: each has one answer and one end', async () => {
    const helper = await startRaw(checked);
    const count = 200;
    for (let id = 1; id <= count; id++) {
      if (id % 4 === 0) helper.write(program(id, ['no-such-command']));
      else if (id % 4 === 1)
        helper.write(program(id, ['sh', '-c', `echo ${id}; exit ${id % 100}`]));
      else helper.write(program(id, ['sleep', id % 4 === 2 ? '0.01' : '100']));
      if (id % 4 === 3) helper.write(encodeFrame(FrameType.signal, id, ['9']));
      helper.write(encodeFrame(FrameType.signal, id + 100_000, ['15']));
    }
    const answered = (): number => {
      return helper.ofType(FrameType.startFailed).length + helper.ofType(FrameType.exited).length;
    };
    await waitFor(() => answered() === count, { describe: () => [answered(), helper.errors] });
    expect(helper.ofType(FrameType.startFailed).length).toBe(count / 4);
    expect(helper.ofType(FrameType.started).length).toBe((3 * count) / 4);
    for (const { id, fields } of helper.ofType(FrameType.exited)) {
      const want = { 1: [String(id % 100), ''], 2: ['0', ''], 3: ['', '9'] }[id % 4];
      expect(fields.slice(0, 2)).toEqual(want);
    }
    helper.child.stdin?.end();
    await waitFor(() => helper.exitCode !== undefined);
    expect([helper.exitCode, helper.errors]).toEqual([0, []]);
  });

  test('a program that writes nothing and ends soon is told in one frame, any other in several', async () => {
    const helper = await startRaw(checked);
    helper.write(program(1, ['true']), program(2, ['echo', 'hello']), program(3, ['sleep', '0.1']));
    await waitFor(() => helper.ofType(FrameType.exited).length === 3, {
      describe: () => [helper.frames, helper.errors],
    });
    const typesOf = (id: number): number[] =>
      helper.frames.filter((frame) => frame.id === id).map(({ type }) => type);
    const { ran, started, exited } = FrameType;
    // On a busy machine it may take longer than what is soon.
    expect([
      [ran, started, exited],
      [started, exited],
    ]).toContainEqual(typesOf(1));
    expect([2, 3].map(typesOf)).toEqual([
      [started, exited],
      [started, exited],
    ]);
    expect(helper.outputBytes).toBe(6);
  });

  test('a start that makes no sense is refused, an unknown frame passed over', async () => {
    const helper = await startRaw(checked);
    const broken = [
      ['/', '0', '5', 'true'],
      ['/', '99999999999', 'true'],
      ['/', '0', '0'],
      ['/'],
      ['/', '1', '/only-a-source'],
      ['/', '-1', '1', 'true'],
    ];
    helper.write(
      encodeFrame(99, 1, ['x']),
      encodeFrame(FrameType.signal, 1, []),
      ...broken.map((fields, index) => encodeFrame(FrameType.start, index + 1, fields)),
      program(50, ['true']),
    );
    await waitFor(() => helper.ofType(FrameType.exited).length === 1, {
      describe: () => [helper.frames, helper.errors, helper.exitCode],
    });
    expect(helper.ofType(FrameType.exited)[0]?.id).toBe(50);
    const refused = helper.ofType(FrameType.startFailed);
    expect(refused.map(({ id, fields }) => [id, ...fields])).toEqual(
      broken.map((_, index) => [index + 1, 'EINVAL', 'other']),
    );
    expect(helper.errors).toEqual([]);
  });

  test('a frame of impossible length ends it, and with it what it started', async () => {
    const helper = await startRaw(checked);
    helper.write(program(1, ['sleep', '100']));
    await waitFor(() => helper.ofType(FrameType.started).length === 1);
    const pid = Number(helper.ofType(FrameType.started)[0]?.fields[0]);
    helper.write(Buffer.from('hello, this is not a frame'));
    await waitFor(() => helper.exitCode !== undefined);
    expect(helper.exitCode).toBe(1);
    expect(helper.errors.join('')).toMatch(/impossible length/);
    expect(existsSync(`/proc/${pid}`)).toBe(false);
  });

  test('a worker that is killed before it has opened the replies leaves no directory behind', async () => {
    const home = await mkdtemp(join(directory, 'raw-'));
    const child = spawn(await compiledHelper(checked), ['0123456789abcdef', home]);
    guardProcess(child);
    await once(child.stdout, 'data');
    expect(await readdir(home)).toEqual(['replies']);
    child.stdin.end();
    await once(child, 'close');
    expect(existsSync(home)).toBe(false);
  });

  test('a request in the smallest pieces', async () => {
    const helper = await startRaw(checked);
    const request = program(1, ['sh', '-c', 'exit 3']);
    for (const byte of request) {
      helper.write(Buffer.of(byte));
      await new Promise((resolve) => setImmediate(resolve));
    }
    await waitFor(() => helper.ofType(FrameType.exited).length === 1);
    expect(helper.ofType(FrameType.exited)[0]?.fields[0]).toBe('3');
  });

  test('out of descriptors: starts fail in words, and work again later', async () => {
    const helper = await startRaw(checked, 'ulimit -n 24');
    for (let id = 1; id <= 40; id++) helper.write(program(id, ['sleep', '100']));
    const answered = (): number =>
      helper.ofType(FrameType.startFailed).length + helper.ofType(FrameType.started).length;
    await waitFor(() => answered() === 40, { describe: () => [answered(), helper.errors] });
    const refused = helper.ofType(FrameType.startFailed);
    expect(refused.length).toBeGreaterThan(0);
    expect(refused.every(({ fields }) => fields.join() === 'EMFILE,other')).toBe(true);
    const started = helper.ofType(FrameType.started);
    for (const { id } of started) helper.write(encodeFrame(FrameType.signal, id, ['15']));
    await waitFor(() => helper.ofType(FrameType.exited).length === started.length);
    helper.write(program(100, ['true']));
    await waitFor(() => helper.ofType(FrameType.exited).some(({ id }) => id === 100));
  });

  test.skipIf(process.platform !== 'linux')(
    'output that is given up is forgotten, also when another process holds its descriptor',
    async (context) => {
      const helper = await startRaw(checked);
      // An older container, so that an orphan without a marker may be its own.
      helper.write(program(1, ['sleep', '100']));
      await waitFor(() => helper.ofType(FrameType.started).length === 1);
      helper.write(program(2, ['sh', '-c', 'setsid env -i /bin/sleep 2 & exec sleep 0.1']));
      await waitFor(() => helper.ofType(FrameType.started).length === 2);
      if (!(await copyDescriptors(helper.child.pid ?? 0))) context.skip();
      await waitFor(() => helper.ofType(FrameType.exited).length === 1);
      // The orphan ends, and with it the last writer.
      await waitFor(() => !hasChild(helper.child.pid ?? 0, 'sleep', 2));
      helper.write(program(3, ['true']));
      await waitFor(() => helper.ofType(FrameType.exited).length === 2, {
        describe: () => helper.errors,
      });
      expect([helper.exitCode, helper.errors]).toEqual([undefined, []]);
    },
  );

  test('while nobody reads its replies a flood waits, and the helper stays small', async () => {
    // Not with sanitizers, which take memory of their own.
    const helper = await startRaw(flags);
    helper.write(program(1, ['head', '-c', '100000000', '/dev/zero']));
    await waitFor(() => helper.outputBytes > 0);
    helper.replies?.pause();
    // Signals are obeyed nevertheless.
    helper.write(program(2, ['sleep', '100']), encodeFrame(FrameType.signal, 2, ['9']));
    const rss = (): number =>
      Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${helper.child.pid}/status`, 'utf8'))?.[1]);
    await waitFor(() => !hasChild(helper.child.pid ?? 0, 'sleep'));
    expect(rss()).toBeLessThan(8_000);
    helper.replies?.resume();
    await waitFor(() => helper.ofType(FrameType.exited).length === 2);
    expect(helper.outputBytes).toBe(100_000_000);
  });
});

/** Whether a process has so many children of a name. */
function hasChild(parent: number, name: string, count = 1): boolean {
  const children = readFileSync(`/proc/${parent}/task/${parent}/children`, 'utf8').trim();
  const named = children
    .split(' ')
    .filter((pid) => pid !== '')
    .filter((pid) => readFileSync(`/proc/${pid}/comm`, 'utf8').trim() === name);
  return named.length >= count;
}

/** Takes copies of a process' descriptors, as a program has them for a moment when it starts. */
const COPY_DESCRIPTORS = `
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
int main(int count, char **arguments) {
  int process = (int)syscall(434, atoi(arguments[count - 1]), 0), copied = 0;
  for (int descriptor = 3; descriptor < 64; descriptor++)
    copied += syscall(438, process, descriptor, 0) >= 0;
  puts(copied > 0 ? "copied" : "refused");
  fflush(stdout);
  return pause();
}`;

/** False where the system does not allow it. */
async function copyDescriptors(pid: number): Promise<boolean> {
  const source = join(directory, 'copy-descriptors.c');
  const command = join(directory, 'copy-descriptors');
  await writeFile(source, COPY_DESCRIPTORS);
  await promisify(execFile)('cc', ['-o', command, source]);
  const child = spawn(command, [String(pid)], { stdio: ['ignore', 'pipe', 'ignore'] });
  guardProcess(child);
  closers.push(() => void child.kill('SIGKILL'));
  const [chunk] = (await once(child.stdout, 'data')) as [Buffer];
  return chunk.toString().startsWith('copied');
}

/** ns that a process may run at a time while others wait; null where the system does not say. */
function sliceOf(text: string): number | null {
  const slice = /^se\.slice\s*:\s*(\d+)/m.exec(text)?.[1];
  return slice === undefined ? null : Number(slice);
}

/** A process may ask for another one from Linux 6.12 on. */
function hasSlices(): boolean {
  if (process.platform !== 'linux' || !existsSync('/proc/self/sched')) return false;
  const [major = 0, minor = 0] = release().split('.').map(Number);
  if (major < 6 || (major === 6 && minor < 12)) return false;
  return sliceOf(readFileSync('/proc/self/sched', 'utf8')) !== null;
}

test.skipIf(!canCompile || !hasSlices())(
  'worker and helper need not wait until a program had its slice of the CPU, which is as long as anywhere',
  async () => {
    const usual = sliceOf((await promisify(execFile)('cat', ['/proc/self/sched'])).stdout);
    const runner = new ProcessRunner({ logger: pino({ level: 'silent' }), helper: 'native' });
    closers.push(() => runner.close());
    let output = '';
    const running = runner.start(
      { command: ['sh', '-c', 'cat /proc/$PPID/sched /proc/self/sched'], args: [], env: {} },
      { onOutput: (_, chunk) => (output += chunk.toString()) },
    );
    expect(await running.exited).toMatchObject({ exitCode: 0 });
    const slices = output.split(/^(?=.*#threads)/m).map(sliceOf);
    expect(slices).toEqual([100_000, usual]);
    expect(sliceOf(readFileSync(`/proc/${process.pid}/sched`, 'utf8'))).toBe(100_000);
  },
);

describe('which helper', () => {
  const logger = pino({ level: 'silent' });

  async function run(helper: readonly HelperSource[] | undefined): Promise<number> {
    const runner = new ProcessRunner({ logger, helper });
    closers.push(() => runner.close());
    const env = { PATH: '/usr/bin:/bin' };
    const running = runner.start({ command: ['true'], args: [], env }, { onOutput: () => {} });
    return (await running.exited).exitCode;
  }

  /** A native helper that does not start. */
  const broken = (command: string): HelperSource => {
    return () => Promise.resolve({ kind: 'native', command, args: [] });
  };

  test('one that does not start is passed over', async () => {
    const notExecutable = join(directory, 'not-executable');
    await copyFile('/bin/true', notExecutable);
    chmodSync(notExecutable, 0o644);
    const foreign = join(directory, 'foreign');
    // As a binary of another architecture looks to the system.
    await writeFile(foreign, Buffer.from('7f454c4602010100000000000000000002000000', 'hex'));
    chmodSync(foreign, 0o755);
    const [javascript] = helperSources('javascript');
    const sources = [notExecutable, foreign, '/no/such/helper', '/bin/true'].map(broken);
    expect(await run([...sources, ...(javascript === undefined ? [] : [javascript])])).toBe(0);
  });

  test('of the one in JavaScript there are two, which share the work; one alone is enough', async () => {
    let asked = 0;
    const [javascript] = helperSources('javascript');
    assert(javascript !== undefined);
    const onlyOnce: HelperSource = () => {
      asked += 1;
      return asked === 1 ? javascript() : Promise.resolve(null);
    };
    for (const [source, parents] of [
      [javascript, 2],
      [onlyOnce, 1],
    ] as const) {
      const runner = new ProcessRunner({ logger, helper: [source] });
      closers.push(() => runner.close());
      await runner.warmUp();
      let output = '';
      const runs = [1, 2, 3, 4].map(() =>
        runner.start(
          {
            command: ['sh', '-c', 'echo $PPID; sleep 0.1'],
            args: [],
            env: { PATH: '/usr/bin:/bin' },
          },
          { onOutput: (_, chunk) => (output += chunk.toString()) },
        ),
      );
      await Promise.all(runs.map((running) => running.exited));
      expect(new Set(output.trim().split('\n')).size).toBe(
        Math.min(parents, availableParallelism()),
      );
    }
  });

  test('when none starts the pod says why', async () => {
    const runner = new ProcessRunner({ logger, helper: [broken('/bin/false')] });
    closers.push(() => runner.close());
    const running = runner.start({ command: ['true'], args: [], env: {} }, { onOutput: () => {} });
    const exit = await running.exited;
    expect(exit).toMatchObject({ exitCode: 128, reason: 'StartError' });
    expect(exit.message).toMatch(/helper.*\/bin\/false.*code 1/);
  });

  test('a wrong value of the variable is refused', () => {
    process.env['DROVER_PROCESS_HELPER'] = 'rust';
    try {
      expect(() => new ProcessRunner({ logger })).toThrow(
        /DROVER_PROCESS_HELPER: "rust" is not one of auto, native, javascript/,
      );
    } finally {
      delete process.env['DROVER_PROCESS_HELPER'];
    }
  });

  test.skipIf(!canCompile)('it is kept where nobody else can write, whole and once', async () => {
    const home = await mkdtemp(join(directory, 'home-'));
    const open = join(home, 'drover');
    await mkdir(open);
    const before = process.env['XDG_CACHE_HOME'];
    process.env['XDG_CACHE_HOME'] = home;
    try {
      const paths = await Promise.all([compiledHelper(), compiledHelper()]);
      expect(paths[0]).toBe(paths[1]);
      expect(await readdir(open)).toEqual([paths[0]?.split('/').at(-1)]);
      chmodSync(open, 0o777);
      expect(await compiledHelper()).not.toContain(home);
    } finally {
      if (before === undefined) delete process.env['XDG_CACHE_HOME'];
      else process.env['XDG_CACHE_HOME'] = before;
    }
  });
});
