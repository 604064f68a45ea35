import { readFileSync } from 'node:fs';

/**
 * Whether a process runs. One that ended and was not yet reaped by its parent does not: in a
 * container nobody may ever reap an orphan.
 */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
  } catch {
    return false;
  }
  return !isZombie(pid);
}

function isZombie(pid: number): boolean {
  try {
    // "PID (name) STATE ..."; the name may contain anything, parentheses included.
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return stat.slice(stat.lastIndexOf(')') + 2).startsWith('Z');
  } catch {
    // No /proc on this system, or the process ended meanwhile; the next look will tell.
    return false;
  }
}
