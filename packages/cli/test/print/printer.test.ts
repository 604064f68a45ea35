import { parseJob, type Job, type Node, type Pod } from '@drover/shared';
import { describe, expect, test } from 'vitest';

import { formatDocument, TablePrinter, type PrintOptions } from '../../src/print/printer.ts';

const NOW = Date.UTC(2026, 0, 15, 12, 1, 0);
const plain: PrintOptions = { withNamespace: false, headers: true, showLabels: false };

function job(name: string, status: Job['status'], spec: object = {}): Job {
  const { job: parsed } = parseJob({
    metadata: { name },
    spec: {
      ...spec,
      template: { spec: { restartPolicy: 'Never', containers: [{ name: 'c', command: ['x'] }] } },
    },
  });
  const metadata = { ...parsed.metadata, creationTimestamp: '2026-01-15T12:00:00Z' };
  return { ...parsed, metadata, status };
}

const startTime = '2026-01-15T12:00:10Z';

describe('jobs', () => {
  const jobs = [
    job('running', { startTime, active: 1 }, { completions: 5, parallelism: 2 }),
    job('queue', { startTime, succeeded: 1 }, { parallelism: 4 }),
    job('new', {}),
  ];

  test('have the columns of kubectl', () => {
    expect(new TablePrinter(plain).lines(jobs, NOW)).toEqual([
      'NAME      STATUS    COMPLETIONS   DURATION   AGE',
      'running   Running   0/5           50s        60s',
      'queue     Running   1/1 of 4      50s        60s',
      'new       Running   0/1                      60s',
    ]);
  });

  test('have more of them on demand', () => {
    const wide = new TablePrinter({ ...plain, output: 'wide', withNamespace: true });
    const [header, row] = wide.lines([jobs[0] as Job], NOW);
    expect(header).toMatch(/^NAMESPACE +NAME .* CONTAINERS +IMAGES +SELECTOR$/);
    expect(row).toMatch(/^default +running .* c +<none> +<none>$/);
  });

  test('have their header once, and can be without it', () => {
    const printer = new TablePrinter(plain);
    printer.lines(jobs, NOW);
    expect(printer.lines(jobs.slice(0, 1), NOW)).toEqual([
      'running   Running   0/5           50s        60s',
    ]);
    expect(new TablePrinter({ ...plain, headers: false }).lines(jobs, NOW)).toHaveLength(3);
  });

  test('can be names alone', () => {
    expect(new TablePrinter({ ...plain, output: 'name' }).lines(jobs, NOW)[0]).toBe(
      'job.batch/running',
    );
  });
});

function pod(status: Pod['status'], metadata: object = {}): Pod {
  return {
    kind: 'Pod',
    metadata: { name: 'p', namespace: 'default', creationTimestamp: startTime, ...metadata },
    spec: { containers: [{ name: 'c' }], nodeName: 'node-a' },
    status,
  } as Pod;
}

const container = { name: 'c', image: '', imageID: '', restartCount: 0, ready: false };

describe('pods', () => {
  const cases: { name: string; given: Pod; want: string }[] = [
    {
      name: 'one that runs',
      given: pod({
        phase: 'Running',
        containerStatuses: [{ ...container, ready: true, restartCount: 3, state: { running: {} } }],
      }),
      want: 'p      1/1     Running   3          50s',
    },
    {
      name: 'one that ended well',
      given: pod({
        phase: 'Succeeded',
        containerStatuses: [
          { ...container, state: { terminated: { exitCode: 0, reason: 'Completed' } } },
        ],
      }),
      want: 'p      0/1     Completed   0          50s',
    },
    {
      name: 'one that is being stopped',
      given: pod({ phase: 'Running' }, { deletionTimestamp: startTime }),
      want: 'p      0/1     Terminating   0          50s',
    },
    {
      name: 'one whose worker is gone',
      given: pod({ phase: 'Failed', reason: 'NodeLost' }),
      want: 'p      0/1     NodeLost   0          50s',
    },
  ];
  test.each(cases)('$name', ({ given, want }) => {
    expect(new TablePrinter(plain).lines([given], NOW)[1]).toBe(want);
  });
});

test('nodes are ready, draining or gone', () => {
  const node = (conditions: Node['status']['conditions']) =>
    ({
      kind: 'Node',
      metadata: { name: 'n', labels: { 'drover.dev/pool': 'gpu' } },
      spec: {},
      status: { capacity: { pods: '4' }, ...(conditions === undefined ? {} : { conditions }) },
    }) as unknown as Node;
  const status = (given: Node) =>
    new TablePrinter({ ...plain, headers: false }).lines([given], NOW)[0];
  expect(status(node([{ type: 'Ready', status: 'True' }]))).toMatch(
    /^n +Ready +gpu +<none> +4 +<none> +<none> +<unknown>/,
  );
  expect(status(node([{ type: 'Ready', status: 'False', reason: 'WorkerDraining' }]))).toMatch(
    /^n +NotReady,Draining /,
  );
  expect(status(node([{ type: 'Ready', status: 'Unknown' }]))).toMatch(/^n +NotReady /);
});

describe('documents', () => {
  const one = job('one', {});

  test('a single object is printed as itself, several as a List', async () => {
    expect(JSON.parse(await formatDocument([one], 'json', true))).toMatchObject({ kind: 'Job' });
    expect(JSON.parse(await formatDocument([one], 'json', false))).toMatchObject({
      apiVersion: 'v1',
      kind: 'List',
      items: [{ kind: 'Job' }],
    });
    expect(await formatDocument([one], 'yaml', true)).toMatch(
      /^apiVersion: batch\/v1\nkind: Job\n/,
    );
  });
});
