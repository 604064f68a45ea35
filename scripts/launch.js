// Runs a script or a command of this checkout with the right Node, after set-up if that is due:
//   node scripts/launch.js scripts/demo.ts [args]   a TypeScript or JavaScript file
//   node scripts/launch.js vitest [args]            a command of node_modules/.bin
import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { runInPlace } from './lib/run.js';
import { SetupError, setUp } from './lib/setup.js';
import { findNode, ROOT, toolEnvironment } from './lib/toolchain.js';

const [target, ...args] = process.argv.slice(2);
if (target === undefined) fail('usage: node scripts/launch.js SCRIPT|COMMAND [args]');

try {
  await setUp();
} catch (error) {
  if (!(error instanceof SetupError)) throw error;
  fail(`set-up: ${error.message}`);
}

const node = findNode();
if (node === null) fail('set-up brought no Node');
const env = toolEnvironment(node);

if (/\.[jt]s$/.test(target)) {
  const script = resolve(ROOT, target);
  if (!existsSync(script)) fail(`there is no ${target}`);
  // Node 22 warns that type stripping is experimental; it is what this project relies on.
  const flags = ['--disable-warning=ExperimentalWarning'];
  process.exitCode = await runInPlace(node, [...flags, script, ...args], { env });
} else {
  const command = join(ROOT, 'node_modules', '.bin', target);
  if (!existsSync(command)) fail(`there is no command ${target} in node_modules/.bin`);
  process.exitCode = await runInPlace(command, args, { env, cwd: ROOT });
}

/**
 * @param {string} message
 * @returns {never}
 */
function fail(message) {
  process.stderr.write(`${message}\n`);
  process.exit(1);
}
