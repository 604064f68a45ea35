import { expect, test } from 'vitest';

import { MountProbe } from '../../src/process/mountProbe.ts';
import { exitOf, startFailure } from '../../src/process/processExit.ts';
import type { RunningProcess } from '../../src/process/runningProcess.ts';

const refused = startFailure({
  errorCode: 'EMFILE',
  step: 'other',
  command: '/bin/sh',
  workingDir: '/',
  nowMs: 1,
});
const ran = exitOf({ exitCode: 0, signalNumber: null, startedAtMs: 1, finishedAtMs: 2 });

/** A runner of programs that start, with this problem, or not at all. */
function runner(answers: (string | null | undefined)[]) {
  return {
    hasSandbox: false,
    start: (): RunningProcess => {
      const mountProblem = answers.shift();
      const isRefused = mountProblem === undefined;
      return {
        started: Promise.resolve(isRefused ? null : { pid: 1, startedAtMs: 1, mountProblem }),
        exited: Promise.resolve(isRefused ? refused : ran),
        stop: () => undefined,
        kill: () => undefined,
      };
    },
  };
}

test('what was found out is kept', async () => {
  const probe = new MountProbe(runner(['mount namespace: EPERM', null]));
  expect(await probe.problem()).toBe('mount namespace: EPERM');
  expect(await probe.problem()).toBe('mount namespace: EPERM');
});

test('a program that could not be started says nothing of mounts: the next pod asks again', async () => {
  const probe = new MountProbe(runner([undefined, null]));
  expect(await probe.problem()).toContain('EMFILE');
  expect(await probe.problem()).toBeNull();
});
