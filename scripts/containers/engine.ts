// A Docker engine of our own, for machines without one.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, existsSync, openSync, readFileSync } from 'node:fs';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { bringPackages } from '../lib/setup.js';
import { DROVER_DIR, findOnPath } from '../lib/toolchain.js';
import { DockerError, lastLines, run, whyNoEngine } from './docker.ts';

/** Commands, and the packages of Debian and Ubuntu that have them. */
const PACKAGES = {
  dockerd: 'docker.io',
  'docker-compose': 'docker-compose',
  mmdebstrap: 'mmdebstrap',
  // A package of its own where docker.io comes without it.
  docker: 'docker-cli',
} as const;

const START_TIMEOUT_MS = 60_000;
const STOP_TIMEOUT_MS = 20_000;

/** An engine that was started here. */
export interface Engine {
  /** What leads to it, for the environment. */
  readonly DOCKER_HOST: string;
  /** Ends it with everything that runs in it; its images stay for the next time. */
  stop(): Promise<void>;
}

/** Why no engine can be started here, in words; null when it can. */
export function whyNotStarted(): string | null {
  if (process.platform !== 'linux') return 'starting one takes Linux';
  return process.getuid?.() === 0 ? null : 'starting one takes root';
}

/**
 * Installs what is missing of these commands, as root where apt-get is.
 *
 * @throws SetupError when that fails.
 */
export async function bringCommands(
  ...commands: readonly (keyof typeof PACKAGES)[]
): Promise<void> {
  const missing = commands.filter((command) => findOnPath(command) === null);
  const canInstall = process.getuid?.() === 0 && findOnPath('apt-get') !== null;
  if (missing.length === 0 || !canInstall) return;
  await bringPackages(...missing.map((command) => PACKAGES[command]));
  // The engine is started by who needs it, not with the machine.
  if (missing.includes('dockerd') && existsSync('/run/systemd/system')) {
    await run('systemctl', ['disable', 'docker.service', 'docker.socket', 'containerd.service']);
  }
}

/**
 * Starts an engine that shares nothing with another one on this machine, and leaves the firewall
 * alone: containers reach each other, and the outside only by the network of the host.
 *
 * @throws DockerError when it does not come up.
 */
export async function startEngine(): Promise<Engine> {
  if (findOnPath('dockerd') === null) throw new DockerError('dockerd is not on PATH');
  const data = join(DROVER_DIR, 'engine');
  await mkdir(data, { recursive: true });
  // Short, since the path of a unix socket has 107 bytes at most.
  const folder = await mkdtemp(join(tmpdir(), 'drover-engine-'));
  const host = `unix://${join(folder, 'docker.sock')}`;
  const log = join(folder, 'dockerd.log');
  const hadBridge = existsSync('/sys/class/net/docker0');
  const child = launch(
    [
      `--host=${host}`,
      `--data-root=${data}`,
      `--exec-root=${join(folder, 'exec')}`,
      // Beside the data, which one engine at a time may have: a second one ends with a word on it.
      `--pidfile=${join(data, 'docker.pid')}`,
      '--log-level=warn',
      '--iptables=false',
      '--ip6tables=false',
      '--ip-forward=false',
    ],
    log,
  );
  const stop = async (): Promise<void> => {
    await end(child);
    // Both are left behind by every dockerd.
    if (!hadBridge) await run('ip', ['link', 'delete', 'docker0']);
    await run('umount', [join(folder, 'exec', 'netns', 'default')]);
    // Nothing is said of what can not be removed: the last line of .ci/run is that of the checks.
    await rm(folder, { recursive: true, force: true }).catch(() => undefined);
  };
  try {
    await untilReady(child, host);
  } catch (error) {
    const said = readFileSync(log, 'utf8');
    await stop();
    const why = error instanceof Error ? error.message : String(error);
    throw new DockerError(`${why}: ${lastLines(said, 2)}`, { cause: error });
  }
  // Stages of old builds, which would pile up; those of today make the next build quick.
  for (const what of ['image', 'builder']) {
    const prune = [what, 'prune', '--force', '--filter', 'until=24h'];
    await run('docker', prune, { env: { ...process.env, DOCKER_HOST: host } });
  }
  return { DOCKER_HOST: host, stop };
}

function launch(args: readonly string[], log: string): ChildProcess {
  const output = openSync(log, 'w');
  // However this process ends, the engine is asked to end, too.
  const wrap = findOnPath('setpriv') === null ? [] : ['setpriv', '--pdeathsig', 'TERM'];
  const [command = 'dockerd', ...rest] = [...wrap, 'dockerd', ...args];
  // A group of its own: Ctrl-C is for who uses it, and then it is ended in order.
  const child = spawn(command, rest, { stdio: ['ignore', output, output], detached: true });
  child.on('error', () => undefined);
  closeSync(output);
  return child;
}

async function untilReady(child: ChildProcess, host: string): Promise<void> {
  const giveUpAt = performance.now() + START_TIMEOUT_MS;
  for (;;) {
    const why = await whyNoEngine({ ...process.env, DOCKER_HOST: host });
    if (why === null) return;
    if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) {
      throw new DockerError('dockerd ended by itself');
    }
    if (performance.now() > giveUpAt) throw new DockerError(`dockerd does not get ready: ${why}`);
    await delay(200);
  }
}

async function end(child: ChildProcess): Promise<void> {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, 'exit');
  child.kill('SIGTERM');
  const patience = new AbortController();
  await Promise.race([
    ended,
    delay(STOP_TIMEOUT_MS, null, { signal: patience.signal }).catch(() => undefined),
  ]);
  patience.abort();
  child.kill('SIGKILL');
  await ended;
}
