import { expect, test } from 'vitest';
import { hostProblem } from '../src/index.ts';

test.each([
  ['linux', '22.18.0'],
  ['darwin', '22.19.3'],
  ['linux', '24.0.0'],
  ['linux', '100.0.0'],
])('%s with Node %s is fine', (platform, nodeVersion) => {
  expect(hostProblem(platform, nodeVersion)).toBeNull();
});

test.each([
  ['linux', '22.17.9'],
  ['linux', '20.20.2'],
  ['darwin', '8.99.0'],
])('on %s, Node %s is too old', (platform, nodeVersion) => {
  expect(hostProblem(platform, nodeVersion)).toBe(
    `Drover needs Node 22.18 or newer and this is ${nodeVersion}: install a newer one`,
  );
});

test('Windows is refused with what to use instead, whatever its Node', () => {
  for (const nodeVersion of ['24.0.0', '18.0.0']) {
    expect(hostProblem('win32', nodeVersion)).toBe(
      'Drover does not run on Windows: use it on Linux, on macOS, in a container or in WSL 2',
    );
  }
});

test('another system is refused by its name', () => {
  expect(hostProblem('freebsd', '24.0.0')).toBe(
    'Drover runs on Linux and macOS, and this is freebsd: use it in a container',
  );
});
