/**
 * `npm run docs`: writes the files that are made from the code: what `drover explain` says of
 * fields, and docs/cli.md. With `--check` it writes nothing and fails when one is out of date.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { makeFieldTexts } from './docs/explain.ts';
import { ROOT } from './lib/toolchain.js';

const files: Readonly<Record<string, () => string>> = {
  'packages/cli/src/explain/fieldTexts.ts': () => makeFieldTexts(ROOT),
};

const isCheck = process.argv.includes('--check');
for (const [name, make] of Object.entries(files)) {
  const path = join(ROOT, name);
  const text = make();
  if (read(path) === text) continue;
  if (isCheck) {
    process.stderr.write(`${name} is out of date: npm run docs\n`);
    process.exitCode = 1;
  } else {
    writeFileSync(path, text);
    process.stdout.write(`wrote ${name}\n`);
  }
}

function read(path: string): string | null {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return null;
  }
}
