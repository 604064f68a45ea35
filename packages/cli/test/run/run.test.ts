import { readFile } from 'node:fs/promises';
import { join } from 'node:path';

import { isAlive, waitFor, type NodeProcess } from '@drover/testkit';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';

import { Home } from '../drover.ts';

let home: Home;

beforeAll(async () => {
  home = await Home.make();
});

afterAll(async () => {
  await home.remove();
});

const run = (...args: string[]) => home.drover(['run', ...args]);

describe('with an engine of its own', () => {
  test('prints what the program prints, where it prints it', async () => {
    expect(await run('--', 'sh', '-c', 'echo out; echo err >&2; pwd')).toEqual({
      code: 0,
      stdout: `out\n${home.dir}\n`,
      stderr: 'err\n',
    });
  });

  test('loses nothing of half a megabyte that comes at once', async () => {
    const { code, stdout, stderr } = await run('--', 'seq', '1', '100000');
    const lines = Array.from({ length: 100_000 }, (_, i) => `${i + 1}\n`);
    expect({ code, stderr, isWhole: stdout === lines.join('') }).toEqual({
      code: 0,
      stderr: '',
      isWhole: true,
    });
  });

  test('gives the program its environment and none of ours', async () => {
    const { stdout } = await home.drover(['run', '-e', 'MODE=fast $$', '--', 'env'], {
      env: { MY_SECRET: 'x' },
    });
    expect(stdout).toMatch(/^MODE=fast \$\$$/m);
    expect(stdout).not.toContain('MY_SECRET');
  });

  test('a program that fails: 1, and the reason', async () => {
    const { code, stderr } = await run('--', 'sh', '-c', 'exit 3');
    expect(code).toBe(1);
    expect(stderr).toMatch(/^pod sh-\w+-\w+ failed: exit code 3$/m);
    expect(stderr).toMatch(/^job\/sh-\w+ failed: BackoffLimitExceeded: /m);
  });

  test('a program that does not exist: 1, and the reason', async () => {
    const { code, stderr } = await run('--', 'there-is-no-such-program');
    expect(code).toBe(1);
    expect(stderr).toMatch(/failed: .*there-is-no-such-program/);
  });

  test('one that takes too long: 124', async () => {
    const { code, stderr } = await run('--timeout', '1s', '--', 'sleep', '60');
    expect(code).toBe(124);
    expect(stderr).toMatch(/failed: DeadlineExceeded: /);
  });

  test('many pods: their output whole, progress in plain lines, failures as they happen', async () => {
    const script = 'echo "a $JOB_COMPLETION_INDEX"; sleep 0.1; echo "b $JOB_COMPLETION_INDEX"';
    const { code, stdout, stderr } = await run(
      '-c',
      '6',
      '-p',
      '3',
      '--indexed',
      '--',
      'sh',
      '-c',
      script,
    );
    expect(code).toBe(0);
    const lines = stdout.trimEnd().split('\n');
    expect(lines).toHaveLength(12);
    // Never mixed: b follows its a.
    for (let at = 0; at < lines.length; at += 2) {
      expect(lines[at + 1]).toBe(lines[at]?.replace('a', 'b'));
    }
    expect(stderr).toMatch(/^job\/sh-\w+: 6\/6 done/m);
    expect(stderr).toMatch(/^job\/sh-\w+ complete: 6 succeeded in [\d.]+ s$/m);
  });

  test('pods that fail are shown with the end of their output and retried', async () => {
    const marker = join(home.dir, 'failed-once');
    const script = `[ -e ${marker} ] || { touch ${marker}; echo "no luck"; exit 1; }`;
    const { code, stderr } = await run('-c', '2', '--no-output', '--', 'sh', '-c', script);
    expect(code).toBe(0);
    expect(stderr).toMatch(/^pod sh-\S+ failed: exit code 1\n {2}\| no luck$/m);
    expect(stderr).toMatch(/complete: 2 succeeded in [\d.]+ s, 1 pod failed and was replaced$/m);
  });

  test('--json prints the finished Job', async () => {
    const { stdout } = await run('--json', '--name', 'mine', '--', 'true');
    expect(JSON.parse(stdout)).toMatchObject({
      metadata: { name: 'mine' },
      status: { succeeded: 1 },
    });
  });

  test('nothing is left of it, kill -9 included', async () => {
    const pidFile = join(home.dir, 'pid');
    const command = home.start(['run', '--', 'sh', '-c', `echo $$ > ${pidFile}; exec sleep 1000`]);
    const pid = Number(await waitFor(() => readFile(pidFile, 'utf8').catch(() => '')));
    expect(isAlive(pid)).toBe(true);
    await command.kill('SIGKILL');
    await waitFor(() => !isAlive(pid));
  });
});

describe('Ctrl-C', () => {
  let dev: NodeProcess;
  let running: NodeProcess | null = null;

  beforeAll(async () => {
    dev = await home.dev(['--max-pods', '4']);
  });

  afterEach(async () => {
    await running?.kill('SIGKILL');
    running = null;
  });

  afterAll(async () => {
    await dev.kill('SIGTERM');
  });

  /** Starts a run of five pods, two at once, and waits until two of them run. */
  async function start(name: string, script: string): Promise<NodeProcess> {
    const command = ['run', '--name', name, '-c', '5', '-p', '2', '--', 'sh', '-c', script];
    running = home.start(command);
    await waitFor(async () => {
      const { stdout } = await home.drover(['get', 'pods', '-l', `job-name=${name}`]);
      return stdout.match(/Running/g)?.length === 2;
    });
    return running;
  }

  test('once: the pods that run end, no others start, the Job waits suspended', async () => {
    const go = join(home.dir, 'go');
    const command = await start(
      'held',
      `until [ -e ${go} ]; do sleep 0.05; done; sleep 1; echo done`,
    );
    command.signal('SIGINT');
    await command.waitForLine(
      /^Ctrl-C: no further pods start, 2 running ones go on; again: delete/,
    );
    await home.write('go', '');
    expect(await command.exited).toEqual({ code: 130, signal: null });
    expect(command.output('stdout')).toBe('done\ndone\n');
    expect(command.output('stderr')).toMatch(/stopped: 2 of 5 done; the Job is suspended/);

    const { stdout } = await home.drover(['get', 'job/held', '-o', 'json']);
    const job = JSON.parse(stdout) as {
      spec: object;
      status: object;
      metadata: { annotations?: object };
    };
    expect(job).toMatchObject({ spec: { suspend: true }, status: { succeeded: 2 } });
    expect(job.metadata.annotations ?? {}).toEqual({});
    await home.drover(['resume', 'job/held']);
    const wait = await home.drover(['wait', 'job/held', '--for', 'complete', '--timeout', '20s']);
    expect(wait.code).toBe(0);
  });

  test('twice: the Job is deleted and its pods are stopped', async () => {
    const command = await start('removed', 'sleep 1000');
    command.signal('SIGINT');
    await command.waitForLine(/^Ctrl-C: no further pods start/);
    // Two signals at the same moment are one.
    await new Promise((resolve) => setTimeout(resolve, 300));
    command.signal('SIGINT');
    expect(await command.exited).toEqual({ code: 130, signal: null });
    expect((await home.drover(['get', 'job/removed'])).code).toBe(1);
  });

  test('a name that is taken: 2', async () => {
    await home.drover(['run', '--name', 'taken', '--', 'true']);
    const again = await home.drover(['run', '--name', 'taken', '--', 'true']);
    expect(again.code).toBe(2);
    expect(again.stderr).toBe('error: jobs.batch "taken" in namespace "default" already exists\n');
  });
});
