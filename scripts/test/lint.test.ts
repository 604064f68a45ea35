import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

/** A file that breaks a rule, or breaks none. */
interface Case {
  readonly name: string;
  readonly file: string;
  readonly source: string;
  /** Part of the rule that must report the file; null: none may. */
  readonly rule: string | null;
}

const imports = 'no-restricted-imports';

const cases: Case[] = [
  {
    name: 'shared may import zod',
    file: 'packages/shared/src/a.ts',
    source: "export { a } from 'zod';",
    rule: null,
  },
  {
    name: 'shared may not import a Node module',
    file: 'packages/shared/src/b.ts',
    source: "export { a } from 'node:fs';",
    rule: imports,
  },
  {
    name: 'shared may not import ioredis',
    file: 'packages/shared/src/c.ts',
    source: "export { a } from 'ioredis';",
    rule: imports,
  },
  {
    name: 'shared may not import store, not even for a type',
    file: 'packages/shared/src/d.ts',
    source: "import type { A } from '@drover/store';\nexport type B = A;",
    rule: imports,
  },
  {
    name: 'shared may not re-export another package',
    file: 'packages/shared/src/e.ts',
    source: "export { a } from '@drover/sdk';",
    rule: imports,
  },
  {
    name: 'shared may not import dynamically',
    file: 'packages/shared/src/f.ts',
    source: "export const a = await import('bullmq');",
    rule: imports,
  },
  {
    name: 'shared may not reach into another package by path',
    file: 'packages/shared/src/g.ts',
    source: "export { a } from '../../store/src/keys.ts';",
    rule: imports,
  },
  {
    name: 'shared may not read the clock',
    file: 'packages/shared/src/h.ts',
    source: 'export const a = Date.now();',
    rule: 'no-restricted-properties',
  },
  {
    name: 'store may import shared, ioredis and Node modules',
    file: 'packages/store/src/a.ts',
    source:
      "export { a5 } from '@drover/shared';\nexport { a6 } from 'ioredis';\nexport { a7 } from 'node:fs/promises';",
    rule: null,
  },
  {
    name: 'store may not import bullmq',
    file: 'packages/store/src/b.ts',
    source: "export { a } from 'bullmq';",
    rule: imports,
  },
  {
    name: 'store may not import sdk',
    file: 'packages/store/src/c.ts',
    source: "export { a } from '@drover/sdk';",
    rule: imports,
  },
  {
    name: 'store may not reach into shared by path',
    file: 'packages/store/src/deep/d.ts',
    source: "export { a } from '../../../shared/src/names.ts';",
    rule: imports,
  },
  {
    name: 'controller may import store, bullmq and pino',
    file: 'packages/controller/src/a.ts',
    source:
      "export { a11 } from '@drover/store';\nexport { a12 } from 'bullmq';\nexport { a13 } from 'pino';",
    rule: null,
  },
  {
    name: 'controller may not import worker',
    file: 'packages/controller/src/b.ts',
    source: "export { a } from '@drover/worker';",
    rule: imports,
  },
  {
    name: 'worker may not import controller',
    file: 'packages/worker/src/a.ts',
    source: "export { a } from '@drover/controller';",
    rule: imports,
  },
  {
    name: 'worker may not import sdk',
    file: 'packages/worker/src/b.ts',
    source: "export { a } from '@drover/sdk';",
    rule: imports,
  },
  {
    name: 'server may import shared, store, the inside of sdk and its HTTP framework',
    file: 'packages/server/src/a.ts',
    source:
      "export { a1 } from '@drover/shared';\nexport { a2 } from '@drover/store';\nexport { a3 } from '@drover/sdk/internals';\nexport { a4 } from 'fastify';",
    rule: null,
  },
  {
    name: 'server may not import ioredis or bullmq',
    file: 'packages/server/src/b.ts',
    source: "export { a } from 'bullmq';",
    rule: imports,
  },
  {
    name: 'server may not import worker',
    file: 'packages/server/src/c.ts',
    source: "export { a } from '@drover/worker';",
    rule: imports,
  },
  {
    name: 'sdk may import controller and worker',
    file: 'packages/sdk/src/a.ts',
    source: "export { a } from '@drover/controller';\nexport { b } from '@drover/worker';",
    rule: null,
  },
  {
    name: 'sdk may not import cli',
    file: 'packages/sdk/src/b.ts',
    source: "export { a } from '@drover/cli';",
    rule: imports,
  },
  {
    name: 'cli may not import testkit',
    file: 'packages/cli/src/a.ts',
    source: "export { a } from '@drover/testkit';",
    rule: imports,
  },
  {
    name: 'cli may not reach into a package by path',
    file: 'packages/cli/src/b.ts',
    source: "export { a } from '../../store/src/keys.ts';",
    rule: imports,
  },
  {
    name: 'decide may import shared and itself',
    file: 'packages/controller/src/decide/a.ts',
    source: "export { a } from '@drover/shared';\nexport { b } from './b.ts';",
    rule: null,
  },
  {
    name: 'decide may not import store',
    file: 'packages/controller/src/decide/c.ts',
    source: "export { a } from '@drover/store';",
    rule: imports,
  },
  {
    name: 'decide may not import the rest of controller',
    file: 'packages/controller/src/decide/d.ts',
    source: "export { a } from '../observe.ts';",
    rule: imports,
  },
  {
    name: 'decide may not import a Node module',
    file: 'packages/controller/src/decide/e.ts',
    source: "export { a } from 'node:timers/promises';",
    rule: imports,
  },
  {
    name: 'decide may not read the clock with Date.now',
    file: 'packages/controller/src/decide/f.ts',
    source: 'export const a = Date.now();',
    rule: 'no-restricted-globals',
  },
  {
    name: 'decide may not read the clock with new Date',
    file: 'packages/controller/src/decide/g.ts',
    source: 'export const a = new Date();',
    rule: 'no-restricted-globals',
  },
  {
    name: 'decide may not read the clock with performance',
    file: 'packages/controller/src/decide/h.ts',
    source: 'export const a = performance.now();',
    rule: 'no-restricted-globals',
  },
  {
    name: 'decide may not use randomness',
    file: 'packages/controller/src/decide/i.ts',
    source: 'export const a = Math.random();',
    rule: 'no-restricted-properties',
  },
  {
    name: 'decide may not wait',
    file: 'packages/controller/src/decide/j.ts',
    source: 'export const a = () => setTimeout(() => {}, 1);',
    rule: 'no-restricted-globals',
  },
  {
    name: 'decide may not read the environment',
    file: 'packages/controller/src/decide/k.ts',
    source: "export const a = process.env['A'];",
    rule: 'no-restricted-globals',
  },
  {
    name: 'a package may not have a default export',
    file: 'packages/cli/src/c.ts',
    source: 'export default 1;',
    rule: 'no-default-export',
  },
  {
    name: 'files may not import each other in a cycle',
    file: 'packages/cli/src/d.ts',
    source: "import { e } from './e.ts';\nexport const d = () => e();",
    rule: 'no-cycle',
  },
  {
    name: 'files may not import each other in a cycle, the other end',
    file: 'packages/cli/src/e.ts',
    source: "import { d } from './d.ts';\nexport const e = (): unknown => d();",
    rule: 'no-cycle',
  },
  {
    name: 'a promise may not be left floating',
    file: 'packages/cli/src/f.ts',
    source: 'const f = async () => 1;\nf();\nexport { f };',
    rule: 'no-floating-promises',
  },
  {
    name: 'a switch over a union names all its members',
    file: 'packages/cli/src/g.ts',
    source:
      "export function g(a: 'x' | 'y'): number {\n  switch (a) {\n    case 'x':\n      return 1;\n  }\n  return 2;\n}",
    rule: 'switch-exhaustiveness-check',
  },
];

let folder: string;
let reported: Map<string, string[]>;

beforeAll(() => {
  // Outside the checkout, with its configuration: a file that breaks the rules has no place in it.
  folder = mkdtempSync(join(tmpdir(), 'drover-lint-'));
  cpSync(join(ROOT, '.oxlintrc.json'), join(folder, '.oxlintrc.json'));
  const compilerOptions = { target: 'ES2024', module: 'NodeNext', strict: true, types: [] };
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions }));
  for (const { file, source } of cases) {
    mkdirSync(dirname(join(folder, file)), { recursive: true });
    writeFileSync(join(folder, file), `${source}\n`);
  }
  reported = lint(folder);
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Lints a folder; answers the rules that report each file. */
function lint(cwd: string): Map<string, string[]> {
  const command = join(ROOT, 'node_modules/.bin/oxlint');
  const { stdout, stderr } = spawnSync(command, ['--type-aware', '-f', 'json'], {
    cwd,
    encoding: 'utf8',
    timeout: 60_000,
    // The type-aware part is looked for below the folder otherwise.
    env: { ...process.env, OXLINT_TSGOLINT_PATH: join(ROOT, 'node_modules/.bin/tsgolint') },
  });
  if (!stdout.startsWith('{')) throw new Error(`oxlint did not run: ${stdout}${stderr}`);
  const { diagnostics } = JSON.parse(stdout) as {
    diagnostics: { filename: string; code: string; severity: string }[];
  };
  const rules = new Map<string, string[]>();
  for (const { filename, code, severity } of diagnostics) {
    if (severity !== 'error') continue;
    rules.set(filename, [...(rules.get(filename) ?? []), code]);
  }
  return rules;
}

describe('lint', () => {
  test.each(cases)('$name', ({ file, rule }) => {
    const rules = reported.get(file) ?? [];
    expect(rules.join(' ')).toMatch(rule === null ? /^$/ : new RegExp(`\\(${rule}\\)`));
  });
});
