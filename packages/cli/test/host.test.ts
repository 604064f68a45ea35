/** What the command says where it can not run, before it loads anything. */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { hostProblem } from '@drover/shared';
import { expect, test } from 'vitest';
import { nodeProblem, platformProblem } from '../bin/host.js';
import { readVersion } from '../src/version.ts';

const DROVER = fileURLToPath(new URL('../bin/drover.js', import.meta.url));

test.each([
  ['linux', '22.18.0'],
  ['darwin', '24.1.0'],
  ['linux', '22.17.1'],
  ['darwin', '18.20.4'],
  ['win32', '24.1.0'],
  ['win32', '18.20.4'],
  ['freebsd', '24.1.0'],
])('says on %s with Node %s what the packages say', (platform, version) => {
  expect(platformProblem(platform) ?? nodeProblem(version)).toBe(hostProblem(platform, version));
});

test('refuses Windows with one sentence, before anything else', () => {
  // Not even the wrong option is looked at.
  expect(pretend('process, "platform"', 'win32', ['get', '--wrong'])).toEqual({
    status: 1,
    stdout: '',
    stderr: `${hostProblem('win32', '24.0.0')}\n`,
  });
});

test('on an old Node, hands over to that of set-up or says what is missing', () => {
  const { stdout, stderr } = pretend('process.versions, "node"', '20.1.0', ['--version']);
  // The pretence ends at the process that it hands over to.
  const advice = `${hostProblem('linux', '20.1.0')}, or run \`npm run setup\`\n`;
  expect([`${readVersion()}\n`, advice]).toContain(stdout + stderr);
});

interface Outcome {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs the command in a process that believes something else of itself. */
function pretend(property: string, value: string, args: readonly string[]): Outcome {
  const code = `Object.defineProperty(${property}, { value: ${JSON.stringify(value)} })`;
  const preload = `data:text/javascript,${encodeURIComponent(code)}`;
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    ['--import', preload, DROVER, ...args],
    { encoding: 'utf8' },
  );
  return { status, stdout, stderr };
}
