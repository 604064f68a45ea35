import { describe, expect, test } from 'vitest';

import type { ApiObject, JsonObject } from '../../src/api/object.ts';
import type { Resource } from '../../src/api/resource.ts';
import { applyTo, applyToNothing, managersAfter } from '../../src/apply/apply.ts';

const JOB = { kind: 'Job', hasStatus: true } as Resource;
const NOW = Date.UTC(2026, 0, 1);

function writer(manager: string, operation: 'Apply' | 'Update' = 'Apply') {
  return { manager, operation, apiVersion: 'batch/v1' } as const;
}

function config(spec: object, metadata: object = {}): JsonObject {
  return { apiVersion: 'batch/v1', kind: 'Job', metadata: { name: 'a', ...metadata }, spec };
}

interface Applying {
  readonly manager?: string;
  readonly force?: boolean;
}

function apply(stored: unknown, what: JsonObject, { manager = 'a', force = false }: Applying = {}) {
  const application = { writer: writer(manager), config: what, force, nowMs: NOW };
  if (stored === null) return applyToNothing(JOB, application) as ApiObject;
  return applyTo(stored as ApiObject, JOB, application) as ApiObject;
}

/** What each manager owns. */
function owners({ metadata }: ApiObject): Record<string, unknown> {
  const entries = (metadata.managedFields ?? []) as { manager: string; fieldsV1: unknown }[];
  return Object.fromEntries(entries.map(({ manager, fieldsV1 }) => [manager, fieldsV1]));
}

function containers(...items: object[]) {
  return { template: { spec: { containers: items } } };
}

describe('an apply', () => {
  test('of something new owns what it says, and nothing that the server sets', () => {
    const made = apply(null, config({ parallelism: 2 }, { labels: { x: '1' }, annotations: {} }));
    expect(made.metadata.managedFields).toEqual([
      {
        manager: 'a',
        operation: 'Apply',
        apiVersion: 'batch/v1',
        time: '2026-01-01T00:00:00Z',
        fieldsType: 'FieldsV1',
        fieldsV1: {
          'f:metadata': { 'f:annotations': {}, 'f:labels': { 'f:x': {} } },
          'f:spec': { 'f:parallelism': {} },
        },
      },
    ]);
  });

  test('of the same again changes nothing, the times of the owners neither', () => {
    const made = apply(null, config({ parallelism: 2 }));
    expect(apply(made, config({ parallelism: 2 }))).toBe(made);
  });

  test('removes what it owned and leaves out, unless another owns it, too', () => {
    const made = apply(
      null,
      config({ parallelism: 2, suspend: true }, { labels: { x: '1', y: '2' } }),
    );
    const shared = apply(made, config({}, { labels: { y: '2' } }), { manager: 'b' });
    const less = apply(shared, config({ suspend: true }));
    expect(less).toMatchObject({ spec: { suspend: true }, metadata: { labels: { y: '2' } } });
    expect(less).not.toHaveProperty('spec.parallelism');
    expect(less.metadata.labels).toEqual({ y: '2' });
    const none = apply(less, config({ suspend: true }), { manager: 'b' });
    expect(none.metadata.labels).toBeUndefined();
    expect(owners(none)).toEqual({
      a: { 'f:spec': { 'f:suspend': {} } },
      b: { 'f:spec': { 'f:suspend': {} } },
    });
  });

  test('leaves defaults alone that nobody owns', () => {
    const made = apply(null, config({ parallelism: 2 }));
    const stored = { ...made, spec: { parallelism: 2, backoffLimit: 6 } };
    expect(apply(stored, config({}))).toMatchObject({ spec: { backoffLimit: 6 } });
  });

  test('merges the items of lists by their keys, in the order of what is applied', () => {
    const made = apply(null, config(containers({ name: 'main', image: 'x' }, { name: 'side' })));
    const more = apply(
      made,
      config(
        containers({ name: 'log', image: 'z' }, { name: 'main', env: [{ name: 'E', value: '1' }] }),
      ),
      { manager: 'b' },
    );
    const names = (job: ApiObject) =>
      (job as unknown as { spec: ReturnType<typeof containers> }).spec.template.spec.containers;
    expect(names(more)).toEqual([
      { name: 'log', image: 'z' },
      { name: 'side' },
      { name: 'main', image: 'x', env: [{ name: 'E', value: '1' }] },
    ]);
    const item = { '.': {}, 'f:name': {} };
    expect(owners(more)['b']).toEqual({
      'f:spec': {
        'f:template': {
          'f:spec': {
            'f:containers': {
              'k:{"name":"log"}': { ...item, 'f:image': {} },
              'k:{"name":"main"}': {
                ...item,
                'f:env': { 'k:{"name":"E"}': { ...item, 'f:value': {} } },
              },
            },
          },
        },
      },
    });
    // Who owns an item with another keeps it; what was theirs alone goes.
    const less = apply(more, config(containers({ name: 'side' })));
    expect(names(less)).toEqual([
      { name: 'log', image: 'z' },
      { name: 'side' },
      { name: 'main', env: [{ name: 'E', value: '1' }] },
    ]);
  });

  test('finds ports by number and protocol, which may be left out', () => {
    const made = apply(
      null,
      config(containers({ name: 'main', ports: [{ containerPort: 80, name: 'web' }] })),
    );
    const same = config(
      containers({ name: 'main', ports: [{ containerPort: 80, protocol: 'TCP', name: 'web' }] }),
    );
    expect(JSON.stringify(owners(apply(made, same, { manager: 'b' }))['b'])).toContain(
      '{\\"containerPort\\":80,\\"protocol\\":\\"TCP\\"}',
    );
  });

  test.each([
    {
      name: 'of one field',
      what: config({ parallelism: 3 }),
      message: 'Apply failed with 1 conflict: conflict with "a": .spec.parallelism',
    },
    {
      name: 'of several',
      what: config({ parallelism: 3, ...containers({ name: 'main', image: 'y' }) }),
      message: `Apply failed with 2 conflicts: conflicts with "a":
- .spec.parallelism
- .spec.template.spec.containers[name="main"].image`,
    },
  ])('is refused for a conflict: $name', ({ what, message }) => {
    const made = apply(
      null,
      config({ parallelism: 2, ...containers({ name: 'main', image: 'x' }) }),
    );
    expect(() => apply(made, what, { manager: 'b' })).toThrow(message);
    const taken = apply(made, what, { manager: 'b', force: true });
    expect(taken).toMatchObject({ spec: { parallelism: 3 } });
    expect(owners(taken)['a']).not.toHaveProperty('f:spec.f:parallelism');
  });

  test('finds what was set before anybody applied', () => {
    const stored = config({ parallelism: 2 }, { uid: 'u', labels: { x: '1' } });
    expect(() => apply(stored, config({ parallelism: 3 }))).toThrow(
      'conflict with "before-first-apply" using batch/v1 at 2026-01-01T00:00:00Z: .spec.parallelism',
    );
    const text = JSON.stringify(config({ parallelism: 2 }));
    const annotations = { 'kubectl.kubernetes.io/last-applied-configuration': text };
    const ofKubectl = config({ parallelism: 2 }, { annotations });
    const gone = apply(ofKubectl, config({ parallelism: 3 }), { manager: 'kubectl' });
    expect(gone).toMatchObject({ spec: { parallelism: 3 } });
    expect(Object.values(gone.metadata.annotations ?? {})).toEqual([
      `${JSON.stringify(config({ parallelism: 3 }))}\n`,
    ]);
    expect(() => apply(ofKubectl, config({ parallelism: 3 }), { manager: 'other' })).toThrow(
      '1 conflict',
    );
  });

  test.each([
    [{ env: [{ value: '1' }] }, 'omits key field "name"'],
    [{ env: [{ name: 'E' }, { name: 'E' }] }, 'duplicate entries for key {"name":"E"}'],
  ])('of a list whose items can not be told apart is refused: %j', (more, message) => {
    expect(() => apply(null, config(containers({ name: 'main', ...more })))).toThrow(message);
  });
});

test('who changes a field in another way owns it, and nobody owns what is gone', () => {
  const made = apply(null, config({ parallelism: 2, suspend: true }, { labels: { x: '1' } }));
  const changed = { ...made, ...config({ parallelism: 5 }, { labels: { x: '1', y: '1' } }) };
  const managedFields = managersAfter(made, changed, JOB, writer('kubectl-edit', 'Update'), NOW);
  expect(owners({ ...made, metadata: { ...made.metadata, managedFields } })).toEqual({
    a: { 'f:metadata': { 'f:labels': { 'f:x': {} } } },
    'kubectl-edit': {
      'f:metadata': { 'f:labels': { 'f:y': {} } },
      'f:spec': { 'f:parallelism': {} },
    },
  });
});
