/** Holds docs/job-lifecycle.md against the scripts: each that changes something makes a transition. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

import { expect, test } from 'vitest';

const ROOT = join(import.meta.dirname, '../..');

test('docs/job-lifecycle.md names every script', () => {
  const text = readFileSync(join(ROOT, 'docs/job-lifecycle.md'), 'utf8');
  const scripts = readdirSync(join(ROOT, 'packages/store/lua'))
    .filter((file) => file.endsWith('.lua'))
    .map((file) => file.slice(0, -'.lua'.length));
  expect(scripts.length).toBeGreaterThan(20);
  expect(scripts.filter((script) => !new RegExp(`\\b${script}\\b`).test(text))).toEqual([]);
});
