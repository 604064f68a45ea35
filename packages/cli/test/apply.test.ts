import { describe, expect, test } from 'vitest';

import { checkAll } from '../src/commands/apply.ts';
import { parseManifests } from '../src/manifests.ts';

/** What is wrong with ConfigMaps of these metadata; '' = nothing. */
function problems(metadata: readonly object[], namespace?: string): string {
  const documents = metadata.map((meta) =>
    JSON.stringify({ apiVersion: 'v1', kind: 'ConfigMap', metadata: meta }),
  );
  const { manifests } = parseManifests('f', documents.join('\n---\n'));
  try {
    checkAll(manifests, namespace);
    return '';
  } catch (error) {
    return (error as Error).message;
  }
}

describe('a manifest that names its namespace', () => {
  const own = [{ name: 'a', namespace: 'own' }];
  test('means that one', () => {
    expect(problems(own)).toBe('');
    expect(problems(own, 'own')).toBe('');
  });
  test('can not be applied to another', () => {
    expect(problems(own, 'other')).toContain(
      'does not match the namespace of the request, "other"',
    );
  });
});

test('an object is defined once', () => {
  const twice = [{ name: 'a' }, { name: 'a', namespace: 'own' }, { name: 'a' }];
  expect(problems(twice)).toContain('"a" is also defined at f:1:');
  expect(problems(twice.slice(1))).toBe('');
});
