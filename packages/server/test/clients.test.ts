/** The official client libraries, unmodified: JavaScript's, and Python's where Debian's package is. */

import { execFileSync, spawn } from 'node:child_process';
import { Writable } from 'node:stream';

import {
  ApiException,
  BatchV1Api,
  CoreV1Api,
  KubeConfig,
  Log,
  makeInformer,
  PatchStrategy,
  setHeaderOptions,
  Watch,
  type V1Job,
} from '@kubernetes/client-node';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { ServerBed } from './bed.ts';

let bed: ServerBed;
let config: KubeConfig;
beforeAll(async () => {
  bed = await ServerBed.start();
  config = new KubeConfig();
  config.loadFromFile(bed.path('kubeconfig'));
}, 60_000);
afterAll(async () => await bed.stop());

const namespace = 'default';

function job(name: string, spec: object = {}): V1Job {
  const container = { name: 'main', command: ['sh', '-c', 'echo one; echo two'] };
  return {
    metadata: { name, labels: { app: name } },
    spec: { ...spec, template: { spec: { restartPolicy: 'Never', containers: [container] } } },
  };
}

describe('the client of JavaScript', () => {
  test('creates, reads, changes and deletes; errors have their Status', async () => {
    const batch = config.makeApiClient(BatchV1Api);
    const body = job('js', { suspend: true });
    const made = await batch.createNamespacedJob({ namespace, body });
    expect(made.metadata?.creationTimestamp).toBeInstanceOf(Date);
    const { items } = await batch.listNamespacedJob({ namespace, labelSelector: 'app=js' });
    expect(items.map(({ metadata }) => metadata?.name)).toEqual(['js']);
    const patched = await batch.patchNamespacedJob(
      { namespace, name: 'js', body: { spec: { parallelism: 3 } } },
      setHeaderOptions('Content-Type', PatchStrategy.StrategicMergePatch),
    );
    expect(patched.spec?.parallelism).toBe(3);
    patched.spec!.backoffLimit = 1;
    await batch.replaceNamespacedJob({ namespace, name: 'js', body: patched });
    const applied = await batch.patchNamespacedJob(
      {
        namespace,
        name: 'js',
        fieldManager: 'test',
        body: {
          apiVersion: 'batch/v1',
          kind: 'Job',
          metadata: { name: 'js' },
          spec: { parallelism: 3 },
        },
      },
      setHeaderOptions('Content-Type', PatchStrategy.ServerSideApply),
    );
    expect(applied.metadata?.managedFields?.map(({ manager }) => manager)).toContain('test');
    await batch.deleteNamespacedJob({ namespace, name: 'js', propagationPolicy: 'Background' });
    const gone = batch.readNamespacedJob({ namespace, name: 'js' });
    await expect(gone).rejects.toBeInstanceOf(ApiException);
    await expect(gone).rejects.toMatchObject({ code: 404 });
  });

  test('watches: an informer keeps up with what there is', async () => {
    const batch = config.makeApiClient(BatchV1Api);
    const informer = makeInformer(config, `/apis/batch/v1/namespaces/${namespace}/jobs`, () =>
      batch.listNamespacedJob({ namespace }),
    );
    const told: string[] = [];
    for (const event of ['add', 'update', 'delete'] as const) {
      informer.on(event, ({ metadata }) => void told.push(`${event} ${metadata?.name}`));
    }
    await informer.start();
    await batch.createNamespacedJob({ namespace, body: job('informed') });
    await expect.poll(() => told, { timeout: 10_000 }).toContain('add informed');
    await bed.drover.jobs.wait('informed');
    await expect
      .poll(() => informer.get('informed', namespace)?.status?.succeeded, { timeout: 10_000 })
      .toBe(1);
    await bed.drover.jobs.delete('informed');
    await expect.poll(() => told, { timeout: 10_000 }).toContain('delete informed');
    await informer.stop();
  });

  test('reads a log to its end, and the pods of a Job', async () => {
    const batch = config.makeApiClient(BatchV1Api);
    await batch.createNamespacedJob({ namespace, body: job('logged') });
    await bed.drover.jobs.wait('logged');
    const core = config.makeApiClient(CoreV1Api);
    const { items } = await core.listNamespacedPod({ namespace, labelSelector: 'job-name=logged' });
    const [pod] = items;
    expect(pod?.status?.containerStatuses?.[0]?.state?.terminated?.exitCode).toBe(0);
    let text = '';
    const stream = new Writable({
      write: (chunk: Buffer, _encoding, done) => {
        text += chunk.toString();
        done();
      },
    });
    const name = pod?.metadata?.name ?? '';
    await new Log(config).log(namespace, name, 'main', stream, { follow: true });
    await expect.poll(() => text).toBe('one\ntwo\n');
  });

  test('a watch is told what has happened since a version', async () => {
    const batch = config.makeApiClient(BatchV1Api);
    const { metadata } = await batch.listNamespacedJob({ namespace });
    await batch.createNamespacedJob({ namespace, body: job('since', { suspend: true }) });
    const told: string[] = [];
    const controller = await new Watch(config).watch(
      `/apis/batch/v1/namespaces/${namespace}/jobs`,
      { resourceVersion: metadata?.resourceVersion },
      (type: string, object: V1Job) => void told.push(`${type} ${object.metadata?.name}`),
      () => undefined,
    );
    await expect.poll(() => told).toContain('ADDED since');
    controller.abort();
  });
});

const SCRIPT = `
import sys
from kubernetes import client, config, watch
config.load_kube_config(sys.argv[1])
batch, core = client.BatchV1Api(), client.CoreV1Api()
container = client.V1Container(name="main", image="x", command=["sh", "-c", "echo from python"])
template = client.V1PodTemplateSpec(spec=client.V1PodSpec(restart_policy="Never", containers=[container]))
body = client.V1Job(metadata=client.V1ObjectMeta(name="py"), spec=client.V1JobSpec(template=template))
made = batch.create_namespaced_job("default", body)
for event in watch.Watch().stream(batch.list_namespaced_job, "default", field_selector="metadata.name=py", resource_version="0", timeout_seconds=20):
    if event["object"].status.succeeded:
        break
pods = core.list_namespaced_pod("default", label_selector="job-name=py").items
print(pods[0].status.phase, pods[0].status.container_statuses[0].state.terminated.exit_code)
print(core.read_namespaced_pod_log(pods[0].metadata.name, "default"), end="")
batch.patch_namespaced_job("py", "default", {"metadata": {"labels": {"x": "1"}}})
print(batch.list_job_for_all_namespaces(label_selector="x=1").items[0].metadata.name)
try:
    batch.create_namespaced_job("default", body)
except client.exceptions.ApiException as error:
    print(error.status, error.reason)
batch.delete_namespaced_job("py", "default", propagation_policy="Foreground")
print([node.metadata.name for node in core.list_node().items])
`;

/** A Python that has the client; null = there is none. */
const python = findPython();

describe('the client of Python', () => {
  const note = python === null ? ' (skipped: there is no python3-kubernetes)' : '';
  test.skipIf(python === null)(`runs a Job and reads all of it${note}`, async () => {
    const script = await bed.write('client.py', SCRIPT);
    const program = spawn(python ?? '', [script, bed.path('kubeconfig')]);
    let output = '';
    for (const stream of [program.stdout, program.stderr]) {
      stream.setEncoding('utf8').on('data', (text: string) => (output += text));
    }
    const code = await new Promise((resolve) => program.on('close', resolve));
    expect([code, output]).toEqual([
      0,
      "Succeeded 0\nfrom python\npy\n409 Conflict\n['worker-1']\n",
    ]);
  });
}, 30_000);

/** Debian's package is for Debian's own Python, which need not be the first one. */
function findPython(): string | null {
  const candidates = ['python3', '/usr/bin/python3'];
  return candidates.find(hasClient) ?? null;
}

function hasClient(candidate: string): boolean {
  try {
    execFileSync(candidate, ['-c', 'import kubernetes'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}
