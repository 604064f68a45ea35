// `npm run check`: everything that CI looks at. Each check runs even when one before it failed.
// The last line alone says `N passed, N failed, N skipped`: tests, and among the failed ones the
// checks that failed too. Runs by scripts/launch.js, so set-up is done and PATH is right.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ROOT } from './lib/toolchain.js';

/** Far above what the tests take: a run that hangs fails instead of being cut off by CI. */
const TEST_TIMEOUT_MS = 60 * 60 * 1000;

const checks = /** @type {const} */ ([
  ['format', 'oxfmt', '--check'],
  ['lint', 'oxlint', '--type-aware', '--deny-warnings'],
  ['Lua', 'node', 'scripts/lintLua.ts'],
  ['types', 'tsc', '-b'],
  ['dead code', 'knip'],
]);

/** @type {string[]} */
const failed = [];
for (const [name, command, ...args] of checks) {
  const startedAtMs = Date.now();
  const { status } = spawnSync(command, args, { cwd: ROOT, stdio: 'inherit' });
  if (status !== 0) failed.push(name);
  const seconds = ((Date.now() - startedAtMs) / 1000).toFixed(1);
  console.log(`== ${name}: ${status === 0 ? 'ok' : 'FAILED'} (${seconds} s)`);
}

const tests = runTests();
console.log(failed.length === 0 ? '== all checks passed' : `== FAILED: ${failed.join(', ')}`);
const failedCount = tests.failed + failed.length;
console.log(`${tests.passed} passed, ${failedCount} failed, ${tests.skipped} skipped`);
process.exitCode = failedCount === 0 ? 0 : 1;

/** Runs the tests; a runner that broke down counts as one failure at least. */
function runTests() {
  const folder = mkdtempSync(join(tmpdir(), 'drover-check-'));
  const report = join(folder, 'report.json');
  const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${report}`];
  const { status } = spawnSync('npm', ['test', '--', ...reporters], {
    cwd: ROOT,
    stdio: 'inherit',
    timeout: TEST_TIMEOUT_MS,
    killSignal: 'SIGKILL',
  });
  const counts = readReport(report);
  rmSync(folder, { recursive: true, force: true });
  if (status !== 0 && counts.failed === 0) counts.failed = 1;
  return counts;
}

/** @param {string} path - Of the report that vitest's JSON reporter wrote. */
function readReport(path) {
  try {
    const report = JSON.parse(readFileSync(path, 'utf8'));
    // A file that can not be loaded fails and has no tests.
    const broken = report.testResults.filter(
      (/** @type {any} */ file) => file.status === 'failed' && file.assertionResults.length === 0,
    );
    tellSkipped(report.testResults);
    return {
      passed: report.numPassedTests,
      failed: report.numFailedTests + broken.length,
      skipped: report.numPendingTests + report.numTodoTests,
    };
  } catch (error) {
    console.log(`the test runner left no report: ${String(error)}`);
    return { passed: 0, failed: 1, skipped: 0 };
  }
}

/**
 * Says which tests were skipped; what they are grouped under says why.
 *
 * @param {any[]} files - As in the report.
 */
function tellSkipped(files) {
  /** @type {Map<string, number>} */
  const counts = new Map();
  for (const { assertionResults } of files) {
    for (const { status, ancestorTitles, title } of assertionResults) {
      if (status === 'passed' || status === 'failed') continue;
      const group = ancestorTitles[0] ?? title;
      counts.set(group, (counts.get(group) ?? 0) + 1);
    }
  }
  for (const [group, count] of counts) console.log(`== skipped ${count}: ${group}`);
}
