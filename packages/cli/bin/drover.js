#!/usr/bin/env node
// Starts drover. Plain JavaScript, so that a Node too old for the rest can say so, or hand over to
// the Node that set-up brought to this checkout.

// Node strips types nowhere below node_modules: an installed package brings JavaScript.
const isCheckout = !import.meta.url.includes('/node_modules/');
// Compiled code and stripped types are kept between starts: a command begins in half the time.
const { enableCompileCache } = await import('node:module');
enableCompileCache?.();

const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);

if (major > 22 || (major === 22 && minor >= 18)) {
  if (isCheckout) dropTypeStrippingWarning();
  await import(new URL(isCheckout ? '../src/main.ts' : '../dist/main.js', import.meta.url).href);
} else {
  process.exitCode = await handOver();
}

/** Some versions of Node call type stripping experimental; nobody who uses drover can act on it. */
function dropTypeStrippingWarning() {
  const emitWarning = process.emitWarning.bind(process);
  process.emitWarning = /** @type {typeof emitWarning} */ (
    (/** @type {any[]} */ ...args) => {
      if (!String(args[0]).startsWith('Type Stripping'))
        Reflect.apply(emitWarning, undefined, args);
    }
  );
}

/** Runs drover with the Node of set-up; answers the exit code. */
async function handOver() {
  if (isCheckout) {
    const tools = new URL('../../../scripts/lib/', import.meta.url);
    const { findNode } = await import(new URL('toolchain.js', tools).href);
    const { runInPlace } = await import(new URL('run.js', tools).href);
    const node = findNode();
    if (node !== null) return runInPlace(node, process.argv.slice(1), {});
  }
  const advice = isCheckout ? 'run `npm run setup`, or install one' : 'install one';
  process.stderr.write(
    `drover needs Node 22.18 or newer and this is ${process.versions.node}: ${advice}\n`,
  );
  return 1;
}
