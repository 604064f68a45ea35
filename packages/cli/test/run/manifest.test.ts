import { parseJob } from '@drover/shared';
import { describe, expect, test } from 'vitest';

import { runManifest, type RunShape } from '../../src/run/manifest.ts';

const shape: RunShape = {
  completions: 1,
  parallelism: 1,
  indexed: false,
  name: null,
  retries: null,
  env: {},
  timeoutMs: null,
  workingDir: null,
  pool: null,
};

function jobOf(words: string[], over: Partial<RunShape> = {}) {
  return parseJob(runManifest(words, { ...shape, ...over })).job;
}

test('a program becomes a valid Job that is tried once', () => {
  const { metadata, spec } = jobOf(['./Resize Images.sh', '-q', '90']);
  expect(metadata.generateName).toBe('resize-images-sh-');
  expect(spec).toMatchObject({ completions: 1, parallelism: 1, backoffLimit: 0 });
  expect(spec.template.spec.containers[0]).toMatchObject({
    command: ['./Resize Images.sh', '-q', '90'],
  });
});

test('of very many pods none is removed before its output was read', () => {
  expect(jobOf(['work'], { completions: 9_999 }).metadata.annotations).toBeUndefined();
  const { metadata } = jobOf(['work'], { completions: 10_000 });
  expect(metadata.annotations).toEqual({ 'drover.dev/kept-pods': '999999999' });
});

test('options show in the Job', () => {
  const { metadata, spec } = jobOf(['work'], {
    name: 'mine',
    completions: 10,
    parallelism: 3,
    indexed: true,
    timeoutMs: 1_500,
    env: { MODE: 'fast' },
    workingDir: '/data',
    pool: 'gpu',
  });
  expect(metadata.name).toBe('mine');
  expect(spec).toMatchObject({
    completions: 10,
    parallelism: 3,
    completionMode: 'Indexed',
    backoffLimit: 6,
    activeDeadlineSeconds: 2,
    template: {
      spec: {
        nodeSelector: { 'drover.dev/pool': 'gpu' },
        containers: [{ env: [{ name: 'MODE', value: 'fast' }], workingDir: '/data' }],
      },
    },
  });
});

describe('what a shell reads stays as it was typed', () => {
  // In a manifest `$$` means one dollar; all else of these is left alone by the expansion.
  test.each([
    ['echo $$', 'echo $$$$'],
    ['echo $(date)', 'echo $(date)'],
    ['$$$$', '$$$$$$$$'],
    ['costs $5', 'costs $5'],
  ])('%s', (typed, stored) => {
    expect(jobOf(['sh', '-c', typed]).spec.template.spec.containers[0]?.command?.[2]).toBe(stored);
  });
});

test.each([
  ['/usr/bin/env', 'env-'],
  ['---', 'run-'],
  ['x'.repeat(80), `${'x'.repeat(40)}-`],
])('the name of %s', (program, prefix) => {
  expect(jobOf([program]).metadata.generateName).toBe(prefix);
});
