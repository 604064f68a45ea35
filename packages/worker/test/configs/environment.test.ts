/** Environments of ConfigMaps and Secrets, with real programs. */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { waitFor } from '@drover/testkit';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';

import { defineHandler, type WorkerOptions } from '../../src/index.ts';
import { containerOf, logOf, TestConfigs } from '../support/configs.ts';
import type { TestEngine, TestJob } from '../support/engine.ts';
import { Workers } from '../support/workers.ts';

let workers: Workers;
let configs: TestConfigs;
let engine: TestEngine;

beforeAll(async () => {
  [workers, configs] = await Promise.all([Workers.start(), TestConfigs.make()]);
});
beforeEach(async () => {
  engine = await workers.engine();
});
afterEach(() => workers.clear());
afterAll(async () => {
  await workers.stop();
  await configs.remove();
});

async function worker(options: Partial<WorkerOptions> = {}): Promise<void> {
  const { keyPath: secretKeyFile } = configs;
  await workers.worker(engine, { runtimes: ['process'], maxPods: 2, secretKeyFile, ...options });
}

/** A Job of one pod that runs a shell script. */
async function run(script: string, container: object, job: Partial<TestJob> = {}): Promise<string> {
  const containers = [{ name: 'main', command: ['/bin/sh', '-c', script], ...container }];
  const uid = await engine.createJob({ run: [], ...job, pod: { containers, ...job.pod } });
  await engine.offer(uid, 1);
  return uid;
}

async function ended(uid: string) {
  return await waitFor(() => engine.endedPod(uid), { timeoutMs: 20_000 });
}

const key = (name: string, of: string, more: object = {}) => ({ name, key: of, ...more });

describe('a program', () => {
  test('finds keys of ConfigMaps and Secrets in its environment, the later and the named ones first', async () => {
    await configs.configMap(
      engine,
      'base',
      { A: 'base', B: 'base', 'c.d': 'dots' },
      { RAW: 'AAEC' },
    );
    await configs.configMap(engine, 'more', { B: 'more' });
    await configs.secret(engine, 'login', { password: 'p w', user: 'me' });
    await worker();
    // Not by a shell, which would pass over names that are none to it.
    const uid = await run('', {
      command: ['env'],
      envFrom: [
        { configMapRef: { name: 'base' } },
        { configMapRef: { name: 'more' } },
        { prefix: 'S_', secretRef: { name: 'login' } },
        { configMapRef: { name: 'none', optional: true } },
      ],
      env: [
        { name: 'A', value: 'own' },
        { name: 'X', valueFrom: { configMapKeyRef: key('base', 'B') } },
        { name: 'U', valueFrom: { secretKeyRef: key('login', 'user') } },
        { name: 'B', valueFrom: { secretKeyRef: key('login', 'none', { optional: true }) } },
        { name: 'OPT', valueFrom: { configMapKeyRef: key('none', 'x', { optional: true }) } },
        { name: 'REF', value: '$(U)/$(S_user)' },
      ],
    });
    expect(await ended(uid)).toMatchObject({ outcome: 'Succeeded', overlay: null });
    const lines = (await logOf(engine, uid)).split('\n');
    expect(
      lines.filter((line) => /^(A|B|X|U|S_\w+|c\.d|RAW|OPT|REF)=/.test(line)).toSorted(),
    ).toEqual([
      'A=own',
      'B=more',
      'REF=me/me',
      'S_password=p w',
      'S_user=me',
      'U=me',
      'X=base',
      'c.d=dots',
    ]);
  });

  test('finds what its containers may take, in the unit that is asked for', async () => {
    await worker({ cpu: '2500m', memory: '4Gi' });
    const field = (resource: string, more: object = {}) => ({
      valueFrom: { resourceFieldRef: { resource, ...more } },
    });
    const uid = await run('echo $CPU $MILLI $MIB $OTHER $NONE', {
      resources: { limits: { cpu: '1500m', memory: '100M' }, requests: { cpu: '1500m' } },
      env: [
        { name: 'CPU', ...field('limits.cpu') },
        { name: 'MILLI', ...field('requests.cpu', { divisor: '1m' }) },
        { name: 'MIB', ...field('limits.memory', { divisor: '1Mi' }) },
        { name: 'OTHER', ...field('limits.memory', { containerName: 'main' }) },
        { name: 'NONE', ...field('requests.memory') },
      ],
    });
    await ended(uid);
    expect(await logOf(engine, uid)).toBe('2 1500 96 100000000 0\n');
    // Without limits it is what the worker has.
    const free = await run('echo $CPU $MIB', {
      env: [
        { name: 'CPU', ...field('limits.cpu', { divisor: '1m' }) },
        { name: 'MIB', ...field('limits.memory', { divisor: '1Mi' }) },
      ],
    });
    await ended(free);
    expect(await logOf(engine, free)).toBe('2500 4096\n');
  });
});

describe('what is missing', () => {
  test('is waited for, the pod says what it is, and lends its lane meanwhile', async () => {
    await worker({ maxPods: 1 });
    const env = [{ name: 'A', valueFrom: { configMapKeyRef: key('late', 'a') } }];
    const uid = await run('echo $A', { env });
    const waiting = { reason: 'CreateContainerConfigError' };
    const isTold = async (message: string) => {
      const { state } = (await containerOf(engine, uid)) ?? {};
      return state?.waiting?.message === message && state;
    };
    expect(await waitFor(() => isTold('configmap "late" not found'))).toMatchObject({ waiting });
    // On the only lane there is.
    const other = await run('true', {});
    expect(await ended(other)).toMatchObject({ outcome: 'Succeeded' });

    await configs.configMap(engine, 'late', { b: '1' });
    const missing = "couldn't find key a in ConfigMap default/late";
    expect(await waitFor(() => isTold(missing))).toMatchObject({ waiting });
    await configs.configMap(engine, 'late', { a: 'here' });
    expect(await ended(uid)).toMatchObject({ outcome: 'Succeeded' });
    expect(await logOf(engine, uid)).toBe('here\n');
  });

  test('does not keep a pod that is told to stop', async () => {
    await worker();
    const uid = await run('echo ran', { envFrom: [{ secretRef: { name: 'never' } }] });
    await waitFor(async () => (await containerOf(engine, uid)) !== null);
    await engine.stop(uid, 'failed');
    await waitFor(async () => (await engine.job(uid)).counters.terminating === 0);
    expect((await engine.job(uid)).counters).toMatchObject({ failed: 1, succeeded: 0 });
    expect(await logOf(engine, uid)).toBe('');
  });

  test('holds up one container, not what comes before it or beside it', async () => {
    await worker();
    const shell = (name: string, script: string, more: object = {}) => ({
      name,
      command: ['/bin/sh', '-c', script],
      ...more,
    });
    const uid = await run(
      'echo main $A',
      { envFrom: [{ configMapRef: { name: 'late' } }] },
      {
        pod: {
          initContainers: [shell('first', 'echo first')],
          containers: [
            shell('main', 'echo main $A', { envFrom: [{ configMapRef: { name: 'late' } }] }),
            shell('beside', 'echo beside'),
          ],
        },
      },
    );
    await waitFor(async () => {
      const beside = (await containerOf(engine, uid, 'beside'))?.state?.terminated;
      const main = (await containerOf(engine, uid))?.state?.waiting;
      return beside !== undefined && main?.reason === 'CreateContainerConfigError';
    });
    await configs.configMap(engine, 'late', { A: '1' });
    await ended(uid);
    expect(await logOf(engine, uid)).toBe('first\nbeside\nmain 1\n');
  });

  test('a value with a NUL can be in no environment; it is not shown', async () => {
    await worker();
    await configs.secret(engine, 'binary', { A: Buffer.from('x\0hunter2') });
    const uid = await run('echo ran', { envFrom: [{ secretRef: { name: 'binary' } }] });
    const { state } = await waitFor(() => containerOf(engine, uid));
    expect(state?.waiting?.message).toBe('variable A: its value contains a NUL character');
    await configs.secret(engine, 'binary', { A: 'x' });
    expect(await ended(uid)).toMatchObject({ outcome: 'Succeeded' });
  });
});

test('a restart reads again: who mends a setting need not wait for another pod', async () => {
  await configs.configMap(engine, 'settings', { CODE: '3' });
  await worker({ crashLoop: { baseMs: 500 } });
  const envFrom = [{ configMapRef: { name: 'settings' } }];
  const uid = await run('echo run; exit $CODE', { envFrom }, { restartPolicy: 'OnFailure' });
  await waitFor(async () => (await containerOf(engine, uid))?.state?.waiting !== undefined);
  await configs.configMap(engine, 'settings', { CODE: '0' });
  expect(await ended(uid)).toMatchObject({ outcome: 'Succeeded', overlay: { restarts: 1 } });
});

describe('without the key of a Secret', () => {
  test('the pod waits and says what to do, and goes on once the file is there', async () => {
    await configs.secret(engine, 'login', { password: 'x' });
    const secretKeyFile = join(configs.directory, 'late-key');
    await worker({ secretKeyFile });
    const uid = await run('echo $password', { envFrom: [{ secretRef: { name: 'login' } }] });
    const { state } = await waitFor(() => containerOf(engine, uid));
    expect(state?.waiting).toMatchObject({ reason: 'CreateContainerConfigError' });
    expect(state?.waiting?.message).toBe(
      `the data of Secret "login" in namespace "default" can not be read: the key file ${secretKeyFile} can not be read: no such file`,
    );
    await writeFile(secretKeyFile, await readFile(configs.keyPath));
    expect(await ended(uid)).toMatchObject({ outcome: 'Succeeded' });
    expect(await logOf(engine, uid)).toBe('x\n');
  });
});

test('a handler gets them in its environment, and is not called before they are there', async () => {
  const seen: unknown[] = [];
  const handler = defineHandler('look', ({ env }) => void seen.push(env));
  await worker({ runtimes: ['handler'], handlers: [handler], maxPods: 1 });
  const container = (envFrom: object[]) => ({
    pod: { containers: [{ name: 'main', image: 'look', envFrom }] },
  });
  const uid = await engine.createJob({
    run: 'look',
    ...container([{ configMapRef: { name: 'late' } }]),
  });
  await engine.offer(uid, 1);
  const { state } = await waitFor(() => containerOf(engine, uid));
  expect(state?.waiting).toEqual({
    reason: 'CreateContainerConfigError',
    message: 'configmap "late" not found',
  });
  const other = await engine.createJob({ run: 'look' });
  await engine.offer(other, 1);
  await ended(other);
  await configs.configMap(engine, 'late', { A: '1' });
  expect(await ended(uid)).toMatchObject({ outcome: 'Succeeded' });
  expect(seen).toEqual([{}, { A: '1' }]);
});
