import { expect, test } from 'vitest';

import { fittingKey, gracePeriodMs, parseJob, poolOf, runtimeOf } from '../src/index.ts';
import { handlerManifest, jobOf } from './manifests.ts';

const gpu = { nodeSelector: { 'drover.dev/pool': 'gpu' } };

test('a pod says which worker fits', () => {
  const { spec } = jobOf().spec.template;
  expect(runtimeOf(spec)).toBe('process');
  expect(poolOf(spec)).toBe('default');
  expect(fittingKey(spec)).toBe('default/process');
  expect(fittingKey(jobOf({ pod: gpu }).spec.template.spec)).toBe('gpu/process');
  const handler = parseJob(handlerManifest({ pod: gpu })).job.spec.template.spec;
  expect(fittingKey(handler)).toBe('gpu/handler/resize');
  expect(runtimeOf({ runtimeClassName: 'docker' })).toBeNull();
});

test.each([
  [30, 30_000],
  [0, 0],
  [-1, 1000],
  // More than a timer can wait would fire at once.
  [2 ** 40, 2 ** 31 - 1],
])('a grace period of %i s is %i ms', (terminationGracePeriodSeconds, want) => {
  expect(gracePeriodMs({ terminationGracePeriodSeconds })).toBe(want);
});
