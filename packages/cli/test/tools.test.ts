import { spawn, spawnSync } from 'node:child_process';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { Drover, type Job } from '@drover/sdk/client';
import { NodeProcess, startProxy, startRedis, waitFor } from '@drover/testkit';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';

import { Home, manifest } from './drover.ts';

// Each test starts several commands, which take a second or more on a machine that is busy.
vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

const DROVER = fileURLToPath(new URL('../bin/drover.js', import.meta.url));
let home: Home;
let dev: NodeProcess;
let engine: Drover;

beforeAll(async () => {
  home = await Home.make();
  dev = await home.dev(['--max-pods', '4', '--backoff-base', '1h', '--backoff-cap', '1h']);
  const context = await readFile(join(home.dir, 'drover', 'dev.json'), 'utf8');
  engine = new Drover({ connection: (JSON.parse(context) as { redisUrl: string }).redisUrl });
});

afterAll(async () => {
  // A worker would wait for pods that still run.
  for (const job of await engine.jobs.list()) await engine.jobs.delete(job);
  await engine.close();
  await dev.kill('SIGTERM');
  await home.remove();
});

const script = (text: string) => ['sh', '-c', text];

async function apply(name: string, command: readonly string[], spec: object = {}): Promise<void> {
  const { code, stderr } = await home.drover(['apply', '-f', '-'], {
    input: manifest(name, command, spec),
  });
  expect([code, stderr]).toEqual([0, '']);
}

/** Waits for figures of a Job. */
async function untilJob(name: string, holds: (status: Job['status']) => boolean): Promise<void> {
  await waitFor(async () => holds((await engine.jobs.get(name)).status), { timeoutMs: 20_000 });
}

async function stdout(...args: string[]): Promise<string> {
  const ended = await home.drover(args);
  expect(ended).toMatchObject({ code: 0, stderr: '' });
  return ended.stdout;
}

/** Whether a program is there; tests of other shells are skipped where they are not. */
function has(program: string): boolean {
  return spawnSync('sh', ['-c', `command -v ${program}`]).status === 0;
}

describe('drover describe', () => {
  test('a Job: what is asked for, how it stands, why it waits, what happened', async () => {
    const spec = { completions: 3, completionMode: 'Indexed', backoffLimit: 2 };
    await apply('mixed', script('test $JOB_COMPLETION_INDEX -lt 2 || exit 4'), spec);
    await untilJob('mixed', ({ failed = 0 }) => failed === 1);
    const text = await stdout('describe', 'job/mixed');
    expect(text).toMatch(/^Name: +mixed$/m);
    expect(text).toMatch(/^Completion Mode: +Indexed$/m);
    expect(text).toMatch(/^Pods Statuses: +0 Active \(0 Ready\) \/ 2 Succeeded \/ 1 Failed$/m);
    expect(text).toMatch(/^Completed Indexes: +0,1$/m);
    expect(text).toMatch(
      /^Waiting:\n {2}the next pod starts in 3\d{3} s \(back-off after 1 failure/m,
    );
    expect(text).toMatch(/^ {2}mixed-2-\w{5} +Error +0 +\d+s +dev-1$/m);
    await waitFor(async () =>
      /^ {2}Warning +PodFailed +\d+s +job-controller +pod mixed-2-\w{5} \(index 2\) failed: exit code 4$/m.test(
        await stdout('describe', 'job/mixed'),
      ),
    );
    const json = JSON.parse(await stdout('describe', 'job/mixed', '--json')) as object;
    expect(json).toMatchObject({
      job: { metadata: { name: 'mixed' } },
      waiting: [{ reason: 'BackOff' }],
      events: [
        { reason: 'SuccessfulCreate' },
        { reason: 'SuccessfulCreate' },
        { reason: 'SuccessfulCreate' },
        { reason: 'PodFailed' },
      ],
    });
    const events = await stdout('events', '--for', 'job/mixed', '--types', 'Warning');
    expect(events).toMatch(
      /^LAST SEEN +TYPE +REASON +OBJECT +MESSAGE\n\d+s +Warning +PodFailed +Job\/mixed +pod mixed-2-\w{5} \(index 2\) failed: exit code 4\n$/,
    );
    await home.drover(['delete', 'job/mixed']);
  });

  test('a template that no worker can run says why, in the Job and in the pod', async () => {
    const job = JSON.parse(manifest('nobody', ['true'])) as {
      spec: { template: { spec: { nodeSelector?: object } } };
    };
    job.spec.template.spec.nodeSelector = { 'drover.dev/pool': 'gpu' };
    await home.drover(['apply', '-f', '-'], { input: JSON.stringify(job) });
    const why = "no worker offers runtime 'process' in pool 'gpu'";
    await waitFor(async () =>
      (await stdout('describe', 'job', 'nobody')).includes(`waits: ${why}`),
    );
    const pod = await stdout('describe', 'pods', '-l', 'job-name=nobody');
    expect(pod).toMatch(/^Status: +Pending$/m);
    expect(pod).toContain(`PodScheduled   False    Unschedulable   ${why}`);
    const told = async (...args: string[]) => (await home.drover(['get', ...args])).stderr;
    expect(await told('jobs')).toBe(`job/nobody: 1 pod waits: ${why}\n`);
    expect(await told('pods', '-l', 'job-name=nobody')).toBe(`1 pod waits: ${why}\n`);
    expect(await told('jobs', '-o', 'name')).toBe('');
    await home.drover(['delete', 'job/nobody']);
  });

  test('a pod that runs, and the worker that runs it', async () => {
    await apply('long', ['sleep', '100']);
    await untilJob('long', ({ ready = 0 }) => ready === 1);
    const pod = await stdout('describe', 'pods', '-l', 'job-name=long');
    expect(pod).toMatch(/^ {4}State: +Running$/m);
    expect(pod).toMatch(/^Node: +dev-1$/m);
    expect(pod).toMatch(/^Controlled By: +Job\/long$/m);
    const node = await stdout('describe', 'node/dev-1');
    expect(node).toMatch(
      /^Pods:\n {2}\(1 in total\)\n.*\n.*\n {2}default +long-\w{5} +Running +\d+s$/m,
    );
    expect(node).toMatch(/^ {2}Ready +True +\d+s +WorkerReady/m);
    await home.drover(['delete', 'job/long']);
  });

  test('colours where they are asked for; what is not there, and what makes no sense', async () => {
    const painted = await home.drover(['describe', 'node/dev-1'], {
      env: { NO_COLOR: '', FORCE_COLOR: '1' },
    });
    expect(painted.stdout.startsWith('\u001b[1mName:')).toBe(true);
    const missing = await home.drover(['describe', 'job/nobody-here']);
    expect(missing).toMatchObject({
      code: 1,
      stderr: 'error: jobs.batch "nobody-here" in namespace "default" not found\n',
    });
    expect((await home.drover(['describe', 'deployments'])).code).toBe(2);
    expect((await home.drover(['describe', 'job/x', '-l', 'a=b'])).code).toBe(2);
  });
});

describe('drover scale', () => {
  test('changes how many pods run', async () => {
    await apply('wide', ['sleep', '100'], { completions: 10, parallelism: 1 });
    expect(await stdout('scale', 'job/wide', '--parallelism', '3')).toBe('job.batch/wide scaled\n');
    await untilJob('wide', ({ ready = 0 }) => ready === 3);
    const scaled = await stdout('scale', 'wide', '--replicas=0', '-o', 'json');
    expect(JSON.parse(scaled)).toMatchObject({ kind: 'Job', spec: { parallelism: 0 } });
    await untilJob('wide', ({ active = 0 }) => active === 0);
    expect(await stdout('describe', 'job/wide')).toMatch(/^Waiting:\n {2}its parallelism is 0/m);
    await home.drover(['delete', 'job/wide']);
  });

  test('warns when the Job is over', async () => {
    await apply('over', ['true']);
    await home.drover(['wait', 'job/over', '--timeout', '20s']);
    expect(await home.drover(['scale', 'job/over', '-p', '2'])).toEqual({
      code: 0,
      stdout: 'job.batch/over scaled\n',
      stderr: 'Warning: job.batch/over is Complete: it starts no more pods\n',
    });
  });

  const refused: { args: string[]; want: RegExp }[] = [
    { args: ['x', '-p', '-1'], want: /--parallelism -1: a whole number of 0 or more is expected/ },
    { args: ['x', '-p', '1.5'], want: /--parallelism 1\.5: a whole number/ },
    { args: ['x', '--replicas', 'many'], want: /--replicas many: a whole number/ },
    { args: ['x'], want: /to how many\?/ },
    { args: ['x', '-p', '1', '--replicas', '2'], want: /are the same: give one of them/ },
    { args: ['pod/x', '-p', '1'], want: /which job\? drover scale job\/NAME/ },
    { args: ['x', '-p', '3000000000'], want: /a whole number of 0 to 2147483647 is expected/ },
  ];
  test.each(refused)('$args is refused', async ({ args, want }) => {
    const { code, stderr } = await home.drover(['scale', ...args]);
    expect(stderr).toMatch(want);
    expect(code).toBe(2);
  });
});

describe('drover top', () => {
  test('is one look in a pipe, for people or as JSON', async () => {
    await apply('top', ['sleep', '100'], { completions: 4, parallelism: 2 });
    await untilJob('top', ({ ready = 0 }) => ready === 2);
    const text = await stdout('top');
    expect(text).toMatch(/^default +top +Running +0\/4 0% +2 /m);
    expect(text).toMatch(/^dev-1 +Ready +2\/4 +default +process$/m);
    expect(text).not.toContain('\u001b');
    const json = JSON.parse(await stdout('top', '--json', '-n', 'default')) as {
      jobs: { name: string }[];
    };
    expect(json.jobs).toContainEqual(expect.objectContaining({ name: 'top', running: 2 }));
    await home.drover(['delete', 'job/top']);
  });

  /** Starts `drover top` on a terminal of its own. */
  function topOnTerminal(args: readonly string[] = []): NodeProcess {
    const command = [process.execPath, DROVER, 'top', ...args].join(' ');
    const child = spawn('script', ['-qec', `stty cols 90 rows 20; exec ${command}`, '/dev/null'], {
      env: { ...process.env, XDG_STATE_HOME: home.dir, TERM: 'xterm', DROVER_REDIS_URL: '' },
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    return new NodeProcess(child);
  }

  describe.skipIf(process.platform !== 'linux' || !has('script'))('on a terminal', () => {
    test('is a live screen: it follows, and gives the terminal back', async () => {
      const top = topOnTerminal();
      await top.waitForLine(/WORKER +STATUS/);
      await apply('seen', ['true']);
      await top.waitForLine(/default +seen .*Complete/);
      top.child.stdin?.write('q');
      expect(await top.exited).toEqual({ code: 0, signal: null });
      const output = top.output('stdout');
      expect(output.startsWith('\u001b[?1049h\u001b[?25l')).toBe(true);
      expect(output.trimEnd().endsWith('\u001b[?25h\u001b[?1049l')).toBe(true);
    });

    test('says that Redis does not answer, goes on when it does, and ends while it does not', async () => {
      const redis = await startRedis();
      const proxy = await startProxy({ target: { port: redis.port } });
      const top = topOnTerminal(['--redis', `redis://127.0.0.1:${proxy.port}`]);
      try {
        await top.waitForLine(/no workers/);
        proxy.blackhole();
        await top.waitForLine(/no answer from Redis for \d+ s/, 20_000);
        const seen = top.lines.length;
        proxy.heal();
        await waitFor(() => top.lines.slice(seen).some(({ text }) => text.includes('not over')));
        proxy.blackhole();
        top.child.stdin?.write('q');
        await waitFor(() => top.isOver);
        expect(await top.exited).toEqual({ code: 0, signal: null });
      } finally {
        top.child.kill('SIGKILL');
        await proxy.stop();
        await redis.stop();
      }
    });
  });
});

test('explain needs no engine', async () => {
  const env = { XDG_STATE_HOME: join(home.dir, 'nothing') };
  const { stdout: text } = await home.drover(['explain', 'job.spec.backoffLimit'], { env });
  expect(text).toMatch(/^FIELD: +spec\.backoffLimit <integer>$/m);
  expect(text).toMatch(/^SUPPORT:\n {4}honoured: /m);
  const short = await home.drover(['explain', 'spec.backoffLimit'], { env });
  expect(short.stdout).toBe(text);
  const wrong = await home.drover(['explain', 'job.spec.parallelizm'], { env });
  expect(wrong.code).toBe(2);
  expect(wrong.stderr).toMatch(
    /^error: job\.spec has no field "parallelizm"\n {2}it has: parallelism,/,
  );
  const tree = await home.drover(['explain', 'job.spec', '--recursive'], { env });
  expect(tree.stdout).toMatch(/^ {2}template <Object> -required-$/m);
});

describe('config view', () => {
  test('says where each setting comes from, and no password', async () => {
    const { stdout: text, stderr } = await home.drover(['config', 'view', '-n', 'shelf'], {
      env: { DROVER_POOL: 'gpu', DROVER_POOOL: 'x' },
    });
    expect(text).toMatch(/^redis +redis:\/\/\*\*\*@127\.0\.0\.1:\d+ +drover dev, .*dev\.json$/m);
    expect(text).toMatch(/^prefix +drover +drover dev$/m);
    expect(text).toMatch(/^namespace +shelf +--namespace$/m);
    expect(text).toMatch(/^pool +gpu +DROVER_POOL$/m);
    expect(stderr).toContain('Warning: DROVER_POOOL means nothing to drover');
  });

  test('options win over the environment', async () => {
    const env = { DROVER_REDIS_URL: 'redis://:secret@elsewhere', DROVER_PREFIX: 'p' };
    const view = async (...args: string[]) => {
      const ended = await home.drover(['config', 'view', '--json', ...args], { env });
      return (JSON.parse(ended.stdout) as { settings: object[] }).settings.slice(0, 3);
    };
    expect(await view()).toMatchObject([
      { name: 'redis', value: 'redis://***@elsewhere', source: 'environment' },
      { name: 'prefix', value: 'p', source: 'environment' },
      { name: 'namespace', value: 'default', source: 'default' },
    ]);
    expect(await view('--redis', 'redis://here', '--prefix', 'q')).toMatchObject([
      { name: 'redis', value: 'redis://here', source: 'option', from: '--redis' },
      { name: 'prefix', value: 'q', source: 'option', from: '--prefix' },
      { name: 'namespace' },
    ]);
  });
});

describe('completion', () => {
  /** Runs a shell with `drover` on its PATH. */
  async function shell(program: string, args: readonly string[]): Promise<string> {
    const bin = join(home.dir, 'bin');
    await mkdir(bin, { recursive: true });
    const drover = `#!/bin/sh\nexec ${process.execPath} ${DROVER} "$@"\n`;
    await writeFile(join(bin, 'drover'), drover, { mode: 0o755 });
    const ended = spawnSync(program, args, {
      encoding: 'utf8',
      env: {
        ...process.env,
        PATH: `${bin}:${process.env['PATH']}`,
        HOME: home.dir,
        XDG_STATE_HOME: home.dir,
        DROVER_REDIS_URL: '',
      },
    });
    expect(ended.stderr).toBe('');
    return ended.stdout;
  }

  beforeAll(() => apply('complete-me', ['true'], { suspend: true }));

  test.skipIf(!has('bash'))('in bash', async () => {
    const out = await shell('bash', [
      '--norc',
      '-c',
      `source <(drover completion bash)
      try() { COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _drover_complete 2>/dev/null; echo "\${COMPREPLY[*]}"; }
      try drover desc
      try drover get job/comp
      try drover wait --for = com`,
    ]);
    expect(out).toBe('describe\njob/complete-me\ncomplete\n');
  });

  test.skipIf(!has('zsh'))('in zsh', async () => {
    const out = await shell('zsh', [
      '-f',
      '-c',
      `compdef() { : }
      _describe() { print -l -- "\${(@P)2}" }
      source <(drover completion zsh)
      try() { words=("$@"); CURRENT=$#; _drover }
      try drover desc
      try drover get job/comp`,
    ]);
    expect(out).toMatch(/^describe:Tell all about .*\njob\/complete-me:Suspended\n$/);
  });

  test.skipIf(!has('fish'))('in fish', async () => {
    const out = await shell('fish', [
      '-N',
      '-c',
      `drover completion fish | source
      complete -C 'drover desc'
      complete -C 'drover get job/comp'
      complete -C 'drover wait --for=com'`,
    ]);
    expect(out).toMatch(/^describe\tTell .*\njob\/complete-me\tSuspended\n--for=complete\s*$/);
  });

  test('without an engine the names are missing, quickly and silently', async () => {
    const args = ['__complete', '--', 'get', '--redis', 'redis://127.0.0.1:1', 'job/'];
    expect(await home.drover(args)).toEqual({ code: 0, stdout: ':words\n', stderr: '' });
  });
});

test('logs pass on what a program wrote, byte by byte', async () => {
  await apply('bytes', script(String.raw`printf '\377\376\n\200'`));
  await home.drover(['wait', 'job/bytes', '--for', 'complete', '--timeout', '20s']);
  const logs = home.start(['logs', 'job/bytes']);
  const chunks: Buffer[] = [];
  logs.child.stdout?.on('data', (chunk: Buffer) => chunks.push(chunk));
  expect((await logs.exited).code).toBe(0);
  expect(Buffer.concat(chunks)).toEqual(Buffer.from([0xff, 0xfe, 0x0a, 0x80]));
});

test('a missing argument points to the help of its command', async () => {
  const { code, stderr } = await home.drover(['logs']);
  expect(code).toBe(2);
  expect(stderr).toContain('(`drover logs --help` shows how)');
});

test('every command has help with an example', async () => {
  const { stdout: help } = await home.drover(['--help']);
  const names = [...help.matchAll(/^ {2}([a-z]+) {3,}\S/gm)].map(([, name]) => name ?? '');
  expect(names.length).toBeGreaterThan(15);
  for (const name of names.filter((word) => word !== 'help')) {
    const own = await home.drover([name, '--help']);
    expect(own.stdout, name).toMatch(/\nExamples?:\n {2}\S/);
  }
});
