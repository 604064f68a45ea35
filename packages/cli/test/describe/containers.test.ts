import { expect, test } from 'vitest';

import { containerEntries } from '../../src/describe/containers.ts';
import { formatEntries } from '../../src/describe/layout.ts';

test('volumes are told with what they are made of', () => {
  const items = [{ key: 'a', path: 'b' }];
  const volumes = [{ name: 'v', configMap: { name: 'settings', defaultMode: 420, items } }];
  const lines = formatEntries(containerEntries({ containers: [], volumes }, null));
  const from = lines.indexOf('Volumes:');
  expect(lines.slice(from, from + 6)).toEqual([
    'Volumes:',
    '  v:',
    '    Type:         configMap',
    '    name:         settings',
    '    defaultMode:  420',
    '    items:        [{"key":"a","path":"b"}]',
  ]);
});

test('where variables come from is told, never what they are', () => {
  const container = {
    name: 'main',
    envFrom: [
      { configMapRef: { name: 'settings' } },
      { prefix: 'S_', secretRef: { name: 'login', optional: true } },
    ],
    env: [
      { name: 'A', value: '1' },
      { name: 'B', valueFrom: { configMapKeyRef: { name: 'settings', key: 'b' } } },
      { name: 'C', valueFrom: { secretKeyRef: { name: 'login', key: 'c', optional: true } } },
      { name: 'D', valueFrom: { resourceFieldRef: { resource: 'limits.cpu' } } },
    ],
  };
  const lines = formatEntries(containerEntries({ containers: [container] }, null));
  const from = lines.indexOf('    Environment Variables from:');
  expect(lines.slice(from, from + 8)).toEqual([
    '    Environment Variables from:',
    '      settings  ConfigMap  Optional: false',
    "      login  Secret with prefix 'S_'  Optional: true",
    '    Environment:',
    '      A:  1',
    "      B:  <set to the key 'b' of config map 'settings'>  Optional: false",
    "      C:  <set to the key 'c' in secret 'login'>  Optional: true",
    '      D:  (limits.cpu)',
  ]);
});
