import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { guardFolder } from '@drover/testkit';
import { afterEach, beforeEach, expect, test } from 'vitest';

import { JoblogWriter, readJoblog } from '../../src/run/joblog.ts';
import { planList, type ListRequest } from '../../src/run/listPlan.ts';

let dir: string;
let path: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'drover-joblog-'));
  guardFolder(dir);
  path = join(dir, 'log');
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

const HEADER = 'Seq\tHost\tStarttime\tJobRuntime\tSend\tReceive\tExitval\tSignal\tCommand\n';
const entry = {
  seq: 1,
  host: ':',
  startMs: 1_700_000_000_123,
  runtimeMs: 1_234,
  receivedBytes: 5,
  exitValue: 0,
  signal: 0,
  command: 'echo a\nb\tc',
};

const request: ListRequest = {
  command: ['echo'],
  rows: [['a'], ['b'], ['c']],
  sourceCount: 1,
  shell: null,
  tagstring: null,
  joblogPath: '',
  resume: 'all',
  halt: null,
};

test('has the lines of GNU parallel, and is read again', () => {
  const log = new JoblogWriter(path, null);
  log.begin();
  log.write([entry, { ...entry, seq: 2, exitValue: 0, signal: 9 }]);
  log.close();
  const text = readFileSync(path, 'utf8');
  expect(text.split('\n')[1]).toBe('1\t:\t1700000000.123\t     1.234\t0\t5\t0\t0\techo a\0b\tc');
  expect(readJoblog(path)?.runs).toEqual(
    new Map([
      [1, { hasFailed: false, command: 'echo a\nb\tc', line: 2 }],
      [2, { hasFailed: true, command: 'echo a\nb\tc', line: 3 }],
    ]),
  );
});

test('goes on after its last whole line', () => {
  writeFileSync(path, `${HEADER}1\t:\t0\t0\t0\t0\t1\t0\techo a\n2\t:\t1.5`);
  const former = readJoblog(path);
  expect([...(former?.runs.keys() ?? [])]).toEqual([1]);
  const log = new JoblogWriter(path, former);
  log.begin();
  log.write([entry]);
  log.close();
  expect(readFileSync(path, 'utf8').split('\n')).toHaveLength(4);
  expect(readJoblog(path)?.runs.get(1)?.hasFailed).toBe(false);
});

test('of an earlier run stays until this one begins', () => {
  writeFileSync(path, `${HEADER}1\t:\t0\t0\t0\t0\t0\t0\techo x\n`);
  const log = new JoblogWriter(path, null);
  expect(readJoblog(path)?.runs.size).toBe(1);
  log.begin();
  log.close();
  expect(readFileSync(path, 'utf8')).toBe(HEADER);
});

test('that is not there, or empty, is a new one', () => {
  expect(readJoblog(path)).toBeNull();
  writeFileSync(path, '');
  const log = new JoblogWriter(path, readJoblog(path));
  log.begin();
  log.close();
  expect(readFileSync(path, 'utf8')).toBe(HEADER);
});

test.each([
  ['something else\n', /this is no job log/],
  [`${HEADER}x\t:\t0\t0\t0\t0\t1\t0\techo a\n`, /line 2 is no line of a job log/],
  [`${HEADER}1\t:\n`, /line 2 is no line of a job log/],
])('what is none is refused (%#)', (text, problem) => {
  writeFileSync(path, text);
  expect(() => readJoblog(path)).toThrow(problem);
});

function seqsLeft(resume: 'all' | 'failed'): number[] {
  return planList({ ...request, joblogPath: path, resume }).items.map(({ seq }) => seq);
}

test('resume leaves out what was run, or what succeeded; the last line of a number counts', () => {
  const line = (seq: number, exitValue: number, word: string) =>
    `${seq}\t:\t0\t0\t0\t0\t${exitValue}\t0\techo ${word}\n`;
  writeFileSync(path, HEADER + line(2, 1, 'b') + line(1, 3, 'a') + line(1, 0, 'a'));
  expect(seqsLeft('all')).toEqual([3]);
  expect(seqsLeft('failed')).toEqual([2, 3]);
});

test('a log of another command, or of more arguments, is refused', () => {
  writeFileSync(path, `${HEADER}1\t:\t0\t0\t0\t0\t0\t0\techo x\n9\t:\t0\t0\t0\t0\t0\t0\techo y\n`);
  expect(() => seqsLeft('all')).toThrow(
    expect.objectContaining({
      message: expect.stringMatching(/of another command or other arguments/),
      details: [
        '  line 2: number 1 was: echo x; it is now: echo a',
        '  line 3: number 9 was: echo y; there are only 3 arguments',
        expect.stringMatching(/without --resume/),
      ],
    }),
  );
});
