// What scripts and tests need of a Docker engine, by its command.
import { spawn } from 'node:child_process';

/** How a command ended. */
export interface Ended {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Options of {@link run}. */
export interface RunOptions {
  /** Standard input; closed at once without it. */
  readonly input?: string;
  readonly cwd?: string;
  /** In place of this process' own. */
  readonly env?: NodeJS.ProcessEnv;
  /** Killed after this. Milliseconds, default ten minutes. */
  readonly timeoutMs?: number;
}

/** Runs a command to its end; never rejects: one that is not there ends with 127. */
export function run(
  command: string,
  args: readonly string[],
  options: RunOptions = {},
): Promise<Ended> {
  const { input = '', cwd, env = process.env, timeoutMs = 600_000 } = options;
  return new Promise((resolve) => {
    const child = spawn(command, args, {
      env,
      timeout: timeoutMs,
      killSignal: 'SIGKILL',
      stdio: ['pipe', 'pipe', 'pipe'],
      ...(cwd === undefined ? {} : { cwd }),
    });
    let stdout = '';
    let stderr = '';
    child.stdout.on('data', (chunk) => (stdout += String(chunk)));
    child.stderr.on('data', (chunk) => (stderr += String(chunk)));
    child.on('error', (error) => resolve({ code: 127, stdout, stderr: error.message }));
    child.on('close', (code, signal) => {
      if (signal !== null) stderr += `\n${command} was ended by ${signal}`;
      resolve({ code: code ?? 1, stdout, stderr });
    });
    child.stdin.on('error', () => undefined);
    child.stdin.end(input);
  });
}

/** A command of Docker failed; the message says which, and what it said. */
export class DockerError extends Error {}

/**
 * Runs a `docker` command and answers its output.
 *
 * @throws DockerError
 */
export async function docker(args: readonly string[], options: RunOptions = {}): Promise<string> {
  const { code, stdout, stderr } = await run('docker', args, options);
  if (code === 0) return stdout.trim();
  throw new DockerError(`docker ${args[0]} failed (${code}): ${lastLines(stdout + stderr)}`);
}

/** Why no Docker engine can be used here, in words; null when one can. */
export async function whyNoEngine(env: NodeJS.ProcessEnv = process.env): Promise<string | null> {
  const args = ['version', '--format', '{{.Server.Os}}'];
  const { code, stdout, stderr } = await run('docker', args, { env, timeoutMs: 20_000 });
  if (code === 127) return 'the command docker is not on PATH';
  // Some versions end with 0 when nobody answers.
  if (code !== 0 || stdout.trim() !== 'linux') {
    return `no Docker engine with Linux containers answers (${lastLines(stderr || stdout, 1)})`;
  }
  return null;
}

/** The end of what a command said: the reason is there. */
export function lastLines(text: string, count = 20): string {
  return text.trim().split('\n').slice(-count).join('\n');
}
