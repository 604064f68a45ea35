// Runs a program of this checkout in the place of the current process, as far as Node can.
import { spawn, spawnSync } from 'node:child_process';
import { constants } from 'node:os';

/** Signals that a terminal, a service manager or CI may send. */
const FORWARDED = /** @type {const} */ (['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGQUIT']);

/**
 * Runs a program with the terminal and the signals of this process; answers its exit code, 128 + N
 * when signal N ended it.
 *
 * @param {string} command
 * @param {string[]} args
 * @param {import('node:child_process').SpawnOptions} options
 * @returns {Promise<number>}
 */
export function runInPlace(command, args, options) {
  return new Promise((resolve, reject) => {
    const [first = command, ...rest] = [...dieWithParent(), command, ...args];
    const child = spawn(first, rest, { ...options, stdio: 'inherit' });
    for (const signal of FORWARDED) {
      // A terminal signals its whole foreground group, so there the child has Ctrl-C already.
      process.on(signal, () => {
        if (signal !== 'SIGINT' || !process.stdin.isTTY) child.kill(signal);
      });
    }
    child.on('error', reject);
    child.on('exit', (code, signal) => {
      resolve(code ?? 128 + (signal === null ? 0 : constants.signals[signal]));
    });
  });
}

/** What to put before a command so that kill -9 of this process ends it too, where that exists. */
function dieWithParent() {
  if (process.platform !== 'linux') return [];
  const { stdout } = spawnSync('setpriv', ['--help'], { encoding: 'utf8' });
  return stdout?.includes('--pdeathsig') ? ['setpriv', '--pdeathsig', 'KILL'] : [];
}
