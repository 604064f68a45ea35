import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';

import { ServerBed } from './bed.ts';

let bed: ServerBed;
beforeAll(async () => {
  bed = await ServerBed.start();
}, 60_000);
afterAll(async () => await bed.stop());

async function kubectl(...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await bed.kubectl(args);
  expect(code, stderr).toBe(0);
  return stdout;
}

test('a namespace is made and goes with what is in it; one that is in use needs no making', async () => {
  expect(await kubectl('create', 'namespace', 'made')).toBe('namespace/made created\n');
  await bed.drover.configMaps.create({ metadata: { name: 'first', namespace: 'used' } });
  await kubectl('create', 'configmap', 'kept', '--from-literal=a=1', '-n', 'used');
  await kubectl('label', 'namespace', 'used', 'team=x');
  expect(await kubectl('get', 'namespaces', '--show-labels')).toMatch(
    /default +Active[^]*made +Active[^]*used +Active .*team=x/,
  );
  expect(await kubectl('get', 'serviceaccounts', '-n', 'used', '-o', 'name')).toBe(
    'serviceaccount/default\n',
  );
  const template = {
    spec: { restartPolicy: 'Never' as const, containers: [{ name: 'main', command: ['true'] }] },
  };
  const inIt = { metadata: { name: 'in-it', namespace: 'used' } };
  await bed.drover.jobs.create({ ...inIt, spec: { suspend: true, template } });
  await bed.drover.cronJobs.create({
    ...inIt,
    spec: { schedule: '@yearly', jobTemplate: { spec: { template } } },
  });
  // It waits until the namespace is gone.
  await kubectl('delete', 'namespace', 'used', 'made');
  expect(await kubectl('get', 'namespaces', '-o', 'name')).toBe('namespace/default\n');
  expect(await kubectl('get', 'cronjobs,jobs,configmaps', '-A')).toBe('');
  expect((await bed.kubectl(['delete', 'namespace', 'default'])).stderr).toContain('(Forbidden)');
});

test('nothing is created in a namespace that there is not, or that is to be deleted', async () => {
  const map = (name: string) => ({
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name, namespace: 'ending' },
  });
  const file = await bed.write('map.json', map('late'));
  const absent = `Error from server (NotFound): error when creating "${file}": namespaces "ending" not found\n`;
  expect(await bed.kubectl(['create', '-f', file])).toMatchObject({ code: 1, stderr: absent });
  expect(await bed.kubectl(['apply', '-f', file, '--dry-run=server'])).toMatchObject({
    code: 1,
    stderr: absent,
  });
  const applied = await bed.kubectl(['apply', '--server-side', '-f', file]);
  expect(applied).toMatchObject({
    code: 1,
    stderr: 'Error from server (NotFound): namespaces "ending" not found\n',
  });

  await kubectl('create', 'namespace', 'ending');
  const held = { ...map('held'), metadata: { ...map('held').metadata, finalizers: ['test/held'] } };
  await kubectl('create', '-f', await bed.write('held.json', held));
  await kubectl('delete', 'namespace', 'ending', '--wait=false');
  expect(await kubectl('get', 'namespace', 'ending')).toMatch(/ending +Terminating +\d+s/);
  expect(await bed.kubectl(['create', '-f', file])).toMatchObject({
    code: 1,
    stderr: `Error from server (Forbidden): error when creating "${file}": configmaps "late" is forbidden: unable to create new content in namespace ending because it is being terminated\n`,
  });
  // What is there can be changed, and the last of it takes the namespace with it.
  const release = '{"metadata":{"finalizers":null}}';
  await kubectl('patch', 'configmap', 'held', '-n', 'ending', '--type=merge', '-p', release);
  await kubectl('wait', '--for=delete', 'namespace/ending', '--timeout=20s');
  expect(await bed.kubectl(['create', '-f', file])).toMatchObject({ code: 1, stderr: absent });
});

describe('what pods are configured with', () => {
  test('ConfigMaps: created, applied, edited in part, described, watched', async () => {
    await kubectl('create', 'configmap', 'settings', '--from-literal=colour=red');
    const watch = bed.startKubectl(['get', 'configmaps', '-w']);
    let seen = '';
    watch.stdout.setEncoding('utf8').on('data', (text: string) => (seen += text));
    await expect.poll(() => seen).toMatch(/settings +1 /);
    await kubectl('patch', 'configmap', 'settings', '-p', '{"data":{"size":"9"}}');
    expect(await kubectl('get', 'configmap', 'settings', '-o', 'jsonpath={.data}')).toBe(
      '{"colour":"red","size":"9"}',
    );
    expect(await kubectl('describe', 'configmap', 'settings')).toMatch(/colour:\n----\nred/);
    await expect.poll(() => seen).toMatch(/settings +2 /);
    watch.kill();
    const bad = {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: 'bad' },
      data: { 'a b': '' },
    };
    const refused = await bed.kubectl(['create', '-f', await bed.write('bad.json', bad)]);
    expect(refused.stderr).toContain('The ConfigMap "bad" is invalid: data[a b]: Invalid value');
    expect(await kubectl('delete', 'configmap', 'settings')).toContain('deleted');
  });

  test('Secrets: what is in them is shown to who asks for it', async () => {
    await kubectl('create', 'secret', 'generic', 'login', '--from-literal=password=geheim');
    expect(await kubectl('get', 'secrets')).toMatch(/login +Opaque +1 /);
    expect(await kubectl('get', 'secret', 'login', '-o', 'jsonpath={.data.password}')).toBe(
      Buffer.from('geheim').toString('base64'),
    );
    const text = {
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: { name: 'login' },
      stringData: { user: 'me' },
    };
    await kubectl('apply', '--server-side=false', '-f', await bed.write('login.json', text));
    const { data } = await bed.drover.secrets.get('login').catch(() => ({ data: null }));
    // The client of the test has no key; the server has.
    expect(data).toBeNull();
    expect(await kubectl('get', 'secret', 'login', '-o', 'jsonpath={.data.user}')).toBe('bWU=');
  });
});

test('a pod without a Job is run, labelled and deleted', async () => {
  const pod = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'bare' },
    spec: { restartPolicy: 'Never', containers: [{ name: 'main', command: ['echo', 'hello'] }] },
  };
  const file = await bed.write('pod.json', pod);
  expect(await kubectl('apply', '-f', file)).toBe('pod/bare created\n');
  await kubectl('wait', '--for=jsonpath={.status.phase}=Succeeded', 'pod/bare', '--timeout=20s');
  expect(await kubectl('apply', '-f', file)).toBe('pod/bare unchanged\n');
  await kubectl('label', 'pod', 'bare', 'x=1');
  expect(await kubectl('get', 'pods', '-l', 'x=1', '-o', 'name')).toBe('pod/bare\n');
  expect(await kubectl('logs', 'bare')).toBe('hello\n');
  const other = {
    ...pod,
    spec: { ...pod.spec, containers: [{ name: 'main', command: ['true'] }] },
  };
  const changed = await bed.kubectl(['apply', '-f', await bed.write('other.json', other)]);
  expect(changed.stderr).toContain('what a pod runs can not be changed');
  await kubectl('delete', 'pod', 'bare');
  expect(await kubectl('get', 'pods')).toBe('');
});

test('work queues are there as drover.dev/v1', async () => {
  const queue = { apiVersion: 'drover.dev/v1', kind: 'WorkQueue', metadata: { name: 'pages' } };
  const file = await bed.write('queue.json', queue);
  expect(await kubectl('apply', '-f', file)).toBe('workqueue.drover.dev/pages created\n');
  expect(await kubectl('apply', '-f', file)).toBe('workqueue.drover.dev/pages unchanged\n');
  await bed.drover.workQueue('pages').enqueue([{ url: 'a' }, { url: 'b' }]);
  expect(await kubectl('get', 'wq')).toMatch(
    /^NAME +STATUS +UNSETTLED +COMPLETED +DEAD +AGE\npages +Open +2 +0 +0 /,
  );
  expect(await kubectl('describe', 'wq', 'pages')).toMatch(/^ +Enqueued: +2$/m);
  await kubectl('delete', 'wq', 'pages');
});

test('events tell what happened to a Job and its pods', async () => {
  await bed.drover.jobs.create({
    metadata: { name: 'eventful' },
    spec: {
      backoffLimit: 0,
      template: {
        spec: { restartPolicy: 'Never', containers: [{ name: 'main', command: ['false'] }] },
      },
    },
  });
  await bed.drover.jobs.wait('eventful');
  await vi.waitFor(async () =>
    expect(await kubectl('get', 'events', '--field-selector=type=Warning')).toMatch(
      /Warning +BackoffLimitExceeded +job\/eventful +Job has reached/,
    ),
  );
  const ofJob = await kubectl('events', '--for', 'job/eventful');
  expect(ofJob).toMatch(/Normal +SuccessfulCreate +Job\/eventful +Created pod: eventful-\w{5}$/m);
  const pod = /eventful-\w{5}/.exec(ofJob)?.[0] ?? '';
  await vi.waitFor(async () =>
    expect(await kubectl('describe', 'pod', pod)).toMatch(
      /Warning +Failed +\S+ +drover-worker +exit code 1$/m,
    ),
  );
  const described = await kubectl('describe', 'job', 'eventful');
  expect(described).toMatch(/Warning +PodFailed .*pod eventful-\w+ failed: exit code 1/);
  expect(await kubectl('delete', 'events', '--all')).toMatch(/^event "eventful\.\w+" deleted/m);
  expect(await kubectl('events', '--for', 'job/eventful')).toBe('');
});

test('ResourceQuotas: created, listed with what is taken, described, kept to', async () => {
  await kubectl('create', 'namespace', 'bounded');
  await kubectl('create', 'quota', 'small', '--hard=pods=1,limits.memory=1Gi', '-n', 'bounded');
  await expect
    .poll(() => kubectl('get', 'resourcequota', '-n', 'bounded'))
    .toMatch(/^NAME +REQUEST +LIMIT +AGE\nsmall +pods: 0\/1 +limits.memory: 0\/1Gi +\d+s\n$/);
  const limits = { memory: '512Mi' };
  const pod = (name: string) => ({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace: 'bounded' },
    spec: {
      restartPolicy: 'Never',
      nodeSelector: { 'drover.dev/pool': 'none' },
      containers: [{ name: 'main', command: ['true'], resources: { limits } }],
    },
  });
  // Until what runs there is counted, nothing is allowed.
  await expect
    .poll(
      async () => (await bed.kubectl(['create', '-f', await bed.write('1.json', pod('one'))])).code,
    )
    .toBe(0);
  const two = await bed.kubectl(['create', '-f', await bed.write('2.json', pod('two'))]);
  expect(two.stderr).toContain('(Forbidden)');
  expect(two.stderr).toContain(
    'pods "two" is forbidden: exceeded quota: small, requested: pods=1, used: pods=1, limited: pods=1',
  );
  expect(await kubectl('describe', 'quota', 'small', '-n', 'bounded')).toMatch(
    /Resource +Used +Hard\n-+ +-+ +-+\nlimits.memory +512Mi +1Gi\npods +1 +1\n/,
  );
  const scoped = {
    apiVersion: 'v1',
    kind: 'ResourceQuota',
    metadata: { name: 'scoped', namespace: 'bounded' },
    spec: { hard: { 'count/pods': '1', services: '2' }, scopes: ['Terminating'] },
  };
  const refused = await bed.kubectl(['apply', '-f', await bed.write('scoped.json', scoped)]);
  expect(refused.stderr).toContain('spec.hard[count/pods]: Forbidden: counts pods that ended too');
  expect(refused.stderr).toContain('spec.hard[services]: Unsupported value: "services"');
  expect(refused.stderr).toContain('spec.scopes: Forbidden: not supported');
  await kubectl('delete', 'pod', 'one', '-n', 'bounded');
  await kubectl('delete', 'quota', 'small', '-n', 'bounded');
});

test('PriorityClasses: created, listed with those of the system, described, one default only', async () => {
  await kubectl('create', 'priorityclass', 'urgent', '--value=1000', '--preemption-policy=Never');
  expect(await kubectl('get', 'pc')).toMatch(
    /^NAME +VALUE +GLOBAL-DEFAULT +AGE.*\nsystem-cluster-critical +2000000000 +false +\S+.*\nsystem-node-critical +2000001000 +false +\S+.*\nurgent +1000 +false +/,
  );
  expect(await kubectl('describe', 'pc', 'urgent')).toMatch(/^Name: +urgent\nValue: +1000\n/);
  await kubectl('create', 'priorityclass', 'usual', '--value=5', '--global-default');
  const second = await bed.kubectl(['create', 'pc', 'second', '--value=6', '--global-default']);
  expect(second.stderr).toContain(
    'priorityclasses.scheduling.k8s.io "second" is forbidden: PriorityClass usual is already marked as default. Only one default can exist',
  );
  expect((await bed.kubectl(['delete', 'pc', 'system-node-critical'])).stderr).toContain(
    '(Forbidden)',
  );
  await kubectl('delete', 'pc', 'urgent', 'usual');
  expect(await kubectl('get', 'namespaces', '-o', 'name')).not.toContain('namespace/\n');
});
