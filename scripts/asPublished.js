// Makes the package.json files of packages/ what they are once published: with the exports of
// `publishConfig`, which are the compiled files. For a copy of the checkout that is thrown away,
// as in the Dockerfile: `pnpm deploy` copies packages without this step of `pnpm pack`.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from './lib/toolchain.js';

const packages = join(ROOT, 'packages');
for (const name of readdirSync(packages)) {
  const path = join(packages, name, 'package.json');
  const manifest = JSON.parse(readFileSync(path, 'utf8'));
  const { exports } = manifest.publishConfig ?? {};
  if (exports === undefined) continue;
  writeFileSync(path, `${JSON.stringify({ ...manifest, exports }, null, 2)}\n`);
}
