import { describe, expect, test } from 'vitest';

import {
  generateSelectorAndLabels,
  jobUpdateIssues,
  parseJobUpdate,
  validateJobUpdate,
  type Job,
  type JobStatus,
} from '../src/index.ts';
import {
  issuesIn,
  jobOf,
  manifest,
  withValues,
  type Changes,
  type ManifestChanges,
} from './manifests.ts';

const UID = '6f1d2c3b-4a59-4687-9abc-def012345678';

function stored(changes: ManifestChanges = {}): Job {
  const metadata = { uid: UID, ...changes.metadata };
  return generateSelectorAndLabels(jobOf({ ...changes, metadata }));
}

function problems(old: Job, values: Changes): string[] {
  return jobUpdateIssues(old, withValues(old, values)).map(({ path, kind, detail }) =>
    `${path} ${kind} ${detail}`.trimEnd(),
  );
}

const QUEUE = 'drover.dev/work-queue';
const CONTAINER = 'spec.template.spec.containers.0';

describe('what may change', () => {
  const cases: Changes[] = [
    {},
    { 'spec.parallelism': 7 },
    { 'spec.backoffLimit': 0 },
    { 'spec.activeDeadlineSeconds': 1 },
    { 'spec.ttlSecondsAfterFinished': 1 },
    { 'spec.suspend': true },
    { 'spec.podReplacementPolicy': 'Failed' },
    { 'spec.maxFailedIndexes': 1 },
    { 'metadata.labels': { a: 'b' } },
    { 'metadata.annotations': { a: 'b' } },
    // An empty list is the same as none.
    { [`${CONTAINER}.env`]: [] },
  ];

  test.each(cases)('%j', (values) => {
    expect(problems(stored(), values)).toEqual([]);
  });
});

describe('what may not', () => {
  const cases: [path: string, value: unknown][] = [
    ['metadata.name', 'e'],
    ['metadata.namespace', 'lab'],
    ['metadata.uid', UID.replace('6', '7')],
    ['spec.completions', 2],
    ['spec.completions', undefined],
    ['spec.selector', { matchLabels: { a: 'b' } }],
    ['spec.selector', undefined],
    ['spec.podFailurePolicy', { rules: [{}] }],
    ['spec.backoffLimitPerIndex', 1],
    ['spec.successPolicy', { rules: [{}] }],
    ['spec.managedBy', 'a/b'],
    ['spec.completionMode', 'Indexed'],
  ];

  test.each(cases)('%s: %j', (path, value) => {
    expect(problems(stored(), { [path]: value })).toEqual([`${path} Invalid field is immutable`]);
  });

  test.each([
    ['set', 'pages'],
    ['changed', 'parcels'],
    ['removed', undefined],
  ])('the work queue: %s', (how, name) => {
    const annotations: Record<string, string> = how === 'set' ? {} : { [QUEUE]: 'pages' };
    const old = stored({ metadata: { annotations }, spec: { parallelism: 1 } });
    const changed = name === undefined ? {} : { [QUEUE]: name };
    expect(problems(old, { 'metadata.annotations': changed })).toEqual([
      `metadata.annotations[${QUEUE}] Invalid field is immutable`,
    ]);
  });

  test('a finalizer that is added while the Job is being deleted', () => {
    const { metadata, ...rest } = stored({ metadata: { finalizers: ['a/b', 'c/d'] } });
    const old = { ...rest, metadata: { ...metadata, deletionTimestamp: '2026-01-15T12:00:00Z' } };
    expect(problems(old, { 'metadata.finalizers': ['c/d'] })).toEqual([]);
    expect(problems(old, { 'metadata.finalizers': ['a/b', 'e/f'] })).toEqual([
      'metadata.finalizers Forbidden no new finalizers can be added if the object is being deleted, ' +
        'found new finalizers [e/f]',
    ]);
    expect(problems(stored({}), { 'metadata.finalizers': ['e/f'] })).toEqual([]);
  });

  test('how each pod gets its item', () => {
    const how = 'drover.dev/item-per-pod';
    const annotations = { [QUEUE]: 'pages', [how]: 'stdin' };
    const old = stored({ metadata: { annotations } });
    expect(problems(old, { 'metadata.annotations': { ...annotations, [how]: 'env' } })).toEqual([
      `metadata.annotations[${how}] Invalid field is immutable`,
    ]);
  });

  test('the template, with what was changed of it', () => {
    const values = { [`${CONTAINER}.args`]: ['x'], 'spec.template.metadata.labels.a': 'b' };
    expect(problems(stored(), values)).toEqual([
      'spec.template Invalid field is immutable (changed: spec.template.metadata.labels.a, ' +
        'spec.template.spec.containers[0].args)',
    ]);
  });

  test('labels of a suspended Job that its own selector does not select any more', () => {
    const spec = { manualSelector: true, selector: { matchLabels: { app: 'x' } }, suspend: true };
    const old = stored({ spec, template: { metadata: { labels: { app: 'x' } } } });
    const change = (labels: object): string[] =>
      issuesIn(() =>
        parseJobUpdate(old, withValues(old, { 'spec.template.metadata.labels': labels })),
      );
    expect(change({ app: 'x', tier: 'b' })).toEqual([]);
    expect(change({ app: 'y' })).toEqual([
      'spec.template.metadata.labels Invalid `selector` does not match template `labels`',
    ]);
  });

  test('everything at once', () => {
    const values = {
      'spec.completions': 5,
      'spec.managedBy': 'a/b',
      'spec.template.spec.restartPolicy': 'OnFailure',
    };
    expect(problems(stored(), values).map((text) => text.split(' ')[0])).toEqual([
      'spec.managedBy',
      'spec.completions',
      'spec.template',
    ]);
  });

  test('validateJobUpdate throws', () => {
    const old = stored();
    expect(() => validateJobUpdate(old, withValues(old, { 'spec.completions': 2 }))).toThrow(
      'Job.batch "pi" is invalid: spec.completions: Invalid value: 2: field is immutable',
    );
    expect(() => validateJobUpdate(old, old)).not.toThrow();
  });
});

describe('completions of an Indexed Job', () => {
  const old = stored({ spec: { completionMode: 'Indexed', completions: 3, parallelism: 3 } });

  test('change only together with parallelism', () => {
    expect(problems(old, { 'spec.completions': 5 })).toEqual([
      'spec.completions Invalid can only be modified in tandem with spec.parallelism',
    ]);
  });

  test('and then up and down', () => {
    expect(problems(old, { 'spec.completions': 5, 'spec.parallelism': 5 })).toEqual([]);
    expect(problems(old, { 'spec.completions': 0, 'spec.parallelism': 0 })).toEqual([]);
  });

  test('not with a list of arguments, which has so many', () => {
    const listed = stored({
      metadata: { annotations: { 'drover.dev/argument-list': '{}' } },
      spec: { completionMode: 'Indexed', completions: 3, parallelism: 3 },
    });
    const [problem] = problems(listed, { 'spec.completions': 5, 'spec.parallelism': 5 });
    expect(problem).toMatch(/^spec\.completions Invalid field is immutable: each index/);
  });
});

describe('the template of a suspended Job', () => {
  const idle: Job = { ...stored({ spec: { suspend: true } }), status: {} };
  const preferred = { preferredDuringSchedulingIgnoredDuringExecution: [{}] };
  const scheduling = {
    'spec.template.spec.nodeSelector': { 'drover.dev/pool': 'gpu' },
    'spec.template.spec.tolerations': [{}],
    'spec.template.spec.affinity.nodeAffinity': preferred,
    [`${CONTAINER}.resources`]: { limits: { cpu: '1' }, requests: { cpu: '1' } },
    'spec.template.metadata.labels.a': 'b',
    'spec.template.metadata.annotations': { a: 'b' },
  };
  const startTime = '2026-01-01T00:00:00Z';

  test('may be scheduled anew when it was never started', () => {
    expect(problems(idle, scheduling)).toEqual([]);
  });

  test('and when it was stopped since', () => {
    const status: JobStatus = { startTime, conditions: [{ type: 'Suspended', status: 'True' }] };
    expect(problems({ ...idle, status }, scheduling)).toEqual([]);
  });

  test('in the update that resumes it, too', () => {
    expect(problems(idle, { ...scheduling, 'spec.suspend': false })).toEqual([]);
  });

  test.each([
    ['pods are active', idle, { active: 1 }],
    ['it was started and not stopped', idle, { startTime }],
    ['it is not suspended', stored(), {}],
  ])('may not when %s', (_, job, status) => {
    expect(problems({ ...job, status }, scheduling)).toHaveLength(1);
  });

  test('nothing else of it may change', () => {
    const values = {
      ...scheduling,
      [`${CONTAINER}.command`]: ['false'],
      'spec.template.spec.affinity.podAffinity': preferred,
    };
    expect(problems(idle, values)).toEqual([
      'spec.template Invalid field is immutable (changed: ' +
        'spec.template.spec.containers[0].command[0], spec.template.spec.affinity)',
    ]);
  });
});

describe('parseJobUpdate', () => {
  const old: Job = {
    ...stored({ container: { args: ['a'] }, spec: { parallelism: 2 } }),
    status: { active: 2, startTime: '2026-01-01T00:00:00Z' },
  };
  old.metadata.creationTimestamp = '2026-01-01T00:00:00Z';
  old.metadata.generation = 3;

  test('takes the manifest that made the Job, with a change', () => {
    const input = manifest({ container: { args: ['a'] }, spec: { parallelism: 4 } });
    const { job, warnings } = parseJobUpdate(old, input);
    expect(warnings).toEqual([]);
    expect(job).toEqual(withValues(old, { 'spec.parallelism': 4 }));
  });

  test('takes the Job as it was read, with a change', () => {
    const input = withValues(old, {
      'metadata.resourceVersion': '7',
      'spec.suspend': true,
      status: { active: 0 },
    });
    const { job } = parseJobUpdate(old, input);
    expect(job.metadata.resourceVersion).toBe('7');
    expect(job.spec.suspend).toBe(true);
    expect(job.status).toEqual(old.status);
  });

  test('tells what is wrong by itself and as a change together', () => {
    const input = withValues(old, {
      'spec.parallelism': -1,
      'spec.wrong': true,
      [`${CONTAINER}.args`]: ['b'],
    });
    expect(issuesIn(() => parseJobUpdate(old, input)).map((text) => text.split(' ')[0])).toEqual([
      'spec.wrong',
      'spec.parallelism',
      'spec.template',
    ]);
  });

  test('a label that Drover gave can not be changed', () => {
    const input = withValues(old, { 'spec.template.metadata.labels.job-name': 'e' });
    expect(issuesIn(() => parseJobUpdate(old, input))).toContain(
      `spec.template.metadata.labels Invalid "job-name" must be 'pi'`,
    );
  });

  test('a Job of another namespace is another Job', () => {
    const input = withValues(old, { 'metadata.namespace': 'lab' });
    expect(issuesIn(() => parseJobUpdate(old, input))).toContain(
      'metadata.namespace Invalid does not match the namespace of the request, "default"',
    );
  });
});
