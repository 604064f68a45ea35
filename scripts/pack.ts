// `npm run pack [FOLDER]`: makes the tarballs that are published, by default in .drover/packages.
import { rm } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { PackError, packPackages } from './lib/packages.ts';
import { DROVER_DIR } from './lib/toolchain.js';

const given = process.argv[2];
const folder = given === undefined ? join(DROVER_DIR, 'packages') : resolve(given);
// Only the folder of its own is emptied: tarballs of another version must not be published again.
if (given === undefined) await rm(folder, { recursive: true, force: true });
try {
  for (const { tarball, leftOut } of await packPackages(folder)) {
    console.log(tarball);
    for (const path of leftOut) console.error(`  without ${path}: no compiler for it here`);
  }
} catch (error) {
  if (!(error instanceof PackError)) throw error;
  console.error(error.message);
  process.exitCode = 1;
}
