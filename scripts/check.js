// `npm run check`: everything that CI looks at. Each check runs even when one before it failed.
// The last line alone says `N passed, N failed, N skipped`: tests, and among the failed ones the
// checks that failed too. Runs by scripts/launch.js, so set-up is done and PATH is right.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { ROOT } from './lib/toolchain.js';

/** Far above what the tests take: a run that hangs fails instead of being cut off by CI. */
const TEST_TIMEOUT_MS = 60 * 60 * 1000;

/** So many files of failed tests are run once more; with more of them something is broken. */
const MAX_FILES_AGAIN = 5;

const checks = /** @type {const} */ ([
  ['format', 'oxfmt', '--check'],
  ['lint', 'oxlint', '--type-aware', '--deny-warnings'],
  ['Lua', 'node', 'scripts/lintLua.ts'],
  ['types', 'tsc', '-b'],
  ['dead code', 'knip'],
  ['dependencies', 'node', 'scripts/audit.ts', '--advisories'],
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

/**
 * Runs the tests, and once more, by themselves, the files of those that failed: on a busy machine a test may wait
 * in vain for what is on its way. What passes only then is told, and worth a look.
 * A runner that broke down counts as one failure at least.
 */
function runTests() {
  const all = runVitest([]);
  const again = all.files.filter((file) => file.status === 'failed').map((file) => file.name);
  if (again.length > 0 && again.length <= MAX_FILES_AGAIN) {
    console.log(`== once more: ${again.map((file) => relative(ROOT, file)).join(', ')}`);
    const second = runVitest(again);
    tellMended(all.files, second.files);
    all.files = all.files.filter((file) => !again.includes(file.name)).concat(second.files);
    all.isBroken = second.isBroken;
  }
  tellSkipped(all.files);
  const counts = { passed: 0, failed: 0, skipped: 0 };
  for (const { status, assertionResults } of all.files) {
    // A file that can not be loaded fails and has no tests.
    if (status === 'failed' && assertionResults.length === 0) counts.failed += 1;
    for (const test of assertionResults) {
      if (test.status === 'passed' || test.status === 'failed') counts[test.status] += 1;
      else counts.skipped += 1;
    }
  }
  if (all.isBroken && counts.failed === 0) counts.failed = 1;
  return counts;
}

/**
 * @typedef {{ status: string, ancestorTitles: string[], title: string, fullName: string }} TestResult
 * @typedef {{ name: string, status: string, assertionResults: TestResult[] }} FileResult
 */

/**
 * @param {readonly string[]} only - The files to run; none: all.
 * @returns {{ files: FileResult[], isBroken: boolean }} What each file came to, and whether the runner says that all is not well.
 */
function runVitest(only) {
  const folder = mkdtempSync(join(tmpdir(), 'drover-check-'));
  const report = join(folder, 'report.json');
  const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${report}`];
  const alone = only.length > 0 ? ['--maxWorkers=1', ...only] : [];
  const { status } = spawnSync('npm', ['test', '--', ...reporters, ...alone], {
    cwd: ROOT,
    stdio: 'inherit',
    timeout: TEST_TIMEOUT_MS,
    killSignal: 'SIGKILL',
  });
  try {
    const files = JSON.parse(readFileSync(report, 'utf8')).testResults;
    return { files, isBroken: status !== 0 };
  } catch (error) {
    console.log(`the test runner left no report: ${String(error)}`);
    return { files: [], isBroken: true };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/**
 * Names the tests that failed at first and passed then.
 *
 * @param {readonly FileResult[]} first
 * @param {readonly FileResult[]} second
 */
function tellMended(first, second) {
  for (const file of second) {
    const before = first.find(({ name }) => name === file.name)?.assertionResults ?? [];
    for (const { fullName, status } of file.assertionResults) {
      const hadFailed = before.some(
        (test) => test.fullName === fullName && test.status === 'failed',
      );
      if (hadFailed && status === 'passed') {
        console.log(`== passed only alone: ${relative(ROOT, file.name)} > ${fullName}`);
      }
    }
  }
}

/**
 * Says which tests were skipped; what they are grouped under says why.
 *
 * @param {readonly FileResult[]} files
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
