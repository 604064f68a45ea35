/** Volumes that are made of ConfigMaps, Secrets and fields of the pod, and those of the machine, with real programs. */
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { waitFor } from '@drover/testkit';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';

import { containerOf, logOf, TestConfigs } from '../support/configs.ts';
import type { TestEngine } from '../support/engine.ts';
import { Workers } from '../support/workers.ts';

let workers: Workers;
let configs: TestConfigs;
let engine: TestEngine;
let directory: string;

beforeAll(async () => {
  [workers, configs] = await Promise.all([Workers.start(), TestConfigs.make()]);
});
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'drover-volumes-'));
  engine = await workers.engine();
  await workers.worker(engine, {
    runtimes: ['process'],
    maxPods: 2,
    volumes: { directory },
    secretKeyFile: configs.keyPath,
    cpu: 3,
  });
});
afterEach(async () => {
  await workers.clear();
  await rm(directory, { recursive: true, force: true });
});
afterAll(async () => {
  await workers.stop();
  await configs.remove();
});

/** A Job of one pod that runs a shell script with a volume `v` at /drover-v. */
async function run(script: string, source: object, more: object = {}, mount: object = {}) {
  const volumeMounts = [{ name: 'v', mountPath: '/drover-v', ...mount }];
  const container = { name: 'main', command: ['/bin/sh', '-c', script], volumeMounts, ...more };
  const pod = { volumes: [{ name: 'v', ...source }], containers: [container] };
  const annotations = { note: 'two\nlines' };
  const uid = await engine.createJob({ run: [], pod, annotations });
  await engine.offer(uid, 1);
  return uid;
}

async function ended(uid: string) {
  return await waitFor(() => engine.endedPod(uid), { timeoutMs: 20_000 });
}

async function output(uid: string): Promise<string> {
  expect(await ended(uid)).toMatchObject({ outcome: 'Succeeded' });
  return await logOf(engine, uid);
}

/** Prints the files of the volume: mode, path, content. */
const LIST =
  'cd /drover-v; for f in $(find . -type f | sort); do printf "%s %s %s\\n" $(stat -c %a $f) $f "$(cat $f)"; done';

describe('a volume of files', () => {
  test('has the keys of a ConfigMap, bytes too; nobody can write to it', async () => {
    await configs.configMap(engine, 'c', { a: 'text', 'b.txt': '' }, { raw: btoa('bytes') });
    const uid = await run(`${LIST}; touch x 2>/dev/null || echo read-only`, {
      configMap: { name: 'c' },
    });
    expect(await output(uid)).toBe('644 ./a text\n644 ./b.txt \n644 ./raw bytes\nread-only\n');
  });

  test('has the keys that are named, where they are wanted, with the modes that are wanted', async () => {
    await configs.configMap(engine, 'c', { a: 'text', b: 'other' });
    const items = [
      { key: 'a', path: 'deep/er/a' },
      { key: 'b', path: 'b', mode: 0o400 },
    ];
    const uid = await run(LIST, { configMap: { name: 'c', items, defaultMode: 0o755 } });
    expect(await output(uid)).toBe('400 ./b other\n755 ./deep/er/a text\n');
  });

  test('of a Secret lies in memory, and is gone when the pod ended', async () => {
    await configs.secret(engine, 's', { password: 'hunter2' });
    const uid = await run(`${LIST}; echo $DROVER_VOLUME_V`, {
      secret: { secretName: 's', defaultMode: 0o400 },
    });
    const [file, path = ''] = (await output(uid)).split('\n');
    expect(file).toBe('400 ./password hunter2');
    expect(path).toMatch(/^\/dev\/shm\//);
    await waitFor(() => !existsSync(path));
    // Nothing of it ever was on disk.
    expect(await readdir(directory)).toEqual([]);
  });

  test('has fields of the pod, and what its containers may take', async () => {
    const items = [
      { path: 'labels', fieldRef: { fieldPath: 'metadata.labels' } },
      { path: 'note', fieldRef: { fieldPath: "metadata.annotations['note']" } },
      { path: 'notes', fieldRef: { fieldPath: 'metadata.annotations' } },
      {
        path: 'cpu',
        resourceFieldRef: { containerName: 'main', resource: 'limits.cpu' },
      },
      {
        path: 'memory',
        resourceFieldRef: { containerName: 'main', resource: 'limits.memory', divisor: '1Mi' },
      },
    ];
    const resources = { limits: { memory: '1Gi' } };
    const uid = await run(LIST, { downwardAPI: { items } }, { resources });
    const text = await output(uid);
    expect(text).toContain('644 ./cpu 3\n');
    expect(text).toContain('644 ./labels app="test"\n');
    expect(text).toMatch(/^job-name="job-\w+"$/m);
    expect(text).toContain(
      '644 ./memory 1024\n644 ./note two\nlines\n644 ./notes note="two\\nlines"\n',
    );
  });

  test('has files of several sources side by side', async () => {
    await configs.configMap(engine, 'c', { a: '1' });
    await configs.secret(engine, 's', { b: '2' });
    const sources = [
      { configMap: { name: 'c' } },
      { secret: { name: 's', items: [{ key: 'b', path: 'deep/b', mode: 0o600 }] } },
      {
        downwardAPI: {
          items: [{ path: 'deep/ns', fieldRef: { fieldPath: 'metadata.namespace' } }],
        },
      },
    ];
    const uid = await run(LIST, { projected: { sources, defaultMode: 0o444 } });
    expect(await output(uid)).toBe('444 ./a 1\n600 ./deep/b 2\n444 ./deep/ns default\n');
  });

  test('one of them can be mounted over a file, or where there is none', async () => {
    await configs.configMap(engine, 'c', { 'app.conf': 'mine' });
    const hidden = join(directory, 'hidden');
    await writeFile(hidden, 'of the machine');
    for (const mountPath of ['/drover-new/etc/app.conf', hidden]) {
      const mount = { mountPath, subPath: 'app.conf' };
      const uid = await run(`cat ${mountPath}`, { configMap: { name: 'c' } }, {}, mount);
      expect(await output(uid)).toBe('mine');
    }
    expect(existsSync('/drover-new')).toBe(false);
  });
});

describe('what is missing', () => {
  const waitingText = async (uid: string) =>
    (await containerOf(engine, uid))?.state?.waiting?.message;

  test('is waited for: an object, a key of it', async () => {
    const items = [{ key: 'b', path: 'b' }];
    const uid = await run(LIST, { projected: { sources: [{ secret: { name: 's', items } }] } });
    const failed = 'MountVolume.SetUp failed for volume "v" : ';
    await waitFor(async () => (await waitingText(uid)) === `${failed}secret "s" not found`);
    expect((await containerOf(engine, uid))?.state?.waiting?.reason).toBe('ContainerCreating');
    await configs.secret(engine, 's', { a: '1' });
    await waitFor(
      async () => (await waitingText(uid)) === `${failed}references non-existent secret key: b`,
    );
    await configs.secret(engine, 's', { b: '2' });
    expect(await output(uid)).toBe('644 ./b 2\n');
  });

  test('and optional is left out', async () => {
    await configs.configMap(engine, 'c', { a: '1' });
    const items = ['a', 'b'].map((key) => ({ key, path: key }));
    const sources = [
      { configMap: { name: 'c', optional: true, items } },
      { secret: { name: 'none', optional: true } },
    ];
    const uid = await run(LIST, { projected: { sources } });
    expect(await output(uid)).toBe('644 ./a 1\n');
  });

  test('does not keep a pod that is told to stop, and nothing of it stays', async () => {
    const uid = await run('true', { configMap: { name: 'never' } });
    await waitFor(async () => (await waitingText(uid)) !== undefined);
    await engine.stop(uid, 'failed');
    await waitFor(async () => (await engine.job(uid)).counters.failed === 1);
    expect(await readdir(directory)).toEqual([]);
  });
});

describe('a hostPath', () => {
  test('is what the machine has there, and stays', async () => {
    const path = join(directory, 'made/for/it');
    const uid = await run('echo x > /drover-v/left; echo $DROVER_VOLUME_V', {
      hostPath: { path, type: 'DirectoryOrCreate' },
    });
    expect(await output(uid)).toBe(`${path}\n`);
    expect((await stat(join(path, 'left'))).size).toBe(2);
  });

  test('of a file, and one that can not be written to', async () => {
    const path = join(directory, 'file');
    const script = 'cat /drover-v; echo x 2>/dev/null > /drover-v || echo read-only';
    const uid = await run(
      script,
      { hostPath: { path, type: 'FileOrCreate' } },
      {},
      { readOnly: true },
    );
    expect(await output(uid)).toBe('read-only\n');
  });

  test('that is something else is waited for, until it is what it should be', async () => {
    const path = join(directory, 'thing');
    await writeFile(path, '');
    const uid = await run('ls /drover-v', { hostPath: { path, type: 'Directory' } });
    const { state } = await waitFor(() => containerOf(engine, uid));
    expect(state?.waiting).toEqual({
      reason: 'ContainerCreating',
      message: `MountVolume.SetUp failed for volume "v" : hostPath type check failed: ${path} is not a directory`,
    });
    await rm(path);
    await mkdir(path);
    await writeFile(join(path, 'inside'), '');
    expect(await output(uid)).toBe('inside\n');
  });

  test('whose subPath leads out of it fails the pod', async () => {
    await symlink('/etc', join(directory, 'link'));
    const uid = await run(
      'ls /drover-v',
      { hostPath: { path: directory } },
      {},
      { subPath: 'link' },
    );
    expect(await ended(uid)).toMatchObject({ outcome: 'Failed', reason: 'StartError' });
    expect((await ended(uid)).overlay?.message).toContain('it leads out of the volume');
  });

  test('whose subPath would be made outside of it, through a link of its own, makes nothing there', async () => {
    const [inside, outside] = [join(directory, 'inside'), join(directory, 'outside')];
    await Promise.all([mkdir(inside), mkdir(outside)]);
    await symlink(outside, join(inside, 'link'));
    const source = { hostPath: { path: inside } };
    const uid = await run('true', source, {}, { subPath: 'link/made' });
    expect((await ended(uid)).overlay?.message).toContain('it leads out of the volume');
    expect(await readdir(outside)).toEqual([]);
    // One to a place within leads on.
    await symlink('.', join(inside, 'here'));
    const within = await run('touch /drover-v/file', source, {}, { subPath: 'here/a/b' });
    expect(await output(within)).toBe('');
    expect(await readdir(join(inside, 'a', 'b'))).toEqual(['file']);
  });
});
