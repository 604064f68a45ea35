import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { closeSync, constants, openSync, readdirSync, readFileSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { waitFor } from '@drover/testkit';
import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { OutputPipes } from '../../src/process/outputPipes.ts';
import type { ProcessExit } from '../../src/process/processExit.ts';
import { ProcessRunner } from '../../src/process/processRunner.ts';
import { testHelpers } from '../support/helpers.ts';
import type { ProcessPodSpec, RunningProcess } from '../../src/process/runningProcess.ts';

const logger = pino({ level: 'silent' });
const env = { PATH: '/usr/local/bin:/usr/bin:/bin' };
let runner: ProcessRunner;
let directory: string;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'drover-test-'));
});

afterAll(async () => {
  await rm(directory, { recursive: true, force: true });
});

interface Output {
  stdout: string;
  stderr: string;
}

function start(spec: Partial<ProcessPodSpec>): { running: RunningProcess; output: Output } {
  const output: Output = { stdout: '', stderr: '' };
  const running = runner.start(
    { command: [], args: [], env, ...spec },
    { onOutput: (stream, chunk) => (output[stream] += chunk.toString()) },
  );
  return { running, output };
}

async function run(spec: Partial<ProcessPodSpec>): Promise<{ exit: ProcessExit; output: Output }> {
  const { running, output } = start(spec);
  return { exit: await running.exited, output };
}

const sh = (script: string): Partial<ProcessPodSpec> => ({ command: ['sh', '-c', script] });

function isAlive(pid: number): boolean {
  try {
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
}

describe.each(testHelpers)('$name', ({ helper, missesNothing, seesBeyondGroup }) => {
  beforeAll(async () => {
    runner = new ProcessRunner({ logger, helper });
    await runner.warmUp();
  });

  afterAll(async () => {
    await runner.close();
  });

  describe('outcome', () => {
    test('exit code 0 is Completed', async () => {
      const before = Date.now();
      const { exit, output } = await run({ command: ['echo'], args: ['hello', '$HOME'] });
      expect(exit).toMatchObject({ exitCode: 0, signal: null, reason: 'Completed', message: '' });
      expect(output).toEqual({ stdout: 'hello $HOME\n', stderr: '' });
      expect(exit.startedAtMs).toBeGreaterThanOrEqual(before);
      expect(exit.finishedAtMs).toBeGreaterThanOrEqual(exit.startedAtMs);
    });

    test('another exit code is Error', async () => {
      const { exit, output } = await run(sh('echo bad >&2; exit 42'));
      expect(exit).toMatchObject({ exitCode: 42, signal: null, reason: 'Error' });
      expect(output).toEqual({ stdout: '', stderr: 'bad\n' });
    });

    test('a signal is 128 + N and named', async () => {
      const { exit } = await run(sh('kill -SEGV $$'));
      expect(exit).toMatchObject({ exitCode: 139, signal: 'SIGSEGV', reason: 'Error' });
      expect(exit.message).toContain('SIGSEGV');
    });

    test('output stays in order, to the last byte', async () => {
      const { output } = await run({ command: ['seq', '1', '200000'] });
      const lines = output.stdout.trimEnd().split('\n');
      expect(lines.length).toBe(200_000);
      expect(lines.every((line, index) => Number(line) === index + 1)).toBe(true);
    });
  });

  describe('what can not be started', () => {
    const cases: { name: string; spec: Partial<ProcessPodSpec>; code: number; says: RegExp }[] = [
      {
        name: 'a command that is not in PATH',
        spec: { command: ['no-such'] },
        code: 127,
        says: /no-such.*PATH/,
      },
      {
        name: 'a path that does not exist',
        spec: { command: ['/no/such'] },
        code: 127,
        says: /no such file/,
      },
      {
        name: 'a file that is not executable',
        spec: { command: ['/etc/passwd'] },
        code: 126,
        says: /permission/,
      },
      { name: 'a directory', spec: { command: ['/etc'] }, code: 126, says: /permission/ },
      { name: 'no command', spec: { command: [] }, code: 127, says: /command ""/ },
      { name: 'a NUL in an argument', spec: { command: ['ls', 'a\0b'] }, code: 128, says: /NUL/ },
      {
        name: 'arguments beyond all measure',
        spec: { command: ['ls', 'x'.repeat(200_000)] },
        code: 126,
        says: /longer/,
      },
      {
        name: 'a working directory that does not exist',
        spec: { command: ['ls'], workingDir: '/no/such' },
        code: 128,
        says: /"\/no\/such"/,
      },
      {
        name: 'a working directory that is a file',
        spec: { command: ['ls'], workingDir: '/etc/passwd' },
        code: 128,
        says: /"\/etc\/passwd"/,
      },
      {
        name: 'an input that does not exist',
        spec: { command: ['ls'], input: '/no/such' },
        code: 128,
        says: /input can not be read \(ENOENT\)/,
      },
    ];
    test.each(cases)('$name', async ({ spec, code, says }) => {
      const { running } = start(spec);
      expect(await running.started).toBeNull();
      const exit = await running.exited;
      expect(exit).toMatchObject({ exitCode: code, signal: null, reason: 'StartError' });
      expect(exit.message).toMatch(says);
    });

    test('a script whose interpreter is missing', async () => {
      const script = join(directory, 'script');
      await writeFile(script, '#!/no/such/interpreter\n');
      await chmod(script, 0o755);
      const { exit } = await run({ command: [script] });
      expect(exit).toMatchObject({ exitCode: 127, reason: 'StartError' });
      expect(exit.message).toMatch(/interpreter/);
    });
  });

  describe('surroundings', () => {
    test('the environment is what was given and the marker', async () => {
      process.env['DROVER_TEST_SECRET'] = 'secret';
      const { output } = await run({ command: ['env'], env: { ...env, A: '1', B: 'x=y z' } });
      const lines = output.stdout.trimEnd().split('\n').toSorted();
      expect(lines).toEqual([
        'A=1',
        'B=x=y z',
        expect.stringMatching(/^DROVER_PROCESS=[0-9a-f]{16}\.\d+$/) as string,
        `PATH=${env.PATH}`,
      ]);
    });

    test('no descriptor but 0, 1 and 2 is open, and stdin is empty', async () => {
      const { output } = await run(sh('cat; for f in /proc/self/fd/*; do echo ${f##*/}; done'));
      // The glob itself reads the directory through a descriptor, which is gone when echo runs.
      const open = output.stdout.trimEnd().split('\n').map(Number);
      expect(open.filter((descriptor) => descriptor > 3)).toEqual([]);
    });

    test('a file as stdin, which can be opened again', async () => {
      const input = join(directory, 'input');
      await writeFile(input, 'first\nsecond\n');
      const { output } = await run({ ...sh('head -n 1 /dev/stdin; cat'), input });
      expect(output.stdout).toBe('first\nfirst\nsecond\n');
    });

    test('a FIFO as stdin, whose writer goes on', async () => {
      const input = await new OutputPipes(directory).makeOne('fifo');
      const writer = openSync(input, constants.O_RDWR);
      const { running, output } = start({ command: ['cat'], input });
      writeSync(writer, 'one\n');
      await waitFor(() => output.stdout === 'one\n');
      writeSync(writer, 'two\n');
      closeSync(writer);
      expect((await running.exited).exitCode).toBe(0);
      expect(output.stdout).toBe('one\ntwo\n');
      await rm(input);
    });

    test('a FIFO as stdin that nobody writes to is at its end, and holds up nobody', async () => {
      const input = await new OutputPipes(directory).makeOne('silent');
      const { output } = await run({ ...sh('cat; echo end'), input });
      expect(output.stdout).toBe('end\n');
      await rm(input);
    });

    test('stdout and stderr can be opened again', async () => {
      const { output } = await run(sh('echo a >/dev/stdout; echo b >/dev/stderr'));
      expect(output).toEqual({ stdout: 'a\n', stderr: 'b\n' });
    });

    test('working directory, umask and session', async () => {
      const { output } = await run({
        ...sh('pwd; umask; ps -o pid=,pgid=,sid= -p $$'),
        workingDir: directory,
      });
      const [cwd, umask, ids = ''] = output.stdout.trimEnd().split('\n');
      expect([cwd, umask]).toEqual([directory, '0022']);
      expect(new Set(ids.trim().split(/\s+/)).size).toBe(1);
    });

    test('without a working directory it is that of the runner', async () => {
      const { output } = await run({ command: ['pwd'] });
      expect(output.stdout.trim()).toBe(process.cwd());
    });
  });

  describe('stopping', () => {
    test('SIGTERM ends a program that does not mind', async () => {
      const { running } = start({ command: ['sleep', '100'] });
      await running.started;
      running.stop(60_000);
      expect(await running.exited).toMatchObject({ exitCode: 143, signal: 'SIGTERM' });
    });

    test('a program that cleans up ends with its own code', async () => {
      const { running, output } = start(
        sh('trap "echo bye; exit 7" TERM; echo up; while :; do sleep 0.01; done'),
      );
      await waitFor(() => output.stdout.includes('up'));
      running.stop(60_000);
      expect(await running.exited).toMatchObject({ exitCode: 7, signal: null });
      expect(output.stdout).toBe('up\nbye\n');
    });

    test('SIGKILL follows when SIGTERM is ignored', async () => {
      const { running, output } = start(sh('trap "" TERM; echo up; while :; do sleep 0.01; done'));
      await waitFor(() => output.stdout.includes('up'));
      const beganAtMs = performance.now();
      running.stop(300);
      expect(await running.exited).toMatchObject({ exitCode: 137, signal: 'SIGKILL' });
      expect(performance.now() - beganAtMs).toBeGreaterThanOrEqual(299);
    });

    test('a second stop shortens the grace period, a third does not lengthen it', async () => {
      const { running, output } = start(sh('trap "" TERM; echo up; while :; do sleep 0.01; done'));
      await waitFor(() => output.stdout.includes('up'));
      running.stop(60_000);
      running.stop(10);
      running.stop(60_000);
      expect(await running.exited).toMatchObject({ exitCode: 137 });
    });

    test('a stop before the program runs is not lost', async () => {
      const { running } = start({ command: ['sleep', '100'] });
      running.kill();
      expect(await running.exited).toMatchObject({ exitCode: 137, signal: 'SIGKILL' });
    });

    test('a stop after the end does nothing', async () => {
      const { running } = start({ command: ['true'] });
      const exit = await running.exited;
      running.stop(0);
      running.kill();
      expect(await running.exited).toBe(exit);
    });
  });

  describe('a program that is run again and again', () => {
    test('each time has variables of its own, and its end is told once its output was', async () => {
      const command = ['sh', '-c', 'echo $A $B'];
      const program = runner.prepare({ command, args: [], env: { ...env, A: 'same' } });
      const told: string[] = [];
      const running = ['B=1', 'B=2'].map((own, index) =>
        runner.run(program, [own], {
          onOutput: (_, chunk) => told.push(`${index} ${chunk.toString()}`),
          onExit: ({ exitCode }) => told.push(`${index} ends with ${exitCode}`),
        }),
      );
      await waitFor(() => told.filter((text) => text.includes('ends')).length === 2);
      for (const [index, text] of ['same 1', 'same 2'].entries()) {
        const own = told.filter((line) => line.startsWith(`${index} `));
        expect(own).toEqual([`${index} ${text}\n`, `${index} ends with 0`]);
      }
      // Asked for later, the promises say the same.
      expect(await running[0]!.exited).toMatchObject({ exitCode: 0 });
      expect(await running[0]!.started).toMatchObject({ mountProblem: null });
    });

    test('one that can not be asked for ends at once, in words', () => {
      const program = runner.prepare({ command: ['true'], args: [], env });
      const ends: ProcessExit[] = [];
      const sink = { onOutput: () => {}, onExit: (exit: ProcessExit) => ends.push(exit) };
      runner.run(program, ['A=\0'], sink);
      expect(ends).toMatchObject([{ exitCode: 128, reason: 'StartError' }]);
      expect(ends[0]?.message).toContain('NUL');
    });
  });

  describe('nothing outlives the main process', () => {
    async function pidsLeftBy(script: string): Promise<{ pids: number[]; exit: ProcessExit }> {
      const { exit, output } = await run(sh(script));
      const pids = output.stdout.trim().split(/\s+/).map(Number);
      expect(pids.every((pid) => pid > 1)).toBe(true);
      return { pids, exit };
    }

    test('children in the background', async () => {
      const { pids } = await pidsLeftBy('sleep 100 & echo $!; (sleep 101 & echo $!) ; exit 0');
      expect(pids.length).toBe(2);
      await waitFor(() => !pids.some(isAlive), { describe: () => pids.filter(isAlive) });
    });

    test.runIf(seesBeyondGroup)('a child in a process group of its own', async () => {
      const { pids } = await pidsLeftBy('timeout 100 sleep 102 & echo $!; sleep 0.2');
      await waitFor(() => !pids.some(isAlive));
    });

    test.runIf(seesBeyondGroup)(
      'a daemon in a session of its own, which holds stdout',
      async () => {
        const { pids, exit } = await pidsLeftBy(
          'setsid sh -c "echo \\$\\$; sleep 103; :" & sleep 0.3',
        );
        expect(exit).toMatchObject({ exitCode: 0 });
        await waitFor(() => !pids.some(isAlive));
      },
    );

    test('children of a program that is killed', async () => {
      const { running, output } = start(sh('sleep 104 & echo $!; wait'));
      await waitFor(() => output.stdout.includes('\n'));
      running.kill();
      await running.exited;
      await waitFor(() => !isAlive(Number(output.stdout)));
    });

    test('what escapes all of it and holds stdout does not hold up the end', async () => {
      const { pids, exit } = await pidsLeftBy(
        'env -i setsid sh -c "echo \\$\\$; exec /bin/sleep 109" & sleep 0.3',
      );
      try {
        expect(exit).toMatchObject({ exitCode: 0, reason: 'Completed' });
        if (missesNothing) await waitFor(() => !pids.some(isAlive));
      } finally {
        for (const pid of pids.filter(isAlive)) process.kill(pid, 'SIGKILL');
      }
    });

    test('a running neighbour is left alone', async () => {
      const neighbour = start({ command: ['timeout', '100', 'sleep', '105'] });
      const started = await neighbour.running.started;
      await pidsLeftBy('setsid sleep 106 & echo $!');
      await pidsLeftBy('setsid sleep 107 & echo $!');
      expect(isAlive(started?.pid ?? 0)).toBe(true);
      neighbour.running.kill();
      expect(await neighbour.running.exited).toMatchObject({ exitCode: 137 });
    });
  });

  describe('bounds', () => {
    test('a flood of output neither grows the worker nor blocks its loop', async () => {
      const delay = monitorEventLoopDelay({ resolution: 5 });
      delay.enable();
      const rssBefore = process.memoryUsage.rss();
      let rssMost = 0;
      let bytes = 0;
      let chunks = 0;
      const running = runner.start(
        { command: ['head', '-c', '300000000', '/dev/zero'], args: [], env },
        {
          onOutput: (_, chunk) => {
            bytes += chunk.length;
            chunks += 1;
            if (chunks % 1000 === 0) rssMost = Math.max(rssMost, process.memoryUsage.rss());
          },
        },
      );
      expect(await running.exited).toMatchObject({ exitCode: 0 });
      delay.disable();
      expect(bytes).toBe(300_000_000);
      expect(rssMost - rssBefore).toBeLessThan(32 * 1024 * 1024);
      // Generous, since the machine may be busy; a blocked loop would be half a second.
      expect(delay.max / 1e6).toBeLessThan(300);
    });

    test('many at once, more than there are pipes', async () => {
      const runs = Array.from({ length: 60 }, (_, index) =>
        run(sh(`echo ${index}; exit ${index}`)),
      );
      const ends = await Promise.all(runs);
      expect(ends.map(({ exit }) => exit.exitCode)).toEqual(ends.map((_, index) => index));
      expect(ends.map(({ output }) => output.stdout)).toEqual(ends.map((_, index) => `${index}\n`));
    });

    test('descriptors do not pile up', async () => {
      await Promise.all(Array.from({ length: 30 }, () => run({ command: ['true'] })));
      const before = readdirSync('/proc/self/fd').length;
      for (let round = 0; round < 5; round++) {
        await Promise.all(Array.from({ length: 20 }, () => run({ command: ['true'] })));
        await run({ command: ['no-such'] });
      }
      expect(readdirSync('/proc/self/fd').length).toBeLessThanOrEqual(before + 5);
    });
  });

  describe('closing', () => {
    test('ends what runs and leaves nothing', async () => {
      const own = new ProcessRunner({ logger, helper });
      let output = '';
      const running = own.start(
        { args: [], env, command: ['sh', '-c', 'echo up; sleep 108'] },
        { onOutput: (_, chunk) => (output += chunk.toString()) },
      );
      const started = await running.started;
      await waitFor(() => output.includes('\n'));
      await own.close();
      expect(await running.exited).toMatchObject({ exitCode: 137, signal: 'SIGKILL' });
      expect(isAlive(started?.pid ?? 0)).toBe(false);
    });
  });
});
