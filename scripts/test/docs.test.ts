import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { makeCliDocs } from '../docs/cli.ts';
import { makeFieldTexts } from '../docs/explain.ts';
import { ROOT } from '../lib/toolchain.js';

const read = (name: string) => readFileSync(join(ROOT, name), 'utf8');

test('docs/cli.md says what the commands are: `npm run docs` writes it', () => {
  const text = read('docs/cli.md');
  expect(makeCliDocs(text)).toBe(text);
});

test('explain has the doc comments of the schemas: `npm run docs` writes them', () => {
  expect(makeFieldTexts(ROOT)).toBe(read('packages/shared/src/explain/fieldTexts.ts'));
});

test('a part of docs/cli.md that nobody makes is told', () => {
  expect(() => makeCliDocs('<!-- made: nothing -->\n<!-- end -->\n')).toThrow(/no part "nothing"/);
  expect(() => makeCliDocs('')).toThrow(/has no part for: engine options, commands, environment/);
});
