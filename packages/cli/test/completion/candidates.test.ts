import { describe, expect, test } from 'vitest';

import { complete, readLine } from '../../src/completion/candidates.ts';
import type { Names } from '../../src/completion/line.ts';
import { buildProgram } from '../../src/program.ts';

const program = buildProgram(() => undefined);
const named = (...values: string[]) =>
  Promise.resolve(values.map((value) => ({ value, text: '' })));

const KINDS = [
  'job',
  'cronjob',
  'pod',
  'node',
  'configmap',
  'secret',
  'resourcequota',
  'priorityclass',
];

/** An engine with a few objects. */
const names: Names = {
  jobs: () => named('pi', 'pearl'),
  cronJobs: () => named('nightly'),
  pods: () => named('pi-x7k2p'),
  nodes: () => named('host-1'),
  configMaps: () => named('settings'),
  secrets: () => named('login'),
  resourceQuotas: () => named('small'),
  priorityClasses: () => named('urgent'),
  workQueues: () => named('pages', 'parts'),
  namespaces: () => named('default', 'shelf'),
  pools: () => named('gpu'),
};

async function completed(...words: string[]): Promise<{ mode: string; values: string[] }> {
  const { mode, candidates } = await complete(readLine(program, words), names);
  return { mode, values: candidates.map(({ value }) => value) };
}

describe('complete', () => {
  const cases: { line: string[]; mode?: string; want: string[] }[] = [
    { line: ['des'], want: ['describe'] },
    { line: ['config', ''], want: ['view', 'help'] },
    { line: ['nonsense', ''], want: [] },
    {
      line: ['get', ''],
      want: KINDS.map((kind) => `${kind}${kind.endsWith('s') ? 'es' : 's'}`).concat(
        KINDS.map((kind) => `${kind}/`),
      ),
    },
    { line: ['get', 'secret', ''], want: ['login'] },
    { line: ['get', 'resourcequota/'], want: ['resourcequota/small'] },
    { line: ['describe', 'configmap/'], want: ['configmap/settings'] },
    { line: ['get', 'job/'], want: ['job/pi', 'job/pearl'] },
    { line: ['get', 'job/pe'], want: ['job/pearl'] },
    { line: ['get', 'cronjob/'], want: ['cronjob/nightly'] },
    { line: ['suspend', 'cron'], want: ['cronjob/nightly'] },
    { line: ['cron', 'preview', ''], want: ['nightly'] },
    { line: ['get', 'jobs', ''], want: ['pi', 'pearl'] },
    { line: ['get', 'jobs', 'pi', ''], want: ['pearl'] },
    { line: ['describe', 'node', ''], want: ['host-1'] },
    { line: ['get', 'job/pi', 'p'], mode: 'nospace', want: ['pod/', 'priorityclass/'] },
    { line: ['delete', 'n'], want: [] },
    { line: ['scale', ''], want: ['job/pi', 'job/pearl'] },
    { line: ['scale', 'job/pi', ''], want: ['job/pearl'] },
    { line: ['suspend', 'pe'], want: ['pearl'] },
    { line: ['logs', 'pi'], want: ['pi-x7k2p'] },
    { line: ['logs', 'pod/'], want: ['pod/pi-x7k2p'] },
    { line: ['wait', '--for', 'com'], want: ['complete'] },
    { line: ['wait', '--for=com'], want: ['--for=complete'] },
    // bash parts words at the equals sign.
    { line: ['wait', '--for', '=', 'com'], want: ['complete'] },
    { line: ['wait', '--for', '='], want: ['complete', 'failed', 'finished', 'delete'] },
    { line: ['get', '-o', 'y'], want: ['yaml'] },
    { line: ['get', '-n', ''], want: ['default', 'shelf'] },
    { line: ['get', '-n', 's'], want: ['shelf'] },
    { line: ['worker', '--pool', ''], want: ['gpu'] },
    { line: ['apply', '-f', ''], mode: 'files', want: [] },
    { line: ['apply', '--filename', 'a'], mode: 'files', want: [] },
    { line: ['get', '--show'], want: ['--show-labels'] },
    { line: ['get', '-w', '--no-h'], want: ['--no-headers'] },
    { line: ['run', '--', 'ls', '--a'], mode: 'files', want: [] },
    { line: ['run', 'ls', '-'], mode: 'files', want: [] },
    { line: ['worker', '--super'], want: [] },
    { line: ['completion', 'z'], want: ['zsh'] },
    { line: ['queue', 'st'], want: ['stats'] },
    { line: ['queue', 'stats', ''], want: ['pages', 'parts'] },
    { line: ['queue', 'delete', 'pag'], want: ['pages'] },
    { line: ['queue', 'seal', 'pages', ''], want: [] },
    { line: ['queue', 'results', '--order', ''], want: ['completion', 'enqueue'] },
    { line: ['enqueue', 'pa'], want: ['pages', 'parts'] },
    { line: ['enqueue', 'pages', ''], mode: 'files', want: [] },
    { line: ['enqueue', 'pages', '--skip'], want: ['--skip-invalid'] },
    {
      line: ['explain', 'workqueue.spec.'],
      mode: 'nospace',
      want: ['workqueue.spec.resultTtlSeconds', 'workqueue.spec.maxResultBytes'],
    },
    {
      line: ['explain', ''],
      want: [...KINDS, 'workqueue'],
    },
    { line: ['explain', 'secret.st'], mode: 'nospace', want: ['secret.stringData'] },
    {
      line: ['explain', 'job.spec.back'],
      mode: 'nospace',
      want: ['job.spec.backoffLimit', 'job.spec.backoffLimitPerIndex'],
    },
    { line: ['explain', 'job.nothing.'], want: [] },
  ];

  test.each(cases)('$line', async ({ line, mode = 'words', want }) => {
    expect(await completed(...line)).toEqual({ mode, values: want });
  });
});

test('the options of the line say which engine is asked', () => {
  const { options } = readLine(program, ['get', '-n', 'shelf', '--redis=redis://h', 'jobs', '']);
  expect(options).toEqual({ namespace: 'shelf', redis: 'redis://h' });
});
