// `prepack` of packages/worker: the native process helper as static binaries, one per kind of
// Linux, for machines without a C compiler. A kind for which there is no compiler here is left
// out: there the worker compiles it itself, or uses the helper in JavaScript.
import { spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, rmSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { ROOT } from './lib/toolchain.js';

const PACKAGE = join(ROOT, 'packages', 'worker');
/** For each platform and architecture of Node the compilers that may build for it, the smaller result first. */
const COMPILERS = {
  'linux-x64': ['x86_64-linux-musl-gcc', 'x86_64-linux-gnu-gcc'],
  'linux-arm64': ['aarch64-linux-musl-gcc', 'aarch64-linux-gnu-gcc'],
};
/** Compilers for the machine itself, under names that do not say which it is. */
const OWN_COMPILERS = ['musl-gcc', 'cc', 'gcc'];

const sources = readdirSync(join(PACKAGE, 'native'))
  .filter((name) => name.endsWith('.c'))
  .map((name) => join(PACKAGE, 'native', name));
rmSync(join(PACKAGE, 'prebuilt'), { recursive: true, force: true });
for (const [kind, named] of Object.entries(COMPILERS)) {
  const own = kind === `${process.platform}-${process.arch}` ? OWN_COMPILERS : [];
  const output = join(PACKAGE, 'prebuilt', kind, 'process-helper');
  mkdirSync(dirname(output), { recursive: true });
  const compiler = [...own, ...named].find((candidate) => compile(candidate, output));
  if (compiler === undefined) {
    rmSync(dirname(output), { recursive: true });
    console.error(`process helper for ${kind}: no compiler that links statically, left out`);
  } else {
    const size = Math.round(statSync(output).size / 1024);
    console.error(`process helper for ${kind}: ${size} KiB, by ${compiler}`);
  }
}

/**
 * @param {string} compiler
 * @param {string} output
 */
function compile(compiler, output) {
  const flags = ['-std=c11', '-O2', '-Wall', '-Wextra', '-static', '-s'];
  return spawnSync(compiler, [...flags, '-o', output, ...sources]).status === 0;
}
