#!/usr/bin/env node
// Starts drover. Plain JavaScript without top-level await, so that a Node too old for the rest can
// say so, or hand over to the Node that set-up brought to this checkout.
import { existsSync } from 'node:fs';
import { nodeProblem, platformProblem } from './host.js';

// A checkout runs TypeScript as it is. An installed package brings JavaScript, wherever it lies:
// Node strips no types below node_modules.
const isCheckout = existsSync(new URL('../../../scripts/launch.js', import.meta.url));
const wrongPlatform = platformProblem(process.platform);
const wrongNode = nodeProblem(process.versions.node);

if (wrongPlatform !== null) refuse(wrongPlatform);
else if (wrongNode === null) void start();
else if (isCheckout) void handOver(wrongNode);
else refuse(wrongNode);

async function start() {
  // Compiled code and stripped types are kept between starts: a command begins in half the time.
  const { enableCompileCache } = await import('node:module');
  enableCompileCache();
  if (isCheckout) dropTypeStrippingWarning();
  await import(new URL(isCheckout ? '../src/main.ts' : '../dist/main.js', import.meta.url).href);
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

/**
 * Runs drover with the Node of set-up.
 *
 * @param {string} problem - With this one.
 */
async function handOver(problem) {
  const tools = new URL('../../../scripts/lib/', import.meta.url);
  const { findNode } = await import(new URL('toolchain.js', tools).href);
  const { runInPlace } = await import(new URL('run.js', tools).href);
  const node = findNode();
  if (node === null) refuse(`${problem}, or run \`npm run setup\``);
  else process.exitCode = await runInPlace(node, process.argv.slice(1), {});
}

/** @param {string} problem */
function refuse(problem) {
  process.stderr.write(`${problem}\n`);
  process.exitCode = 1;
}
