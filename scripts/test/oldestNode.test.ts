import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { ROOT } from '../lib/toolchain.js';

/** Node runs these as they are; only their types are taken away. */
const RUN_AS_THEY_ARE = ['packages', 'scripts', 'examples', 'bench'];

test('no source needs more than the oldest Node can parse', async () => {
  const found: string[] = [];
  for (const folder of RUN_AS_THEY_ARE) {
    const files = await readdir(join(ROOT, folder), { recursive: true });
    for (const file of files) {
      if (!file.endsWith('.ts') || /(^|\/)(node_modules|dist|test)\//.test(file)) continue;
      const text = await readFile(join(ROOT, folder, file), 'utf8');
      // Node 22 has no explicit resource management. The packages are compiled; a checkout is not.
      if (/^\s*(await )?using \w+ =/m.test(text)) found.push(join(folder, file));
    }
  }
  expect(found).toEqual([]);
});
