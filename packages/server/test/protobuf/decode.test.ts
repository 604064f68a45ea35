import { spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { kubernetesPrograms } from '@drover/testkit';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { decodeProtobuf } from '../../src/protobuf/decode.ts';
import { messageOf, type MessageField } from '../../src/protobuf/messages.ts';
import { FakeCluster } from './fakeCluster.ts';

let dir: string;
let kubectl: string;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'drover-protobuf-'));
  ({ kubectl } = await kubernetesPrograms());
}, 60_000);
afterAll(async () => await rm(dir, { recursive: true, force: true }));

/** An object with every field that a message has, each with a value of its own. */
function everything(name: string): Record<string, unknown> {
  let next = 0;
  const scalars: Readonly<Record<string, () => unknown>> = {
    string: () => `text-${next++}`,
    int: () => next++,
    bool: () => true,
    bytes: () => Buffer.from(`bytes-${next++}`).toString('base64'),
    Time: () => '2026-01-15T12:00:00Z',
    Quantity: () => String(next++),
    IntOrString: () => (next++ % 2 === 0 ? next : `port-${next}`),
  };
  const valueOf = (type: string): unknown => scalars[type]?.() ?? objectOf(type);
  const objectOf = (type: string): Record<string, unknown> => {
    const object: Record<string, unknown> = {};
    for (const field of messageOf(type)?.values() ?? []) {
      if (field.type !== 'Opaque' && field.type !== 'Json') Object.assign(object, fieldOf(field));
    }
    return object;
  };
  const fieldOf = ({ name: key, type, shape }: MessageField): Record<string, unknown> => {
    switch (shape) {
      case 'inline':
        return objectOf(type);
      case 'list':
        return { [key]: [valueOf(type), valueOf(type)] };
      case 'map':
        return { [key]: { a: valueOf(type), b: valueOf(type) } };
      case 'single':
        return { [key]: valueOf(type) };
    }
  };
  return objectOf(name);
}

async function run(url: string, args: readonly string[]): Promise<string> {
  const child = spawn(kubectl, ['--server', url, ...args], {
    env: { HOME: dir, KUBECONFIG: join(dir, 'none'), PATH: process.env['PATH'] },
  });
  let output = '';
  child.stdout.on('data', (chunk: Buffer) => (output += String(chunk)));
  child.stderr.on('data', (chunk: Buffer) => (output += String(chunk)));
  await new Promise((resolve) => child.on('close', resolve));
  return output;
}

const CRONJOBS = '/apis/batch/v1/namespaces/default/cronjobs/full';
const DISCOVERY = {
  '/api': { kind: 'APIVersions', versions: ['v1'] },
  '/apis': {
    kind: 'APIGroupList',
    apiVersion: 'v1',
    groups: [
      {
        name: 'batch',
        versions: [{ groupVersion: 'batch/v1', version: 'v1' }],
        preferredVersion: { groupVersion: 'batch/v1', version: 'v1' },
      },
    ],
  },
  '/api/v1': { kind: 'APIResourceList', groupVersion: 'v1', resources: [] },
  '/apis/batch/v1': {
    kind: 'APIResourceList',
    groupVersion: 'batch/v1',
    resources: [
      {
        name: 'cronjobs',
        singularName: 'cronjob',
        namespaced: true,
        kind: 'CronJob',
        verbs: ['get'],
      },
    ],
  },
};

describe('what kubectl sends as protobuf', () => {
  test('a Job with every field there is comes out as it was', async () => {
    const spec = everything('JobSpec');
    const cronJob = {
      apiVersion: 'batch/v1',
      kind: 'CronJob',
      metadata: { name: 'full', namespace: 'default', uid: 'b95ba1a0-8691-497d-9892-737faf41144f' },
      spec: { schedule: '* * * * *', jobTemplate: { metadata: everything('ObjectMeta'), spec } },
    };
    const cluster = await FakeCluster.start({ ...DISCOVERY, [CRONJOBS]: cronJob });
    const output = await run(cluster.url, ['create', 'job', 'made', '--from=cronjob/full']);
    cluster.stop();
    const [posted] = cluster.bodies;
    expect(posted?.contentType, output).toBe('application/vnd.kubernetes.protobuf');
    const job = decodeProtobuf(posted!.body);
    expect(job).toMatchObject({ apiVersion: 'batch/v1', kind: 'Job', metadata: { name: 'made' } });
    expect(job['spec']).toEqual(spec);
  });

  test('objects of other kinds are what they would be as JSON', async () => {
    const cluster = await FakeCluster.start(DISCOVERY);
    const flags = ['--validate=false'];
    const commands = [
      ['create', 'configmap', 'c', '--from-literal=a=1', ...flags],
      ['create', 'secret', 'generic', 's', '--from-literal=a=1', ...flags],
      ['create', 'serviceaccount', 'a', ...flags],
      ['auth', 'can-i', 'create', 'jobs'],
    ];
    for (const command of commands) await run(cluster.url, command);
    cluster.stop();
    const objects = cluster.bodies.map(({ contentType, body }) => {
      expect(contentType).toBe('application/vnd.kubernetes.protobuf');
      return decodeProtobuf(body);
    });
    const core = { apiVersion: 'v1' };
    const asked = { namespace: 'default', verb: 'create', resource: 'jobs' };
    expect(objects).toEqual([
      { ...core, kind: 'ConfigMap', metadata: { name: 'c' }, data: { a: '1' } },
      { ...core, kind: 'Secret', metadata: { name: 's' }, data: { a: 'MQ==' } },
      { ...core, kind: 'ServiceAccount', metadata: { name: 'a' } },
      {
        apiVersion: 'authorization.k8s.io/v1',
        kind: 'SelfSubjectAccessReview',
        metadata: {},
        spec: { resourceAttributes: asked },
        status: {},
      },
    ]);
  });

  test('what is no such object, cut off, or of a field that nobody knows is refused', () => {
    const magic = Buffer.from('k8s\0');
    // Unknown: typeMeta {apiVersion: v1, kind: ConfigMap}, raw: a field of number 15.
    const type = Buffer.concat([
      Buffer.from([0x0a, 2]),
      Buffer.from('v1'),
      Buffer.from([0x12, 9]),
      Buffer.from('ConfigMap'),
    ]);
    const envelope = Buffer.concat([magic, Buffer.from([0x0a, type.length]), type]);
    const unknown = Buffer.concat([envelope, Buffer.from([0x12, 2, 0x78, 0x01])]);
    expect(() => decodeProtobuf(Buffer.from('{}'))).toThrow('no object of Kubernetes');
    expect(() => decodeProtobuf(unknown)).toThrow('ConfigMap has a field of number 15');
    expect(() => decodeProtobuf(unknown.subarray(0, -1))).toThrow('can not be decoded');
    expect(() => decodeProtobuf(magic)).toThrow('not as protobuf');
    expect(decodeProtobuf(envelope)).toEqual({ apiVersion: 'v1', kind: 'ConfigMap' });
  });
});
