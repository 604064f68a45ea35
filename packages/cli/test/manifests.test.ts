import { describe, expect, test } from 'vitest';

import { parseManifests } from '../src/manifests.ts';

const two = `# a comment
---
apiVersion: batch/v1
kind: Job
metadata:
  name: first
spec:
  template:
    metadata:
      labels:
        a.b/c: x
    spec:
      containers:
        - name: main
          image: perl
---
# nothing here
---
{"kind": "Job", "metadata": {"name": "second"}}
`;

describe('several documents', () => {
  const { manifests, problems } = parseManifests('jobs.yaml', two);

  test('are read in order; empty ones are left out', () => {
    expect(problems).toEqual([]);
    expect(manifests.map(({ object }) => object['metadata'])).toEqual([
      { name: 'first' },
      { name: 'second' },
    ]);
  });

  test.each([
    ['metadata.name', 'jobs.yaml:6:3'],
    ['spec.template.spec.containers[0].image', 'jobs.yaml:15:11'],
    ['spec.template.metadata.labels[a.b/c]', 'jobs.yaml:11:9'],
    ['spec.template.spec.restartPolicy', 'jobs.yaml:12:5'],
    ['status', 'jobs.yaml:3:1'],
  ])('%s is found at %s, or where it is missing', (path, want) => {
    expect(manifests[0]?.locate(path)).toBe(want);
  });

  test('a later document is found in its own place', () => {
    expect(manifests[1]?.locate('metadata.name')).toBe('jobs.yaml:19:30');
  });
});

test('the items of a List are objects of their own', () => {
  const { manifests } = parseManifests(
    'l',
    'kind: List\nitems:\n- kind: Job\n- kind: Job\n  a: 1\n',
  );
  expect(manifests).toHaveLength(2);
  expect(manifests[1]?.locate('a')).toBe('l:5:3');
});

describe('what is broken is told with line and column', () => {
  test.each([
    ['a: [1, 2\nb: 3\n', 'x.yaml:2:1: Flow sequence in block collection must be sufficiently'],
    ['a: 1\n\tb: 2\n', 'x.yaml:2:1: Tabs are not allowed as indentation'],
    ['a: 1\na: 2\n', 'x.yaml:2:1: Map keys must be unique'],
    ['{"a": ', 'x.yaml:1:7: Flow map must end with a }'],
    ['just text', 'x.yaml:1:1: an object with apiVersion and kind is expected'],
    ['- a\n', 'x.yaml:1:1: an object with apiVersion and kind is expected'],
    ['kind: List\nitems: [1]\n', 'x.yaml:2:9: an object is expected'],
  ])('%j', (text, want) => {
    const { manifests, problems } = parseManifests('x.yaml', text);
    expect(manifests).toEqual([]);
    expect(problems[0]).toContain(want);
  });

  test('modes of files are octal, as kubectl reads them; nothing else changes', () => {
    const { manifests } = parseManifests(
      'f',
      'a: 0644\nb: 644\nc: "0644"\nd: 0\ne: 089\nf: 0x1f\n',
    );
    expect(manifests[0]?.object).toEqual({ a: 420, b: 644, c: '0644', d: 0, e: 89, f: 31 });
  });

  test('aliases that would fill the memory are refused', () => {
    const levels = Array.from({ length: 9 }, (_, level) => {
      const inner = level === 0 ? 'x' : `*l${level - 1}`;
      return `l${level}: &l${level} [${Array(9).fill(inner).join(', ')}]`;
    });
    const { problems } = parseManifests('bomb.yaml', levels.join('\n'));
    expect(problems[0]).toMatch(/^bomb\.yaml:1:1: .*alias/i);
  });

  test('all documents are checked, not only the first', () => {
    const { problems } = parseManifests('x', 'a: [\n---\nb: {\n---\nc: 1\n');
    expect(problems.length).toBeGreaterThanOrEqual(2);
  });
});
