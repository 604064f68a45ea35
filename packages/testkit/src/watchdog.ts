import { type ChildProcess, spawn } from 'node:child_process';

/**
 * Reads lines until its input closes, which it does when the test process is gone for whatever
 * reason, kill -9 included. Then it kills what is left of the processes (`+ PID`, `- PID` when one
 * ended) and removes the folders (`/ PATH`, kept as "$@").
 */
const SCRIPT = `
pids=
while read -r op what; do
  case $op in
    +) pids="$pids $what" ;;
    -)
      left=
      for pid in $pids; do [ "$pid" = "$what" ] || left="$left $pid"; done
      pids=$left
      ;;
    /) set -- "$@" "$what" ;;
  esac
done
for pid in $pids; do kill -9 "$pid" 2>/dev/null; done
for folder in "$@"; do rm -rf -- "$folder"; done
`;

let watchdog: ChildProcess | null = null;

function tell(line: string): void {
  if (watchdog === null) {
    // A group of its own: Ctrl-C at the terminal must not end it before the test process.
    watchdog = spawn('/bin/sh', ['-c', SCRIPT], {
      detached: true,
      stdio: ['pipe', 'ignore', 'ignore'],
    });
    watchdog.unref();
    const input = watchdog.stdin as (NodeJS.WritableStream & { unref?: () => void }) | null;
    input?.unref?.();
  }
  watchdog.stdin?.write(`${line}\n`);
}

/** Makes a child process end with this one, however this one ends. */
export function guardProcess(child: ChildProcess): void {
  const { pid } = child;
  if (pid === undefined) return;
  tell(`+ ${pid}`);
  child.once('exit', () => tell(`- ${pid}`));
}

/** Makes a temporary folder go when this process ends, however it ends. */
export function guardFolder(path: string): void {
  tell(`/ ${path}`);
}
