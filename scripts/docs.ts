/**
 * `npm run docs`: writes the files that are made from the code: what `drover explain` says of
 * fields, and docs/cli.md. With `--check` it writes nothing and fails when one is out of date.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { makeCliDocs } from './docs/cli.ts';
import { makeFieldTexts } from './docs/explain.ts';
import { ROOT } from './lib/toolchain.js';

/** Each file's text, from what it is now. */
const files: Readonly<Record<string, (current: string) => string>> = {
  'packages/shared/src/explain/fieldTexts.ts': () => makeFieldTexts(ROOT),
  'docs/cli.md': makeCliDocs,
};

const isCheck = process.argv.includes('--check');
for (const [name, make] of Object.entries(files)) {
  const path = join(ROOT, name);
  const current = read(path);
  const text = make(current);
  if (current === text) continue;
  if (isCheck) {
    process.stderr.write(`${name} is out of date: npm run docs\n`);
    process.exitCode = 1;
  } else {
    writeFileSync(path, text);
    process.stdout.write(`wrote ${name}\n`);
  }
}

/** A file's text; empty when there is none. */
function read(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
