import { afterAll, beforeAll, describe, expect, test } from 'vitest';

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

/** Creates a Job of a program; answers when it is over if it is to end. */
async function run(name: string, script: string, spec: object = {}): Promise<void> {
  await bed.drover.jobs.create({
    metadata: { name },
    spec: {
      ...spec,
      template: {
        spec: {
          restartPolicy: 'Never',
          terminationGracePeriodSeconds: 1,
          containers: [{ name: 'main', command: ['sh', '-c', script] }],
        },
      },
    },
  });
}

describe('pods', () => {
  test('are listed, described and deleted; their logs are read', async () => {
    await run('both', 'echo out $JOB_COMPLETION_INDEX; echo err >&2', {
      completions: 2,
      parallelism: 2,
      completionMode: 'Indexed',
    });
    await bed.drover.jobs.wait('both');
    const table = await kubectl('get', 'pods', '-l', 'job-name=both', '-o', 'wide');
    expect(table).toMatch(
      /^NAME +READY +STATUS +RESTARTS +AGE +IP +NODE +NOMINATED NODE +READINESS GATES\n(both-\d-\w+ +0\/1 +Completed +0 +\d+s +<none> +worker-1 .*\n){2}$/,
    );
    const [name = ''] = (await kubectl('get', 'pods', '-o', 'name')).trim().split('\n');
    expect(await kubectl('describe', name)).toMatch(/^Status: +Succeeded$/m);
    expect((await kubectl('logs', name)).split('\n').toSorted()).toEqual(['', 'err', 'out 0']);
    expect(await kubectl('logs', name, '--timestamps', '--tail=1')).toMatch(/^\d{4}-.*Z \w+/);
    expect(await kubectl('logs', name, '--limit-bytes=3')).toHaveLength(3);
    const all = await kubectl('logs', '-l', 'job-name=both', '--prefix', '--tail=-1');
    expect(all.trim().split('\n')).toHaveLength(4);
    expect(all).toMatch(/^\[pod\/both-1-\w+\/main\] out 1$/m);
    expect(await kubectl('get', 'pods', '--field-selector=status.phase=Failed')).toBe('');
    expect(await kubectl('delete', name)).toMatch(/deleted/);
    expect((await bed.kubectl(['get', name])).stderr).toContain('(NotFound)');
    const [other = ''] = (await kubectl('get', 'pods', '-o', 'name')).trim().split('\n');
    const previous = await bed.kubectl(['logs', other, '--previous']);
    expect(previous).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('previous terminated'),
    });
  });

  test('of a Job are followed by its log, to the end and no further', async () => {
    await run(
      'follow',
      `echo begin; until [ -e ${bed.path('go')} ]; do sleep 0.02; done; echo end`,
    );
    await kubectl(
      'wait',
      '--for=jsonpath={.status.phase}=Running',
      'pod',
      '-l',
      'job-name=follow',
      '--timeout=20s',
    );
    const follower = bed.startKubectl(['logs', '-f', 'job/follow']);
    let text = '';
    follower.stdout.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
    const ended = new Promise((resolve) => follower.on('close', resolve));
    await expect.poll(() => text).toBe('begin\n');
    await bed.write('go', '');
    expect(await ended).toBe(0);
    expect(text).toBe('begin\nend\n');
  });

  test('are watched from a list on: a deletion is told, and the pod that takes its place', async () => {
    await run('replaced', 'sleep 60', { backoffLimit: 3 });
    await kubectl(
      'wait',
      '--for=condition=Ready',
      'pod',
      '-l',
      'job-name=replaced',
      '--timeout=20s',
    );
    const watch = bed.startKubectl(['get', 'pods', '-w', '-l', 'job-name=replaced']);
    let seen = '';
    watch.stdout.setEncoding('utf8').on('data', (text: string) => (seen += text));
    await expect.poll(() => seen).toMatch(/Running/);
    const [, name = ''] = /^(replaced-\w+)/m.exec(seen) ?? [];
    // Evicted as `kubectl drain` does it.
    const eviction = { apiVersion: 'policy/v1', kind: 'Eviction', metadata: { name } };
    const evict = async (more: object) => {
      const body = JSON.stringify({ ...eviction, ...more });
      const path = `/api/v1/namespaces/default/pods/${name}/eviction`;
      return (await bed.fetch(path, { method: 'POST', body })).code;
    };
    expect(await evict({ metadata: { name: 'another' } })).toBe(400);
    expect(await evict({ deleteOptions: { preconditions: { uid: 'of-another' } } })).toBe(409);
    expect(await evict({})).toBe(201);
    await expect
      .poll(() => seen, { timeout: 10_000 })
      .toMatch(
        new RegExp(
          `${name} +1/1 +(Running|Terminating)[^]*replaced-(?!${name.slice('replaced-'.length)})\\w+ +1/1 +Running`,
        ),
      );
    watch.kill();
    await kubectl('delete', 'job', 'replaced');
    await expect.poll(async () => await kubectl('get', 'pods', '-l', 'job-name=replaced')).toBe('');
  });
});

test('labels and annotations of pods of Jobs are changed, and followed', async () => {
  await run('named', 'sleep 60', { parallelism: 1 });
  const ofJob = ['-l', 'job-name=named'];
  await kubectl('wait', '--for=condition=Ready', 'pod', ...ofJob, '--timeout=20s');
  const pod = (await kubectl('get', 'pods', ...ofJob, '-o', 'name')).trim();
  const watch = bed.startKubectl(['get', 'pods', '-w', '-L', 'tier', '-l', 'tier!=gone']);
  let seen = '';
  watch.stdout.setEncoding('utf8').on('data', (text: string) => (seen += text));
  await expect.poll(() => seen).toContain('named-');
  expect(await kubectl('label', pod, 'tier=front')).toBe(`${pod} labeled\n`);
  await expect.poll(() => seen).toMatch(/named-.* front\n/);
  expect((await bed.kubectl(['label', pod, 'tier=back'])).stderr).toContain("'tier' already has");
  await kubectl('annotate', pod, 'note=why');
  await kubectl('patch', pod, '-p', '{"metadata":{"labels":{"app":"x"}}}');
  expect(await kubectl('get', 'pods', '-l', 'tier=front,app=x', '-o', 'name')).toBe(`${pod}\n`);
  expect(await kubectl('describe', pod)).toMatch(/^Annotations: +note: why$/m);
  const refused = await bed.kubectl(['patch', pod, '-p', '{"spec":{"priority":7}}']);
  expect(refused.stderr).toContain('what a pod of a Job runs can not be changed');
  const owned = '{"metadata":{"ownerReferences":null}}';
  const disowned = await bed.kubectl(['patch', pod, '--type=merge', '-p', owned]);
  expect(disowned.stderr).toContain('metadata.ownerReferences: Forbidden');

  // To another selector it is gone; to its Job, too, and another one takes its place.
  await kubectl('label', pod, 'tier=gone', '--overwrite');
  await expect.poll(() => seen.trimEnd().split('\n').at(-1)).toMatch(/named-.* gone$/);
  await kubectl(
    'label',
    pod,
    'batch.kubernetes.io/controller-uid-',
    'job-name=other',
    '--overwrite',
  );
  await expect
    .poll(async () => (await kubectl('get', 'pods', ...ofJob, '-o', 'name')).trim())
    .toMatch(/^pod\/named-/);
  expect(await kubectl('get', 'pods', ...ofJob, '-o', 'name')).not.toContain(pod);
  expect(await kubectl('get', 'pods', '-l', 'job-name=other', '-o', 'name')).toBe(`${pod}\n`);
  expect(await kubectl('describe', pod)).not.toContain('Controlled By');
  watch.kill();
  await kubectl('delete', 'job', 'named');
  await expect.poll(async () => await kubectl('get', 'pods', ...ofJob)).toBe('');
  await expect.poll(async () => await kubectl('get', pod, '-o', 'name')).toBe(`${pod}\n`);
  await kubectl('delete', pod, '--wait=false');
  await expect.poll(async () => (await bed.kubectl(['get', pod])).code).toBe(1);
}, 60_000);

test('nodes are the workers', async () => {
  expect(await kubectl('get', 'nodes')).toMatch(
    /^NAME +STATUS +POOL +RUNTIMES +MAX PODS +CPU +MEMORY +AGE +VERSION\nworker-1 +Ready +default +handler,process +16 /,
  );
  expect(await kubectl('describe', 'node', 'worker-1')).toMatch(/^ +Ready +True /m);
});

test('a node that is cordoned takes no pods, one that is drained gives them away', async () => {
  const phases = async (name: string) =>
    (await bed.drover.pods.list({ job: name })).map(({ status }) => status.phase);
  const whyHeld = async () =>
    (await bed.drover.jobs.whyWaiting('held')).map(({ message }) => message).join();
  expect(await kubectl('cordon', 'worker-1')).toBe('node/worker-1 cordoned\n');
  expect(await kubectl('get', 'nodes')).toMatch(/worker-1 +Ready,SchedulingDisabled /);
  await run('held', 'exec sleep 60');
  // Longer than a worker that takes pods needs to run another one to its end.
  await expect.poll(() => phases('held')).toEqual(['Pending']);
  await expect.poll(() => whyHeld()).toContain('0/1 nodes are available: 1 node(s) were unsched');
  const changed = await bed.kubectl(['label', 'node', 'worker-1', 'x=1']);
  expect(changed.stderr).toContain('only spec.unschedulable of a node can be changed');
  expect(await phases('held')).toEqual(['Pending']);
  expect(await kubectl('uncordon', 'worker-1')).toBe('node/worker-1 uncordoned\n');
  await expect.poll(() => phases('held'), { timeout: 15_000 }).toEqual(['Running']);

  const drained = await kubectl('drain', 'worker-1', '--timeout=30s');
  expect(drained).toMatch(/pod\/held-\w+ evicted/);
  await expect.poll(() => phases('held'), { timeout: 15_000 }).toContain('Pending');
  expect(await phases('held')).not.toContain('Running');
  await kubectl('uncordon', 'worker-1');
  await expect.poll(() => phases('held'), { timeout: 15_000 }).toContain('Running');
  await bed.drover.jobs.delete('held');
}, 60_000);
