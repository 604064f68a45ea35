/** Limits that the kernel holds. Where this user can make no cgroups of version 2 they are skipped, and say why. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

import { waitFor } from '@drover/testkit';
import { pino } from 'pino';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';

import { WORKERS_GROUP } from '../../src/process/cgroupPlace.ts';
import { WorkerCgroups } from '../../src/process/cgroups.ts';
import { resolveOptions } from '../../src/resolveOptions.ts';
import { Workers } from '../support/workers.ts';

const WORKER = fileURLToPath(new URL('../fixtures/cgroupWorker.ts', import.meta.url));
/** Fills memory as fast as can be: tail keeps what it reads until there is a newline. */
const HUNGRY = 'exec tail /dev/zero';

/** What there is to try it with; a reason where there is nothing. */
const cgroups = await WorkerCgroups.open().catch((error: Error) => error.message);
const place = typeof cgroups === 'string' ? '' : cgroups.place;
if (typeof cgroups !== 'string') await cgroups.close();
const helperIsNative = process.env['DROVER_PROCESS_HELPER'] !== 'javascript';

function groups(): string[] {
  return readdirSync(place).filter((name) => name.startsWith('drover-pods-'));
}

function isAlive(pid: number): boolean {
  try {
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
}

describe('limits held by cgroups', () => {
  let workers: Workers;
  let directory: string;
  const lines: string[] = [];

  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'drover-cgroups-'));
    workers = await Workers.start();
  });
  beforeEach(({ skip }) => {
    if (typeof cgroups === 'string') skip(`no cgroups: ${cgroups}`);
    if (!helperIsNative) skip('programs are started in cgroups by the native helper only');
  });
  afterEach(() => workers.clear());
  afterAll(async () => {
    await workers.stop();
    await rm(directory, { recursive: true, force: true });
  });

  async function begin() {
    const engine = await workers.engine();
    const logger = pino({ level: 'info' }, { write: (line) => lines.push(line) });
    await workers.worker(engine, { runtimes: ['process'], maxPods: 4, logger });
    /** Runs a pod of this script. */
    return async (script: string, limits: object = {}, pod: object = {}) => {
      const command = ['/bin/sh', '-c', script];
      const container = { name: 'main', command, resources: { limits } };
      const uid = await engine.createJob({
        run: command,
        pod: { containers: [container], ...pod },
      });
      await engine.offer(uid, 1);
      return {
        end: () => waitFor(() => engine.endedPod(uid), { timeoutMs: 50_000 }),
      };
    };
  }

  test('a program that takes a lot at once is OOMKilled with all that it started, its neighbours are not', async () => {
    const run = await begin();
    expect(lines.join('')).toContain('limits of programs are held by cgroups');
    const neighbours = [await run('read never < /dev/tty || sleep 3', { memory: '64Mi' })];
    neighbours.push(await run('sleep 3'));
    // The child left the session before.
    const note = join(directory, 'child');
    const hungry = await run(
      `setsid sh -c 'echo $$$$ > ${note}; exec sleep 1000' & while [ ! -s ${note} ]; do sleep 0.01; done; ${HUNGRY}`,
      { memory: '64Mi' },
    );
    expect(await hungry.end()).toMatchObject({
      outcome: 'Failed',
      exitCode: 137,
      reason: 'OOMKilled',
      overlay: { message: 'needed more memory than its limit of 64.0 MiB' },
    });
    const child = Number(readFileSync(note, 'utf8'));
    await waitFor(() => !isAlive(child));
    for (const neighbour of neighbours) {
      expect(await neighbour.end()).toMatchObject({ outcome: 'Succeeded' });
    }
    // One that somebody kills is not taken for it, though the kernel has just killed another one.
    const killed = await run('kill -KILL $$$$', { memory: '64Mi' });
    expect(await killed.end()).toMatchObject({ exitCode: 137, reason: 'Error' });
  });

  test('programs without limits have no cgroup, those with one have it to themselves', async () => {
    const run = await begin();
    const show = 'cat /proc/self/cgroup > $FILE; cd /sys/fs/cgroup$(sed -n s/^0:://p $FILE); ';
    const script = (file: string) =>
      `FILE=${file}; ${show} cat cgroup.procs memory.max cpu.max >> $FILE`.replaceAll('$', '$$$$');
    const [bare, own] = ['bare', 'own'].map((name) => join(directory, name));
    await (await run(script(bare!))).end();
    await (await run(script(own!), { memory: '64Mi', cpu: '250m' })).end();
    expect(readFileSync(bare!, 'utf8')).toContain(`/${WORKERS_GROUP}\n`);
    const said = readFileSync(own!, 'utf8');
    expect(said).toMatch(/\/drover-pods-[^/]+\/\d+\n/);
    expect(said).toContain(`\n${64 * 2 ** 20}\n`);
    expect(said).toContain('\n25000 100000\n');
  });

  test('exec hooks run in the cgroup of their container, and restarts in a new one each', async () => {
    const run = await begin();
    const file = join(directory, 'hooks');
    const show = `sed -n s/^0:://p /proc/self/cgroup >> ${file}`;
    const postStart = { exec: { command: ['/bin/sh', '-c', show] } };
    const main = {
      name: 'main',
      command: [
        '/bin/sh',
        '-c',
        `${show}; while [ $(wc -l < ${file}) = 1 -o $(wc -l < ${file}) = 3 ]; do sleep 0.02; done; test $(wc -l < ${file}) = 4`,
      ],
      resources: { limits: { memory: '64Mi' } },
      lifecycle: { postStart },
    };
    const pod = await run('', {}, { containers: [main], restartPolicy: 'OnFailure' });
    expect(await pod.end()).toMatchObject({ outcome: 'Succeeded' });
    const seen = readFileSync(file, 'utf8').trim().split('\n');
    expect([seen[0], seen[2]]).toEqual([seen[1], seen[3]]);
    expect(seen[0]).not.toBe(seen[2]);
  });

  test('a worker that begins where another one has made cgroups has what both may take, not the whole machine', async () => {
    await begin();
    const file = join(place, 'memory.max');
    const before = readFileSync(file, 'utf8');
    writeFileSync(file, String(2 ** 30));
    try {
      const { resources } = resolveOptions({ connection: workers.server.url });
      expect(resources.memoryBytes).toBe(2 ** 30);
    } finally {
      writeFileSync(file, before);
    }
  });

  test('nothing stays of a worker that is closed, and of one that was killed the next one ends what it finds', async () => {
    const before = groups();
    const run = await begin();
    await run('sleep 1000', { memory: '64Mi' });
    await workers.clear();
    expect(groups()).toEqual(before);

    const { worker, left } = await startWorker();
    // With its helper, so that nobody is there to clean up.
    process.kill(-worker.pid!, 'SIGKILL');
    await once(worker, 'exit');
    expect(isAlive(left)).toBe(true);
    await begin();
    await waitFor(() => !isAlive(left) && groups().length === before.length + 1);
  });
});

/** A process with cgroups of its own, in one of which another one runs that it did not start. */
async function startWorker(): Promise<{ worker: ChildProcess; left: number }> {
  const worker = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', WORKER], {
    stdio: ['ignore', 'pipe', 'inherit'],
    detached: true,
  });
  const [path] = await once(createInterface({ input: worker.stdout }), 'line');
  const stray = spawn('sleep', ['1000'], { detached: true, stdio: 'ignore' });
  writeFileSync(join(String(path), 'cgroup.procs'), String(stray.pid));
  return { worker, left: stray.pid! };
}
