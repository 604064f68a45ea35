/** The commands about pods, for pods with several containers. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { Home } from './drover.ts';

let home: Home;
let stop: () => Promise<void>;
let pod: string;

beforeAll(async () => {
  home = await Home.make();
  const dev = await home.dev(['--max-pods', '2']);
  stop = async () => {
    await dev.kill('SIGTERM');
  };
  const shell = (name: string, script: string, more: object = {}) => ({
    name,
    command: ['/bin/sh', '-c', script],
    ...more,
  });
  const input = JSON.stringify({
    apiVersion: 'batch/v1',
    kind: 'Job',
    metadata: { name: 'several' },
    spec: {
      backoffLimit: 0,
      template: {
        spec: {
          restartPolicy: 'Never',
          initContainers: [
            shell('setup', 'echo from setup'),
            shell('proxy', 'echo from proxy; exec sleep 1000', { restartPolicy: 'Always' }),
          ],
          containers: [
            shell('main', 'sleep 0.2; echo from main'),
            shell('other', 'echo from other'),
          ],
        },
      },
    },
  });
  await home.drover(['apply', '-f', '-'], { input });
  await home.drover(['wait', 'job/several', '--for', 'complete', '--timeout', '20s']);
  pod = (await home.drover(['get', 'pods', '-o', 'name'])).stdout.trim();
});

afterAll(async () => {
  await stop();
  await home.remove();
});

describe('logs', () => {
  test('without a container are of the first, and say so', async () => {
    expect(await home.drover(['logs', pod])).toEqual({
      code: 0,
      stdout: 'from main\n',
      stderr: 'Defaulted container "main" out of: main, other, setup (init), proxy (init)\n',
    });
  });

  test.each([
    ['setup', 'from setup\n'],
    ['proxy', 'from proxy\n'],
    ['other', 'from other\n'],
  ])('of the container %s are its own', async (name, stdout) => {
    expect(await home.drover(['logs', pod, '-c', name])).toEqual({ code: 0, stdout, stderr: '' });
  });

  test('of all containers come one after the other, initContainers first', async () => {
    const { stdout } = await home.drover(['logs', 'job/several', '--all-containers']);
    expect(stdout).toBe('from setup\nfrom proxy\nfrom main\nfrom other\n');
  });

  test('of what there is not are refused in words', async () => {
    const unknown = await home.drover(['logs', pod, '-c', 'nope']);
    expect(unknown).toMatchObject({ code: 1, stdout: '' });
    expect(unknown.stderr).toMatch(
      /^error: container nope is not valid for pod several-\w+: it has setup, proxy, main, other\n$/,
    );
    const previous = await home.drover(['logs', pod, '-c', 'main', '--previous']);
    expect(previous).toMatchObject({ code: 1, stdout: '' });
    expect(previous.stderr).toMatch(
      /^error: previous terminated container "main" in pod "several-\w+" not found\n$/,
    );
    const both = await home.drover(['logs', pod, '-c', 'main', '--all-containers']);
    expect(both.code).toBe(2);
    expect(both.stderr).toContain('--container and --all-containers exclude each other');
  });
});

test('a pod counts its sidecars among what is ready', async () => {
  const { stdout } = await home.drover(['get', 'pods', '--no-headers']);
  expect(stdout).toMatch(/^several-\w+ +0\/3 +Completed +0 /);
});
