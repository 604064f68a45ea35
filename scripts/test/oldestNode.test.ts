import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { ROOT } from '../lib/toolchain.js';

test('no source needs more than the oldest Node can parse', async () => {
  const found: string[] = [];
  const packages = await readdir(join(ROOT, 'packages'));
  // Node runs these as they are; only their types are taken away.
  const folders = [
    ...packages.map((name) => `packages/${name}/src`),
    'scripts',
    'examples',
    'bench',
  ];
  for (const folder of folders) {
    for (const file of await readdir(join(ROOT, folder), { recursive: true })) {
      if (!file.endsWith('.ts') || file.startsWith('test/')) continue;
      const text = await readFile(join(ROOT, folder, file), 'utf8');
      // Node 22 has no explicit resource management. The packages are compiled; a checkout is not.
      if (/^\s*(await )?using \w+ =/m.test(text)) found.push(join(folder, file));
    }
  }
  expect(found).toEqual([]);
});
