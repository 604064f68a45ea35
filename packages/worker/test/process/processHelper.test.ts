import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync, openSync, readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { guardProcess, waitFor } from '@drover/testkit';
import { pino } from 'pino';
import { afterEach, describe, expect, test } from 'vitest';
import { ProcessRunner } from '../../src/process/processRunner.ts';
import { testHelpers } from '../support/helpers.ts';

const fixture = fileURLToPath(new URL('../fixtures/processWorker.ts', import.meta.url));
const env = { PATH: '/usr/bin:/bin' };
const closers: (() => Promise<void>)[] = [];

afterEach(async () => {
  for (const close of closers.splice(0)) await close();
});

function isAlive(pid: number): boolean {
  try {
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
}

function parentOf(pid: number): number {
  return Number(/^PPid:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]);
}

interface Worker {
  readonly child: ChildProcess;
  readonly lines: string[];
  /** Numbers that the containers printed as `pid N`. */
  pids(): number[];
}

/** A real process that runs containers, in a process group of its own. */
function startWorker(
  scripts: readonly string[],
  helper: string,
  options: { env?: Record<string, string>; stdio?: ('pipe' | 'ignore' | number)[] } = {},
): Worker {
  const child = spawn(
    process.execPath,
    ['--disable-warning=ExperimentalWarning', fixture, ...scripts],
    {
      detached: true,
      stdio: options.stdio ?? ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, ...options.env, TEST_HELPER: helper },
    },
  );
  guardProcess(child);
  closers.push(async () => {
    child.kill('SIGKILL');
    await waitFor(() => child.exitCode !== null || child.signalCode !== null);
  });
  const lines: string[] = [];
  for (const source of [child.stdout, child.stderr]) {
    if (source !== null) createInterface({ input: source }).on('line', (line) => lines.push(line));
  }
  const pids = (): number[] =>
    lines.flatMap((line) => (line.startsWith('pid ') ? [Number(line.slice(4))] : []));
  return { child, lines, pids };
}

describe.each(testHelpers)('$name', ({ name, helper, seesBeyondGroup }) => {
  describe('when the worker dies', () => {
    test('kill -9 leaves no process, no helper and no directory', async () => {
      const scripts = [
        'echo pid $$; while :; do sleep 1; done',
        'sleep 200 & echo pid $!; wait',
        'trap "" TERM INT HUP; echo pid $$; while :; do sleep 1; done',
      ];
      if (seesBeyondGroup) {
        scripts.push(
          // Groups and sessions of their own.
          'timeout 201 sleep 201 & echo pid $!; wait',
          'setsid sh -c "echo pid \\$\\$; while :; do sleep 1; done" & wait',
        );
      }
      const worker = startWorker(scripts, name);
      await waitFor(() => worker.pids().length >= scripts.length);
      const pids = worker.pids();
      const helperPid = parentOf(pids[0] ?? 0);
      expect(helperPid).not.toBe(worker.child.pid);
      // Before the worker's pid, which is the last argument.
      const directory = readFileSync(`/proc/${helperPid}/cmdline`, 'utf8').split('\0').at(-3) ?? '';
      // The others have no directory.
      expect(existsSync(directory)).toBe(name === 'javascript');
      worker.child.kill('SIGKILL');
      await waitFor(() => ![...pids, helperPid].some(isAlive), {
        timeoutMs: 3_000,
        describe: () => [...pids, helperPid].filter(isAlive),
      });
      expect(existsSync(directory)).toBe(false);
    });

    test('a worker that exits by itself leaves nothing either', async () => {
      const worker = startWorker(['echo pid $$; exec sleep 202'], name);
      await waitFor(() => worker.pids().length === 1);
      const [pid = 0] = worker.pids();
      // An uncaught error in the worker, say.
      worker.child.kill('SIGABRT');
      await waitFor(() => !isAlive(pid));
    });
  });

  describe('while the worker lives', () => {
    test('Ctrl-C at the terminal and SIGTERM to the group reach only the worker', async () => {
      const worker = startWorker(['echo pid $$; exec sleep 203'], name);
      await waitFor(() => worker.pids().length === 1);
      const [pid = 0] = worker.pids();
      for (const signal of ['SIGINT', 'SIGTERM'] as const) {
        process.kill(-(worker.child.pid ?? 0), signal);
        await waitFor(() => worker.lines.includes(`worker got ${signal}`));
      }
      // Signals to the helper itself are no reason to end either.
      const helperPid = parentOf(pid);
      process.kill(helperPid, 'SIGTERM');
      process.kill(helperPid, 'SIGINT');
      // It still works: the end of the container is told.
      process.kill(pid, 'SIGUSR1');
      await waitFor(() => worker.lines.some((line) => line.includes('"signal":"SIGUSR1"')));
    });

    test('it ends by itself once its containers have', async () => {
      const worker = startWorker(['sleep 0.3; echo done'], name);
      await waitFor(() => worker.child.exitCode !== null);
      expect(worker.lines).toContain('done');
      expect(worker.lines.some((line) => line.includes('"reason":"Completed"'))).toBe(true);
    });

    test('neither its environment nor its descriptors reach helper and containers', async () => {
      const secret = openSync(fixture, 'r');
      const stdio: ('pipe' | 'ignore' | number)[] = ['ignore', 'pipe', 'pipe', secret];
      // A high number, out of the row that Node itself marks close-on-exec.
      for (let index = 4; index < 40; index++) stdio.push('ignore');
      stdio.push(secret);
      const worker = startWorker(['echo pid $$; ls /proc/$$/fd; env; exec sleep 204'], name, {
        stdio,
        env: { DROVER_REDIS_URL: 'redis://:secret@nowhere' },
      });
      await waitFor(() => worker.lines.some((line) => line.startsWith('DROVER_PROCESS=')));
      const numbers = worker.lines.filter((line) => /^\d+$/.test(line));
      expect(numbers.toSorted()).toEqual(['0', '1', '2']);
      expect(worker.lines.join('\n')).not.toContain('secret');
      const helperPid = parentOf(worker.pids()[0] ?? 0);
      expect(readFileSync(`/proc/${helperPid}/environ`, 'utf8')).not.toContain('secret');
    });
  });

  describe('when the helper dies', () => {
    test('its containers are lost and killed, and the next start works', async () => {
      const runner = new ProcessRunner({ logger: pino({ level: 'silent' }), helper });
      closers.push(() => runner.close());
      let output = '';
      const onOutput = (_: string, chunk: Buffer): string => (output += chunk.toString());
      const group = runner.start(
        { command: ['sh', '-c', 'sleep 205 & echo pid $!; wait'], args: [], env },
        { onOutput },
      );
      const escaped = runner.start(
        { command: ['sh', '-c', 'setsid sleep 206 & echo pid $!; wait'], args: [], env },
        { onOutput },
      );
      await waitFor(() => output.split('pid ').length === 3 && output.endsWith('\n'));
      const started = await group.started;
      const pids = [
        started?.pid ?? 0,
        ...output.matchAll(/pid (\d+)/g).map((match) => Number(match[1])),
      ];
      process.kill(parentOf(pids[0] ?? 0), 'SIGKILL');
      for (const running of [group, escaped]) {
        const exit = await running.exited;
        expect(exit).toMatchObject({ reason: 'ContainerStatusUnknown', exitCode: 137 });
        expect(exit.message).toMatch(/helper.*SIGKILL/);
      }
      await waitFor(() => !pids.some(isAlive), { describe: () => pids.filter(isAlive) });
      const next = runner.start({ command: ['true'], args: [], env }, { onOutput });
      expect(await next.exited).toMatchObject({ exitCode: 0 });
    });

    test.skipIf(!seesBeyondGroup)(
      'that hangs is killed when the worker closes, and what it started with it',
      { timeout: 30_000 },
      async () => {
        const runner = new ProcessRunner({ logger: pino({ level: 'silent' }), helper });
        closers.push(() => runner.close());
        let output = '';
        const running = runner.start(
          { command: ['sh', '-c', 'setsid sleep 207 & echo pid $!; wait'], args: [], env },
          { onOutput: (_, chunk) => (output += chunk.toString()) },
        );
        await waitFor(() => output.endsWith('\n'));
        const started = await running.started;
        const pids = [started?.pid ?? 0, Number(output.slice(4))];
        expect(pids.every(isAlive)).toBe(true);
        process.kill(parentOf(pids[0] ?? 0), 'SIGSTOP');
        await runner.close();
        expect(await running.exited).toMatchObject({ reason: 'ContainerStatusUnknown' });
        await waitFor(() => !pids.some(isAlive), { describe: () => pids.filter(isAlive) });
      },
    );
  });
});
