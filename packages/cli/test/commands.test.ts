import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

import { waitFor, type NodeProcess } from '@drover/testkit';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { Home, manifest } from './drover.ts';

let home: Home;
let dev: NodeProcess;

beforeAll(async () => {
  home = await Home.make();
  dev = await home.dev(['--max-pods', '4']);
});

afterAll(async () => {
  await dev.kill('SIGTERM');
  await home.remove();
});

const script = (text: string) => ['sh', '-c', text];

test('apply, wait, logs, get, delete: the life of a Job', async () => {
  const file = await home.write('pi.yaml', manifest('pi', ['echo', '3.14']));
  expect(await home.drover(['apply', '-f', file])).toMatchObject({
    code: 0,
    stdout: 'job.batch/pi created\n',
  });
  const wait = await home.drover(['wait', 'job/pi', '--for', 'complete', '--timeout', '20s']);
  expect(wait).toEqual({ code: 0, stdout: 'job.batch/pi condition met\n', stderr: '' });
  expect(await home.drover(['logs', 'job/pi'])).toEqual({ code: 0, stdout: '3.14\n', stderr: '' });

  const { stdout } = await home.drover(['get', 'jobs']);
  expect(stdout.split('\n')[0]).toBe('NAME   STATUS     COMPLETIONS   DURATION   AGE');
  expect(stdout).toMatch(/^pi +Complete +1\/1 +\d+s +\d+s$/m);

  expect((await home.drover(['apply', '-f', file])).stdout).toBe('job.batch/pi unchanged\n');
  expect((await home.drover(['delete', '-f', file])).stdout).toBe('job.batch "pi" deleted\n');
  const gone = await home.droverAlone(['get', 'job/pi']);
  expect(gone.code).toBe(1);
  expect(gone.stderr).toBe('error: jobs.batch "pi" in namespace "default" not found\n');
});

test('several documents from standard input; a change is configured', async () => {
  const documents = ['a', 'b'].map((name) => manifest(name, ['true'], { suspend: true }));
  const input = documents.join('\n---\n');
  const applied = await home.drover(['apply', '-f', '-'], { input });
  expect(applied.stdout).toBe('job.batch/a created\njob.batch/b created\n');
  const changed = [documents[0], manifest('b', ['true'], { suspend: true, parallelism: 3 })];
  const again = await home.drover(['apply', '-f', '-'], { input: changed.join('\n---\n') });
  expect(again.stdout).toBe('job.batch/a unchanged\njob.batch/b configured\n');
  const deleted = await home.drover(['delete', 'job', 'a', 'b']);
  expect(deleted.stdout).toBe('job.batch "a" deleted\njob.batch "b" deleted\n');
});

test('when one change is not allowed none is made', async () => {
  const first = (spec: object) => manifest('first', ['true'], { suspend: true, ...spec });
  const second = (spec: object) =>
    manifest('second', ['true'], { completions: 1, suspend: true, ...spec });
  await home.drover(['apply', '-f', '-'], { input: `${first({})}\n---\n${second({})}` });
  const input = `${first({ parallelism: 2 })}\n---\n${second({ completions: 2 })}`;
  const refused = await home.drover(['apply', '-f', '-'], { input });
  expect(refused.code).toBe(2);
  expect(refused.stderr).toMatch(/^error: stdin:\d+:\d+: spec\.completions: .*field is immutable/m);
  const { stdout } = await home.drover(['get', 'job/first', '-o', 'json']);
  expect(JSON.parse(stdout)).toMatchObject({ spec: { parallelism: 1 } });
  await home.drover(['delete', 'jobs', '--all']);
});

describe('configmaps and secrets', () => {
  const documents = (password: string) => `
apiVersion: v1
kind: ConfigMap
metadata: { name: settings, labels: { app: x } }
data: { level: debug, motd: "two\\nlines" }
binaryData: { blob: AAEC }
---
apiVersion: v1
kind: Secret
metadata: { name: login }
stringData: { password: "${password}" }
`;

  test('are applied, listed, described and deleted', async () => {
    const apply = async (input: string) =>
      (await home.drover(['apply', '-f', '-'], { input })).stdout;
    expect(await apply(documents('hunter2'))).toBe(
      'configmap/settings created\nsecret/login created\n',
    );
    expect(await apply(documents('hunter3'))).toBe(
      'configmap/settings unchanged\nsecret/login configured\n',
    );

    const { stdout: table } = await home.drover(['get', 'cm,secrets']);
    expect(table).toMatch(
      /^NAME +DATA +AGE\nsettings +3 +\d+s\n\nNAME +TYPE +DATA +AGE\nlogin +Opaque +1 +/,
    );
    const { stdout: map } = await home.drover(['describe', 'configmap/settings']);
    expect(map).toMatch(/^Labels: +app=x$/m);
    expect(map).toContain('\nData\n====\nlevel:\n----\ndebug\n\nmotd:\n----\ntwo\nlines\n\n');
    expect(map).toContain('\nBinaryData\n==========\nblob: 3 bytes\n');
    const { stdout: secret } = await home.drover(['describe', 'secrets']);
    expect(secret).toMatch(/^password: +7 bytes$/m);
    expect(secret).not.toMatch(/hunter|aHVudGVy/);
    const whole = await home.drover(['get', 'secret/login', '-o', 'json']);
    expect(JSON.parse(whole.stdout)).toMatchObject({ data: { password: btoa('hunter3') } });

    const deleted = await home.drover(['delete', '-f', '-'], { input: documents('') });
    expect(deleted.stdout).toBe('configmap "settings" deleted\nsecret "login" deleted\n');
    expect((await home.drover(['get', 'secrets'])).stderr).toBe(
      'No resources found in default namespace.\n',
    );
  });

  test('with something wrong are refused, with its place; no value is told', async () => {
    const input = documents('x').replace('stringData:', 'data:').replace('level:', 'le/vel:');
    const { code, stderr } = await home.drover(['apply', '-f', '-'], { input });
    expect(code).toBe(2);
    expect(stderr).toContain(
      'stdin:5:9: data[le/vel]: Invalid value: "le/vel": a valid config key',
    );
    expect(stderr).toMatch(/stdin:\d+:\d+: data\[password\]: Invalid value: must be base64/);
    expect(
      (await home.drover(['apply', '-f', '-'], { input: 'kind: Deployment' })).stderr,
    ).toContain(
      'kind: Unsupported value: "Deployment": supported values: "Job", "CronJob", "Pod", "ConfigMap", "ResourceQuota", "PriorityClass", "Secret"',
    );
  });

  test('the key file of drover dev is for its owner alone', async () => {
    const { mode } = await stat(join(home.dir, 'data/secret.key'));
    expect(mode & 0o777).toBe(0o600);
  });

  test('keys are made, added, and Secrets encrypted anew', async () => {
    const path = join(home.dir, 'own.key');
    const made = await home.drover(['secret-key', 'create', path]);
    expect(made.stdout).toMatch(/^key [0-9a-f]{12} in /);
    expect((await home.drover(['secret-key', 'create', path])).stderr).toContain(
      '--add puts a new key',
    );
    const withKey = ['--secret-key-file', path];
    const input = documents('hunter2');
    await home.drover(['apply', '-f', '-', '-n', 'keys', ...withKey], { input });
    const added = await home.drover(['secret-key', 'create', '--add', path]);
    const [, id = ''] = /^key ([0-9a-f]{12}) added/.exec(added.stdout) ?? [];
    const resealed = await home.drover(['secret-key', 'reseal', ...withKey]);
    expect(resealed.stdout).toBe('secret/login in namespace keys encrypted anew\n');
    const { stdout } = await home.drover(['describe', 'secret', 'login', '-n', 'keys']);
    expect(stdout).toMatch(new RegExp(`^Encrypted With: +key ${id}$`, 'm'));
    const other = await home.drover(['get', 'secret', 'login', '-n', 'keys', '-o', 'yaml']);
    expect(other).toMatchObject({ code: 1, stdout: '' });
    expect(other.stderr).toContain(`is encrypted with the key ${id}, which is not in`);
  });
});

describe('get', () => {
  beforeAll(async () => {
    const labels = { metadata: { name: 'labelled', labels: { app: 'x' } } };
    const job = {
      ...(JSON.parse(manifest('labelled', ['true'], { suspend: true })) as object),
      ...labels,
    };
    await home.drover(['apply', '-f', '-', '-n', 'shelf'], { input: JSON.stringify(job) });
  });

  test('prints one object as itself and several as a List', async () => {
    const one = await home.drover(['get', 'job/labelled', '-n', 'shelf', '-o', 'yaml']);
    expect(one.stdout).toMatch(/^apiVersion: batch\/v1\nkind: Job\nmetadata:\n/);
    const all = await home.drover(['get', 'jobs', '-n', 'shelf', '-o', 'json']);
    expect(JSON.parse(all.stdout)).toMatchObject({ kind: 'List', items: [{ kind: 'Job' }] });
  });

  test('prints names, labels, namespaces and wide columns', async () => {
    const get = async (...args: string[]) => (await home.drover(['get', 'jobs', ...args])).stdout;
    expect(await get('-n', 'shelf', '-o', 'name')).toBe('job.batch/labelled\n');
    expect(await get('-n', 'shelf', '--show-labels', '--no-headers')).toMatch(/ app=x\n$/);
    expect(await get('-A', '-l', 'app=x')).toMatch(
      /^NAMESPACE +NAME .*\nshelf +labelled +Suspended /,
    );
    expect(await get('-n', 'shelf', '-o', 'wide')).toMatch(
      /CONTAINERS +IMAGES +SELECTOR\n.* main +/,
    );
  });

  test('says when there is nothing', async () => {
    expect(await home.drover(['get', 'pods', '-n', 'empty'])).toEqual({
      code: 0,
      stdout: '',
      stderr: 'No resources found in empty namespace.\n',
    });
  });

  test('lists the workers', async () => {
    const { stdout } = await home.drover(['get', 'nodes']);
    expect(stdout).toMatch(/^NAME +STATUS +POOL +RUNTIMES .*\ndev-1 +Ready +default +process +4 /);
  });

  test('-w prints every change until it is interrupted', async () => {
    const input = manifest('seen', script('sleep 0.5'), { suspend: true });
    await home.drover(['apply', '-f', '-', '-n', 'watched'], { input });
    const watch = home.start(['get', 'jobs', '-n', 'watched', '-w']);
    await watch.waitForLine(/^seen +Suspended +0\/1/);
    await home.drover(['resume', 'job/seen', '-n', 'watched']);
    await watch.waitForLine(/^seen +Running +0\/1/);
    await watch.waitForLine(/^seen +Complete +1\/1/);
    expect(await watch.kill('SIGINT')).toEqual({ code: 0, signal: null });
  });
});

describe('logs', () => {
  test('-f goes on until the pod ends', async () => {
    const input = manifest('writer', script('echo one; sleep 1; echo two'));
    await home.drover(['apply', '-f', '-'], { input });
    const logs = await home.drover(['logs', '-f', 'job/writer']);
    expect(logs).toEqual({ code: 0, stdout: 'one\ntwo\n', stderr: '' });
    expect((await home.drover(['logs', 'job/writer', '--tail', '1'])).stdout).toBe('two\n');
  });

  test('of all pods have the pod before each line', async () => {
    const spec = { completions: 2, completionMode: 'Indexed' };
    const input = manifest('several', script('echo "part $JOB_COMPLETION_INDEX"'), spec);
    await home.drover(['apply', '-f', '-'], { input });
    await home.drover(['wait', 'several', '--timeout', '20s']);
    const { stdout } = await home.drover(['logs', 'job/several', '--all-pods']);
    expect(stdout).toMatch(/^\[pod\/several-0-\w{5}\] part 0$/m);
    expect(stdout).toMatch(/^\[pod\/several-1-\w{5}\] part 1$/m);
    const one = await home.drover(['logs', 'job/several']);
    expect(one.stderr).toMatch(/^Found 2 pods, using pod\/several-1-/);
  });

  test('of a pod that does not exist', async () => {
    const { code, stderr } = await home.drover(['logs', 'nobody-x7k2p']);
    expect([code, stderr]).toEqual([
      1,
      'error: pods "nobody-x7k2p" in namespace "default" not found\n',
    ]);
  });
});

describe('wait', () => {
  test('for complete ends with 1 when the Job failed', async () => {
    await home.drover(['apply', '-f', '-'], { input: manifest('fails', script('exit 3')) });
    const wait = await home.drover([
      'wait',
      'job/fails',
      '--for=condition=complete',
      '--timeout',
      '20s',
    ]);
    expect(wait.code).toBe(1);
    expect(wait.stderr).toMatch(/^error: Job "fails" is Failed \(BackoffLimitExceeded: /);
    expect((await home.drover(['wait', 'job/fails', '--for', 'failed'])).code).toBe(0);
  });

  test('ends with 124 after its timeout', async () => {
    await home.drover(['apply', '-f', '-'], {
      input: manifest('idle', ['true'], { suspend: true }),
    });
    expect(await home.drover(['wait', 'job/idle', '--timeout', '200ms'])).toEqual({
      code: 124,
      stdout: '',
      stderr: 'error: timed out waiting for the condition on job.batch/idle\n',
    });
  });
});

test('suspend stops the pods of a Job, resume lets it go on', async () => {
  await home.drover(['apply', '-f', '-'], {
    input: manifest('paused', ['true'], { suspend: true }),
  });
  expect((await home.drover(['resume', 'job/paused'])).stdout).toBe('job.batch/paused resumed\n');
  expect(
    (await home.drover(['wait', 'paused', '--for', 'complete', '--timeout', '20s'])).code,
  ).toBe(0);
  const late = await home.drover(['suspend', 'job/paused']);
  expect(late.stdout).toBe('job.batch/paused suspended\n');
});

test('delete by selector, and what is not there', async () => {
  const none = await home.drover(['delete', 'jobs', '-l', 'app=nothing']);
  expect(none).toMatchObject({ code: 0, stderr: 'No resources found.\n' });
  expect((await home.drover(['delete', 'job/nobody'])).code).toBe(1);
  expect((await home.drover(['delete', 'job/nobody', '--ignore-not-found'])).code).toBe(0);
});

test('a deleted pod is replaced', async () => {
  await home.drover(['apply', '-f', '-'], {
    input: manifest('stubborn', script('sleep 100'), { backoffLimit: 3 }),
  });
  const podName = async (): Promise<string> => {
    const { stdout } = await home.drover([
      'get',
      'pods',
      '-l',
      'job-name=stubborn',
      '--no-headers',
    ]);
    return /^(stubborn-\w+) .*Running/m.exec(stdout)?.[1] ?? '';
  };
  const first = await waitFor(podName);
  expect((await home.drover(['delete', `pod/${first}`])).stdout).toBe(`pod "${first}" deleted\n`);
  await waitFor(async () => {
    const second = await podName();
    return second !== '' && second !== first;
  });
  // In the foreground it is gone when its pods are.
  const { stdout } = await home.drover(['delete', 'job/stubborn', '--cascade', 'foreground']);
  expect(stdout).toBe('job.batch "stubborn" deleted\n');
});

test('a pod without a Job runs once, is read and deleted under its own name', async () => {
  const spec = {
    restartPolicy: 'Never',
    containers: [{ name: 'main', command: script('echo $HOSTNAME; exit 3') }],
  };
  const pod = { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'lonely' }, spec };
  const file = await home.write('pod.yaml', JSON.stringify(pod));
  expect((await home.drover(['apply', '-f', file])).stdout).toBe('pod/lonely created\n');
  const logs = await home.drover(['logs', '-f', 'pod/lonely']);
  expect(logs.stdout).toBe('lonely\n');
  // Its log ends before the end of the pod is told.
  await expect
    .poll(async () => (await home.drover(['get', 'pod', 'lonely'])).stdout)
    .toMatch(/^lonely +0\/1 +Error +0/m);
  expect((await home.drover(['delete', '-f', file])).stdout).toBe('pod "lonely" deleted\n');
  expect((await home.drover(['get', 'pod/lonely'])).code).toBe(1);
  const bad = JSON.stringify({ ...pod, spec: { ...spec, restartPolicy: 'Always' } });
  const refused = await home.drover(['apply', '-f', '-'], { input: bad });
  expect(refused.stderr).toContain('spec.restartPolicy: Required value: Never or OnFailure');
});

test('a program finds the command drover when its pod asks to be a client', async () => {
  const child = manifest('child-of-pod', script('true'));
  const spec = {
    restartPolicy: 'Never',
    containers: [{ name: 'main', command: script(`echo '${child}' | drover apply -f -`) }],
  };
  const metadata = { name: 'client', annotations: { 'drover.dev/client': 'true' } };
  const pod = JSON.stringify({ apiVersion: 'v1', kind: 'Pod', metadata, spec });
  await home.drover(['apply', '-f', '-'], { input: pod });
  const logs = await home.drover(['logs', '-f', 'pod/client']);
  expect(logs.stdout).toBe('job.batch/child-of-pod created\n');
  const described = await home.drover(['describe', 'job/child-of-pod']);
  expect(described.stdout).toMatch(/Controlled By: +Pod\/client/);
});

test('a Job with a finalizer stays until it is taken away', async () => {
  const held = manifest('held', script('true'), { suspend: true });
  const withFinalizer = held.replace('"metadata":{', '"metadata":{"finalizers":["a.example/b"],');
  await home.drover(['apply', '-f', '-'], { input: withFinalizer });
  const deleted = await home.drover(['delete', 'job/held', '--no-wait']);
  expect(deleted.stdout).toBe('job.batch "held" is being deleted\n');
  expect((await home.drover(['get', 'job/held'])).stdout).toContain('Terminating');
  await home.drover(['apply', '-f', '-'], { input: held });
  expect((await home.drover(['get', 'job/held'])).code).toBe(1);
});

test('a second drover dev is refused, and says where the first one is', async () => {
  const second = await home.drover(['dev']);
  expect(second.code).toBe(2);
  expect(second.stderr).toMatch(/^error: `drover dev` runs already \(pid \d+, data in /);
});

test('a reader that leaves early is no error', async () => {
  const get = home.start(['get', 'jobs', '-A', '-o', 'json']);
  get.child.stdout?.destroy();
  await delay(0);
  expect((await get.exited).code).toBe(0);
});
