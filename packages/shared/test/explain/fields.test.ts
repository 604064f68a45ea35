import { describe, expect, test } from 'vitest';

import { fieldsOf, type Field } from '../../src/explain.ts';

function find(root: Field, path: string): Field {
  let field = root;
  for (const step of path.split('.')) {
    const next = field.fields.find(({ name }) => name === step);
    if (next === undefined) throw new Error(`no ${step} in ${field.name}`);
    field = next;
  }
  return field;
}

function all(field: Field, path = ''): { path: string; field: Field }[] {
  const here = path === '' ? field.name : `${path}.${field.name}`;
  return [{ path: here, field }, ...field.fields.flatMap((child) => all(child, here))];
}

const job = fieldsOf('Job');

describe('fields of a Job', () => {
  const cases: { path: string; want: Partial<Field> }[] = [
    { path: 'spec.backoffLimit', want: { type: 'integer', required: false } },
    {
      path: 'spec.completionMode',
      want: { type: 'string', values: ['NonIndexed', 'Indexed'], preset: 'NonIndexed' },
    },
    { path: 'spec.suspend', want: { type: 'boolean', preset: 'false' } },
    { path: 'spec.template.spec.containers', want: { type: '[]Object', required: true } },
    { path: 'spec.template.spec.containers.command', want: { type: '[]string' } },
    { path: 'spec.template.spec.nodeSelector', want: { type: 'map[string]string' } },
    {
      path: 'spec.template.spec.containers.resources.limits',
      want: { type: 'map[string]string or integer' },
    },
    { path: 'apiVersion', want: { type: 'string', values: ['batch/v1'] } },
  ];

  test.each(cases)('$path', ({ path, want }) => {
    expect(find(job, path)).toMatchObject(want);
  });

  test('have the meaning of their doc comment and their row of the table', () => {
    const { text, rule } = find(job, 'spec.backoffLimit');
    expect(text).toMatch(/^How many pods may fail before the Job fails/);
    expect(rule).toMatchObject({ support: 'honoured', path: 'spec.backoffLimit' });
    const below = find(job, 'spec.template.spec.tolerations');
    expect(below.rule?.support).toBe('inert');
  });

  test('below one without rows of their own share its row', () => {
    const claims = find(job, 'spec.template.spec.affinity.podAffinity');
    expect(claims.rule).not.toBeNull();
  });

  test('all say what they mean, or at least why they are not honoured', () => {
    const silent = all(job)
      .filter(({ field }) => field.text === '' && (field.rule?.why ?? '') === '')
      .map(({ path }) => path);
    expect(silent).toEqual([]);
  });
});

test('a pod has the metadata of any object, the spec of a template and a status', () => {
  const pod = fieldsOf('Pod');
  expect(find(pod, 'metadata.name').rule).toBeNull();
  expect(find(pod, 'spec.containers.image').type).toBe('string');
  expect(find(pod, 'status.containerStatuses.state.terminated.exitCode')).toMatchObject({
    type: 'integer',
    rule: null,
  });
});

test('a work queue: every field says what it means', () => {
  const queue = fieldsOf('WorkQueue');
  expect(find(queue, 'spec.resultTtlSeconds')).toMatchObject({
    type: 'integer',
    preset: '604800',
    rule: null,
  });
  const silent = queue.fields.flatMap((field) => [field, ...field.fields]);
  expect(silent.filter(({ text }) => text === '').map(({ name }) => name)).toEqual([]);
});

test('a node has its conditions', () => {
  expect(find(fieldsOf('Node'), 'status.conditions.reason').text).toBe('Why, in one word.');
});
