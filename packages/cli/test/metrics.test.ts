import { readFileSync } from 'node:fs';
import { request } from 'node:https';
import { join } from 'node:path';

import { Drover } from '@drover/sdk';
import { startRedis, type NodeProcess, type TestRedis, waitFor } from '@drover/testkit';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { Home } from './drover.ts';

const DOCS = new URL('../../../docs/metrics.md', import.meta.url);

/** What a process says of itself. */
interface Exposed {
  /** Samples by name and labels, as they are written: `name{label="value"}`. */
  readonly samples: ReadonlyMap<string, number>;
  /** `name | type | labels` of each metric of Drover's own. */
  readonly metrics: ReadonlySet<string>;
}

let home: Home;
let redis: TestRedis;
let drover: Drover;

beforeAll(async () => {
  home = await Home.make();
  redis = await startRedis();
  drover = new Drover({ connection: redis.url });
});

afterAll(async () => {
  await drover.close();
  await redis.stop();
  await home.remove();
});

/** Starts a service with an endpoint; answers it and its address. */
async function start(
  name: string,
  ...args: string[]
): Promise<{ service: NodeProcess; address: string }> {
  const service = home.start([name, ...args, '--redis', redis.url, '--metrics-port', '0']);
  const [, address = ''] = await service.waitForLine(/"address":"(http:[^"]+)","msg":"metrics/);
  await waitFor(async () => (await fetch(`${address}/readyz`)).status === 200, {
    timeoutMs: 20_000,
    describe: `the ${name} to be ready`,
  });
  return { service, address };
}

/** What `/readyz` answers: status and text. */
async function readiness(address: string): Promise<string> {
  const answer = await fetch(`${address}/readyz`);
  return `${answer.status} ${await answer.text()}`;
}

async function scrape(address: string): Promise<Exposed> {
  const response = await fetch(`${address}/metrics`);
  expect(response.headers.get('content-type')).toMatch(/^text\/plain; version=0.0.4/);
  const samples = new Map<string, number>();
  const types = new Map<string, string>();
  const labels = new Map<string, Set<string>>();
  for (const line of (await response.text()).split('\n')) {
    const type = /^# TYPE (drover_\S+) (\S+)$/.exec(line);
    if (type !== null) types.set(type[1]!, type[2]!);
    const sample = /^((drover_[a-z_]+)(?:\{(.*)\})?) (\S+)$/.exec(line);
    if (sample === null) continue;
    samples.set(sample[1]!, Number(sample[4]));
    const owner = types.has(sample[2]!) ? sample[2]! : sample[2]!.replace(/_[a-z]+$/, '');
    const known = labels.get(owner) ?? new Set();
    for (const [, label] of (sample[3] ?? '').matchAll(/(\w+)="/g)) known.add(label!);
    labels.set(owner, known);
  }
  const metrics = [...types].map(([name, type]) => {
    const own = [...(labels.get(name) ?? [])].filter((label) => label !== 'le');
    return `${name} | ${type} | ${own.toSorted().join(', ')}`;
  });
  return { samples, metrics: new Set(metrics) };
}

/** Creates a Job that waits, as a client of the API server does; answers the status. */
async function postJob(kubeconfig: string): Promise<number | undefined> {
  const server = /server: (\S+)/.exec(kubeconfig)?.[1] ?? '';
  const token = /token: (\S+)/.exec(kubeconfig)?.[1] ?? '';
  const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' };
  const url = `${server}/apis/batch/v1/namespaces/default/jobs`;
  const metadata = { name: 'posted' };
  const job = { apiVersion: 'batch/v1', kind: 'Job', metadata, spec: spec(['true'], 1) };
  return await new Promise((resolve, reject) => {
    const sent = request(url, { method: 'POST', headers, rejectUnauthorized: false }, (answer) => {
      answer.resume().once('end', () => resolve(answer.statusCode));
    });
    sent.once('error', reject).end(JSON.stringify(job));
  });
}

/** A Job's spec; its pods are tried once. */
function spec(command: string[], completions: number) {
  const container = { name: 'c', image: 'none', command };
  const template = { spec: { containers: [container], restartPolicy: 'Never' as const } };
  return { completions, backoffLimit: 0, template };
}

/** The rows of a role's table in the docs. */
function documented(role: string): Set<string> {
  const text = readFileSync(DOCS, 'utf8');
  const [, section = ''] = text.split(`\n## ${role}\n`);
  const rows = section.split('\n## ')[0]!.matchAll(/^\| `(drover_\w+)` \| (\w+) \|([^|]*)\|/gm);
  return new Set(
    [...rows].map(
      ([, name, type, labels]) => `${name} | ${type} | ${labels!.replaceAll('`', '').trim()}`,
    ),
  );
}

describe('--metrics-port', () => {
  test('each process tells what docs/metrics.md lists, and counts what happened', async () => {
    const [controller, worker, server] = await Promise.all([
      start('controller'),
      start('worker', '--max-pods', '2'),
      start('server', '--port', '0', '--data-dir', join(home.dir, 'server')),
    ]);
    const queue = drover.workQueue('items');
    await queue.enqueue([1, 2]);
    await drover.jobs.create({ metadata: { name: 'good' }, spec: spec(['true'], 3) });
    await drover.jobs.create({ metadata: { name: 'bad' }, spec: spec(['false'], 1) });
    await drover.jobs.wait('good');
    await drover.jobs.wait('bad').catch(() => undefined);
    await fetch(`${controller.address}/`).then(async (answer) => {
      expect(answer.status).toBe(404);
      expect(await answer.text()).toBe('there are /metrics, /healthz and /readyz\n');
    });
    const post = await fetch(`${controller.address}/metrics`, { method: 'POST' });
    expect(post.status).toBe(405);

    // What is read from Redis is a second old at most.
    const ofController = await waitFor(
      async () => {
        const exposed = await scrape(controller.address);
        return exposed.samples.get('drover_jobs') === 2 ? exposed : null;
      },
      { describe: 'both Jobs in the metrics' },
    );
    const ofWorker = await scrape(worker.address);
    expect(await postJob(readFileSync(join(home.dir, 'server', 'kubeconfig'), 'utf8'))).toBe(201);
    const ofServer = await scrape(server.address);

    const values = ({ samples }: Exposed, ...names: string[]): (number | undefined)[] =>
      names.map((name) => samples.get(name));
    expect(
      values(
        ofController,
        'drover_jobs_finished_total{condition="Complete",reason="CompletionsReached"}',
        'drover_jobs_finished_total{condition="Failed",reason="BackoffLimitExceeded"}',
        'drover_work_queue_items{state="outstanding"}',
        'drover_work_queues',
        'drover_worker_sessions',
        'drover_redis_up',
        'drover_ready',
      ),
    ).toEqual([1, 1, 2, 1, 1, 1, 1]);
    expect(
      values(
        ofWorker,
        'drover_pods_started_total',
        'drover_pods_ended_total{result="succeeded"}',
        'drover_pods_ended_total{result="failed"}',
        'drover_pod_duration_seconds_count',
        'drover_job_start_delay_seconds_count',
        'drover_report_pods_sum',
        'drover_lanes{runtime="process"}',
      ),
    ).toEqual([4, 3, 1, 4, 2, 4, 2]);
    expect(
      values(
        ofServer,
        'drover_api_requests_total{verb="create",resource="jobs",code="201"}',
        'drover_api_request_duration_seconds_count{verb="create"}',
      ),
    ).toEqual([1, 1]);
    // Each report goes by one of two scripts; by both when the short one refuses it.
    const [reports = 0, short = 0, long = 0] = values(
      ofWorker,
      'drover_report_pods_count',
      'drover_script_duration_seconds_count{script="reportSuccesses"}',
      'drover_script_duration_seconds_count{script="report"}',
    );
    expect(long).toBeLessThanOrEqual(reports);
    expect(short + long).toBeGreaterThanOrEqual(reports);

    for (const [role, exposed] of Object.entries({ ofController, ofWorker, ofServer })) {
      const name = role.slice('of'.length).toLowerCase();
      const wanted = new Set([...documented('every process'), ...documented(name)]);
      expect({ name, metrics: [...exposed.metrics].toSorted() }).toEqual({
        name,
        metrics: [...wanted].toSorted(),
      });
    }
    const gate = join(home.dir, 'gate');
    await drover.jobs.create({
      metadata: { name: 'slow' },
      spec: spec(['sh', '-c', `until [ -e ${gate} ]; do sleep 0.05; done`], 1),
    });
    await waitFor(async () => (await drover.jobs.get('slow')).status?.active === 1);
    await waitFor(async () => {
      const { samples } = await scrape(worker.address);
      return samples.get('drover_lanes_used{runtime="process"}') === 1;
    });
    process.kill(worker.service.pid, 'SIGTERM');
    await waitFor(async () => (await readiness(worker.address)) === '503 it drains\n');
    expect((await fetch(`${worker.address}/healthz`)).status).toBe(200);
    await home.write('gate', '');
    expect(await worker.service.exited).toEqual({ code: 0, signal: null });

    await redis.kill();
    for (const { address, service } of [controller, server]) {
      await waitFor(async () => (await readiness(address)).startsWith('503 '));
      expect((await scrape(address)).samples.get('drover_redis_up')).toBe(0);
      await service.kill('SIGKILL');
    }
  }, 120_000);

  test('an address that can not be had is the mistake of the user', async () => {
    const own = await startRedis();
    const ended = await home.drover([
      'controller',
      '--redis',
      own.url,
      '--metrics-port',
      '0',
      '--metrics-host',
      '203.0.113.1',
    ]);
    await own.stop();
    expect(ended).toMatchObject({
      code: 2,
      stderr: expect.stringMatching(
        /error: --metrics-port 0, --metrics-host 203\.0\.113\.1: .*EADDRNOTAVAIL/,
      ) as string,
    });
  });
});
