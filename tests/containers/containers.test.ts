/** The image and docker-compose.yml, with a real engine; skipped, with the reason, where none is. */
import { mkdtemp, readFile, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { Drover } from '@drover/sdk';
import { guardFolder, kubernetesPrograms, startRedis, waitFor } from '@drover/testkit';
import { GenericContainer, Network, Wait } from 'testcontainers';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { OFFICIAL } from '../../scripts/containers/baseImages.ts';
import { docker, run } from '../../scripts/containers/docker.ts';
import { findOnPath } from '../../scripts/lib/toolchain.js';
import { type Containers, DROVER_IMAGE, findContainers, ROOT } from './support/containers.ts';
import { Project, type SeenPod } from './support/project.ts';

/** Has what a shell, a URL and redis.conf would take for something else. */
const PASSWORD = `a%41:@/?#"quoted" \\$x'`;

const found = await findContainers();
const compose = typeof found === 'string' ? null : found.compose;
const why = typeof found === 'string' ? found : compose === null ? 'there is no compose' : null;
if (why !== null) console.log(`tests with containers are skipped: ${why}`);
const note = why === null ? '' : ` (skipped: ${why})`;

describe.skipIf(why !== null)(`docker-compose.yml${note}`, { timeout: 240_000 }, () => {
  let project: Project;

  beforeAll(async () => {
    const containers = found as Containers;
    project = await Project.make(containers, PASSWORD);
    await project.up(3);
    await project.healthy(6);
  }, 900_000);

  afterAll(async () => {
    await project.down();
  }, 60_000);

  test('what runs is a plain user, behind an init, and has the password in a file only', async () => {
    for (const service of ['redis', 'controller', 'worker', 'server']) {
      for (const id of await project.containers(service)) {
        expect(await docker(['exec', id, 'id', '--user'])).not.toBe('0');
        expect(await docker(['exec', id, 'cat', '/proc/1/comm'])).toMatch(/init/);
        expect(await docker(['inspect', id])).not.toContain('quoted');
        const commands = await docker(['exec', id, 'sh', '-c', 'cat /proc/[0-9]*/cmdline']);
        expect(commands).not.toContain('quoted');
        // Redis is for the containers alone; what is published of the server is of this machine.
        const published = service === 'server' ? /^6443\/tcp -> 127\.0\.0\.1:\d+$/ : /^$/;
        expect(await docker(['port', id])).toMatch(published);
      }
    }
  });

  test('the image has nothing that only development needs', async () => {
    const script = 'ls /opt/drover/node_modules/.pnpm; find /opt/drover -name "*.d.ts" | head -1';
    const seen = await docker(['run', '--rm', '--entrypoint', 'sh', DROVER_IMAGE, '-c', script]);
    expect(seen).toContain('bullmq@');
    expect(seen).not.toMatch(/typescript|vitest|oxlint|testcontainers|testkit|\.d\.ts/);
    expect(await docker(['run', '--rm', DROVER_IMAGE, '--version'])).toMatch(/^\d+\.\d+\.\d+$/);
    const layers = await docker([
      'history',
      '--format',
      '{{.Size}}',
      '--human=false',
      DROVER_IMAGE,
    ]);
    const base = await docker([
      'image',
      'inspect',
      '--format',
      '{{.Size}}',
      (found as Containers).env.DROVER_NODE_IMAGE,
    ]);
    const bytes = layers.split('\n').reduce((sum, size) => sum + Number(size), 0);
    expect(bytes - Number(base)).toBeLessThan(60_000_000);
  });

  test('kubectl works with the server, which keeps its identity when it is made anew', async () => {
    const { kubectl } = await kubernetesPrograms();
    const [id = ''] = await project.containers('server');
    const port = (await docker(['port', id])).split(':').at(-1)?.trim();
    const kubeconfig = join(project.folder, 'kubeconfig');
    const text = await docker(['exec', id, 'cat', '/var/lib/drover/kubeconfig']);
    await writeFile(kubeconfig, text.replace(':6443', `:${port}`), { mode: 0o600 });
    const get = () => run(kubectl, ['--kubeconfig', kubeconfig, 'get', 'nodes', '-o', 'name']);
    expect((await get()).stdout.trim().split('\n')).toHaveLength(3);
    await docker(['restart', id]);
    // Its port may be another one: only what it shows itself with is asked for.
    await waitFor(
      async () =>
        (await run('docker', ['exec', id, 'cat', '/var/lib/drover/kubeconfig'])).stdout.trim() ===
        text.trim(),
      { timeoutMs: 60_000 },
    );
  });

  test('a worker container that is killed loses nothing', async () => {
    // As many at once as there are lanes: each worker runs some at any time.
    await project.submit('killed', 'echo "index $JOB_COMPLETION_INDEX"; sleep 1.5', {
      completions: 30,
      parallelism: 6,
      completionMode: 'Indexed',
    });
    await waitFor(async () => ((await project.job('killed')).status.succeeded ?? 0) > 0, {
      timeoutMs: 60_000,
    });
    const [victim = ''] = await project.containers('worker');
    await docker(['kill', victim]);

    await project.complete('killed');
    const { status } = await project.job('killed');
    const pods = await project.pods('killed');
    const failed = pods.filter((pod) => pod.status.phase === 'Failed');
    expect(status).toMatchObject({ succeeded: 30, completedIndexes: '0-29' });
    expect(status.active ?? 0).toBe(0);
    expect(status.failed ?? 0).toBe(failed.length);
    expect(failed.length).toBeGreaterThan(0);
    for (const pod of failed) {
      expect(await containerOf(pod)).toBe(victim);
      expect(pod.status.conditions).toContainEqual(
        expect.objectContaining({ type: 'DisruptionTarget' }),
      );
    }
    const logs = await project.drover(['logs', 'job/killed', '--all-pods']);
    const told = new Set([...logs.matchAll(/index (\d+)/g)].map(([, index]) => Number(index)));
    expect(told.size).toBe(30);
  });

  test('with no worker a Job waits; with workers again it goes on', async () => {
    await project.up(0);
    await project.submit('patient', 'true', { completions: 3, parallelism: 3 });
    expect((await project.job('patient')).status.succeeded ?? 0).toBe(0);
    await project.up(2);
    await project.complete('patient');
    expect((await project.job('patient')).status).toMatchObject({ succeeded: 3 });
  });

  test('workers that are stopped report their pods first', async () => {
    const script = 'until [ -e /tmp/go ]; do sleep 0.2; done';
    await project.submit('drained', script, { completions: 2, parallelism: 2 });
    await waitFor(async () => (await project.pods('drained')).filter(isRunning).length === 2, {
      timeoutMs: 60_000,
    });
    const workers = await project.containers('worker');
    const stopping = project.compose(['stop', 'worker']);
    for (const id of workers) {
      await waitFor(async () => (await run('docker', ['logs', id])).stderr.includes('drains'), {
        timeoutMs: 60_000,
      });
    }
    // One of them may have had no pod, and have ended.
    for (const id of workers) await run('docker', ['exec', id, 'touch', '/tmp/go']);
    expect(await stopping).toMatchObject({ code: 0 });
    await project.complete('drained');
    expect((await project.job('drained')).status).toMatchObject({ succeeded: 2 });
    expect((await project.job('drained')).status.failed ?? 0).toBe(0);
    for (const id of workers) {
      expect(await docker(['inspect', '--format', '{{.State.ExitCode}}', id])).toBe('0');
    }
  });

  test('Redis may be killed: its data are on the volume', async () => {
    const [redis = ''] = await project.containers('redis');
    await project.submit('kept', 'true', { completions: 2, parallelism: 1, suspend: true });
    await docker(['kill', redis]);
    await project.up(1);
    await project.drover(['resume', 'job/kept']);
    await project.complete('kept');
  });

  describe('bad input is told in words', () => {
    /** Runs a worker with another file for the password. */
    async function workerWith(path: string): Promise<{ code: number; stderr: string }> {
      const flags = [
        `--network=${project.name}_default`,
        `--volume=${path}:/password:ro`,
        '--env=DROVER_REDIS_URL=redis://redis:6379',
        '--env=DROVER_REDIS_PASSWORD_FILE=/password',
      ];
      return await run('docker', ['run', '--rm', ...flags, DROVER_IMAGE, 'worker']);
    }

    test('a wrong password', async () => {
      const path = join(project.folder, 'wrong');
      await writeFile(path, 'wrong\n', { mode: 0o644 });
      const { code, stderr } = await workerWith(path);
      expect(stderr).toMatch(/error: Redis at redis:6379 refused the login: wrong user name or/);
      expect(stderr).not.toMatch(/^\s+at /m);
      expect(code).toBe(3);
    });

    test('a file that only its owner may read', async () => {
      const path = join(project.folder, 'mine');
      await writeFile(path, 'secret\n', { mode: 0o600 });
      const { code, stderr } = await workerWith(path);
      expect(stderr).toContain(
        'error: DROVER_REDIS_PASSWORD_FILE=/password: user 1000 of this process may not read it',
      );
      expect(code).toBe(2);
    });

    test('no file: Docker makes a directory', async () => {
      const { code, stderr } = await workerWith(join(project.folder, 'missing'));
      expect(stderr).toContain('/password: is a directory, a file with the password is expected');
      expect(code).toBe(2);
    });

    const secrets = [
      { name: 'an empty file', password: '', want: /no password: write one into the file/ },
      { name: 'no file', password: null, want: /redis_password is a directory/ },
    ];
    test.each(secrets)('$name: Redis does not start', async ({ password, want }) => {
      const other = await Project.make(found as Containers, password);
      try {
        await other.compose(['up', '--detach', '--no-deps', 'redis']);
        let said = '';
        const isSaid = async (): Promise<boolean> => {
          said = (await other.compose(['logs', 'redis'])).stdout;
          return want.test(said);
        };
        const patience = { timeoutMs: 60_000, intervalMs: 200, describe: () => said };
        expect(await waitFor(isSaid, patience)).toBe(true);
      } finally {
        await other.down();
      }
    });
  });

  /** What the pods of a Job returned. */
  async function resultsOf(job: string): Promise<Set<string | undefined>> {
    const pods = await project.pods(job);
    return new Set(pods.map(({ metadata }) => metadata.annotations?.['drover.dev/result']));
  }

  test("an image of one's own brings programs and handlers", async () => {
    project.use('examples/containers/docker-compose.yml');
    await project.build('worker');
    await project.up(2);
    const jobs = await readFile(join(ROOT, 'examples/containers/jobs.yaml'), 'utf8');
    await project.drover(['apply', '-f', '-'], jobs);
    await project.complete('where');
    const logs = await project.drover(['logs', 'job/where', '--all-pods']);
    const hosts = [...logs.matchAll(/pod \d runs in (\w{12})$/gm)].map(([, host]) => host);
    expect(hosts).toHaveLength(6);

    await project.complete('squares');
    expect(await resultsOf('squares')).toEqual(new Set(['0', '1', '4', '9', '16']));
    await project.complete('primes');
    expect(await resultsOf('primes')).toEqual(new Set(['1229']));
  });
});

describe.skipIf(why !== null)(`testcontainers${note}`, { timeout: 240_000 }, () => {
  test('startRedis() finds a Redis in a container where there is no redis-server', async () => {
    const { REDIS_URL, PATH } = process.env;
    // Nothing but the command of Docker, which testcontainers may ask for credentials; beside it may lie a redis-server.
    const folder = await mkdtemp(join(tmpdir(), 'drover-path-'));
    guardFolder(folder);
    await symlink(findOnPath('docker') ?? '', join(folder, 'docker'));
    process.env['PATH'] = folder;
    delete process.env['REDIS_URL'];
    expect(findOnPath('redis-server')).toBeNull();
    try {
      const redis = await startRedis({ appendOnly: true, config: { maxmemory: '64mb' } });
      const client = redis.connect();
      expect(await client.set('key', 'value')).toBe('OK');
      expect(await client.config('GET', 'maxmemory')).toEqual(['maxmemory', '67108864']);
      expect(redis.pid).toBeNull();
      await redis.stop();
    } finally {
      process.env['PATH'] = PATH;
      if (REDIS_URL !== undefined) process.env['REDIS_URL'] = REDIS_URL;
    }
  });

  describe('Redis, a controller and a worker, each a container', () => {
    const started: { stop(): Promise<unknown> }[] = [];
    let url: string;

    beforeAll(async () => {
      const network = await new Network().start();
      started.push(network);
      const redis = await new GenericContainer((found as Containers).env.DROVER_REDIS_IMAGE)
        .withNetwork(network)
        .withNetworkAliases('redis')
        .withExposedPorts(6379)
        .withCommand(['redis-server', '--requirepass', 'secret', '--appendonly', 'yes'])
        .withWaitStrategy(Wait.forLogMessage('Ready to accept connections'))
        .start();
      started.push(redis);
      for (const [command, ready] of [
        ['controller', 'controller runs'],
        ['worker', 'takes pods'],
      ] as const) {
        const service = await new GenericContainer(DROVER_IMAGE)
          .withNetwork(network)
          .withEnvironment({ DROVER_REDIS_URL: 'redis://:secret@redis:6379' })
          .withCommand([command])
          .withWaitStrategy(Wait.forLogMessage(ready))
          .start();
        started.push(service);
      }
      url = `redis://:secret@${redis.getHost()}:${redis.getMappedPort(6379)}`;
    }, 240_000);

    afterAll(async () => {
      for (const one of started.toReversed()) await one.stop();
    }, 60_000);

    test('run the Job of a client on this machine', async () => {
      const drover = new Drover({ connection: url });
      const command = ['sh', '-c', 'echo "$JOB_COMPLETION_INDEX"'];
      const podSpec = { restartPolicy: 'Never' as const, containers: [{ name: 'main', command }] };
      const job = await drover.jobs.create({
        metadata: { name: 'outside' },
        spec: {
          completions: 20,
          parallelism: 4,
          completionMode: 'Indexed',
          template: { spec: podSpec },
        },
      });
      const done = await drover.jobs.wait(job, { for: 'complete', timeoutMs: 60_000 });
      expect(done.status).toMatchObject({ succeeded: 20, completedIndexes: '0-19' });
      await drover.close();
    });
  });
});

test('Dockerfile and docker-compose.yml name the images that the tests know', async () => {
  expect(await readFile(join(ROOT, 'Dockerfile'), 'utf8')).toContain(
    `ARG NODE_IMAGE=${OFFICIAL.DROVER_NODE_IMAGE}\n`,
  );
  const file = await readFile(join(ROOT, 'docker-compose.yml'), 'utf8');
  for (const [variable, name] of Object.entries(OFFICIAL)) {
    expect(file).toContain(`\${${variable}:-${name}}`);
  }
});

function isRunning(pod: SeenPod): boolean {
  return pod.status.phase === 'Running' && pod.spec.nodeName !== undefined;
}

/** Id of the container that runs, or ran, a pod: the node has its host name, and five more characters. */
async function containerOf(pod: SeenPod | undefined): Promise<string> {
  const host = pod?.spec.nodeName?.slice(0, 12) ?? '';
  expect(host).toMatch(/^[0-9a-f]{12}$/);
  return await docker(['inspect', '--format', '{{.Id}}', host]);
}
