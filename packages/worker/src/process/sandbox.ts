import { accessSync, constants, existsSync, lstatSync, readlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join, normalize } from 'node:path';

import { UnsuitableHostError } from '@drover/shared';

import type { ProcessMount } from './frames.ts';
import type { ProcessPodSpec, ProcessSink, RunningProcess } from './runningProcess.ts';

/** A path of the worker's machine that programs in a sandbox see where it is. */
export interface SandboxPath {
  readonly path: string;
  readonly isWritable: boolean;
}

/** How a worker keeps programs apart from its machine. */
export interface SandboxOptions {
  /** What makes it: bubblewrap, https://github.com/containers/bubblewrap. */
  readonly type: 'bwrap';
  /** What programs see beside the system's own: absolute paths, with `:rw` behind those that they may change. */
  readonly paths?: readonly string[] | undefined;
}

/** Directories of the system that every program needs; they hold nothing of one machine alone. */
const SYSTEM = ['/usr', '/bin', '/sbin', '/lib', '/lib32', '/lib64', '/libx32'];
/** Of /etc what programs are run with, and nothing that is somebody's secret. */
const SETTINGS = [
  '/etc/alternatives',
  '/etc/ca-certificates',
  '/etc/group',
  '/etc/host.conf',
  '/etc/hosts',
  '/etc/ld.so.cache',
  '/etc/ld.so.conf',
  '/etc/ld.so.conf.d',
  '/etc/localtime',
  '/etc/mime.types',
  '/etc/nsswitch.conf',
  '/etc/passwd',
  '/etc/pki/ca-trust',
  '/etc/protocols',
  '/etc/resolv.conf',
  '/etc/services',
  '/etc/ssl/certs',
  '/etc/ssl/openssl.cnf',
  '/etc/timezone',
];

/** What each sandbox has of its own. */
const OWN = ['--proc', '/proc', '--dev', '/dev', '--tmpfs', '/tmp', '--tmpfs', '/dev/shm'];
/** What it does not share, and that it ends with the helper. */
const APART = [
  '--unshare-pid',
  '--unshare-ipc',
  '--unshare-uts',
  '--unshare-cgroup-try',
  '--die-with-parent',
  '--cap-drop',
  'ALL',
];

/** Variables with the path of something that the worker made for the pod. */
const OF_POD = /^DROVER_(VOLUME_.*|ITEMS_SOCKET|ITEM_FILE|CLIENT_FILE|TERMINATION_LOG)$/;
/** The program makes this one itself, so its directory is what it is given. */
const RESULT_FILE = 'DROVER_ITEM_RESULT_FILE';

/**
 * The monitor of bubblewrap ends at SIGTERM, and with it all that it watches over; it is to leave that to
 * the program, which gets the same signal. What a shell ignores, its children do, until `env` undoes it.
 */
const DEAF = ['/bin/sh', '-c', 'trap "" TERM; exec "$@"', 'sh'];
const HEARING = ['/usr/bin/env', '--default-signal=TERM'];

/** Runs each program in a sandbox of its own: it sees the system, what its pod was given, and no other process. */
export class Sandbox {
  readonly #bwrap: string;
  readonly #paths: readonly SandboxPath[];
  readonly #system: readonly string[];
  /** Where workers keep what they make for pods. */
  readonly #ownRoots: RegExp;

  /**
   * @param volumeDirectory - Where volumes lie on disk.
   * @throws TypeError when a path is wrong or there is no bubblewrap.
   */
  constructor({ paths = [] }: SandboxOptions, volumeDirectory: string = tmpdir()) {
    this.#bwrap = findBwrap();
    this.#paths = paths.map(parsePath);
    const roots = [tmpdir(), '/tmp', '/dev/shm', volumeDirectory].map(literal).join('|');
    this.#ownRoots = new RegExp(
      `^(?:${roots})/drover-(?:volumes|items|client)-${process.getuid?.() ?? 0}[^/]*/.`,
    );
    this.#system = [...SYSTEM.flatMap(systemArguments), ...SETTINGS.flatMap(tried)];
  }

  /**
   * A program as it is to be started: in its sandbox.
   *
   * @param defaultDirectory - Where it starts unless it says otherwise; if it can not see that, in `/`.
   * @throws Error in words when it mounts what it may not see.
   */
  wrap(spec: ProcessPodSpec, defaultDirectory: string): ProcessPodSpec {
    const { env, mounts = [], workingDir } = spec;
    const program = [...spec.command, ...spec.args];
    // Of these a program would be told that it is not found, which is right.
    if (program.length === 0) return spec;
    const directory =
      workingDir ?? (this.#allows(defaultDirectory) !== null ? defaultDirectory : '/');
    // A place for each that is there and that it may write to, unless it says otherwise.
    const elsewhere = ['HOME', 'TMPDIR'].flatMap((name) =>
      this.#sees(env[name] ?? '', mounts) ? [] : ['--setenv', name, '/tmp'],
    );
    const options = [
      ...this.#system,
      ...OWN,
      ...this.#paths.flatMap(({ path, isWritable }) => bound(path, path, isWritable)),
      ...Object.entries(env).flatMap((variable) => this.#ofPod(variable)),
      ...mounts.flatMap((mount) => this.#mounted(mount)),
      ...elsewhere,
      ...APART,
      '--chdir',
      directory,
    ];
    return {
      ...spec,
      command: [...DEAF, this.#bwrap, ...options, '--', ...HEARING, ...asCommand(program)],
      args: [],
      mounts: [],
      workingDir: '/',
    };
  }

  /** @throws UnsuitableHostError with what bubblewrap says, when it does not work here. */
  async check(start: (spec: ProcessPodSpec, sink: ProcessSink) => RunningProcess): Promise<void> {
    let said = '';
    const env = { PATH: '/usr/bin:/bin' };
    const running = start(
      { command: ['/bin/sh', '-c', ':'], args: [], env, workingDir: '/' },
      { onOutput: (_stream, chunk) => (said += chunk.toString()) },
    );
    const exit = await running.exited;
    if (exit.exitCode === 0) return;
    throw new UnsuitableHostError(
      `--sandbox bwrap does not work here: ${said.trim() || exit.message}; it takes namespaces of users (sysctl kernel.unprivileged_userns_clone, user.max_user_namespaces) or a worker that runs as root, and env of GNU coreutils`,
    );
  }

  #ofPod([name, value]: [string, string]): string[] {
    if (OF_POD.test(name)) return this.#isOwn(value) ? bound(value, value, true) : [];
    if (name === RESULT_FILE) {
      const directory = dirname(value);
      return this.#isOwn(directory) ? bound(directory, directory, true) : [];
    }
    if (name !== 'PATH') return [];
    // The command `drover`.
    return value
      .split(delimiter)
      .filter((part) => this.#isOwn(part))
      .flatMap((part) => bound(part, part, false));
  }

  #mounted({ source, target, readOnly }: ProcessMount): string[] {
    if (this.#isOwn(source)) return bound(source, target, !readOnly);
    const allowed = this.#allows(source);
    if (allowed !== null) return bound(source, target, !readOnly && allowed.isWritable);
    throw new Error(
      `${source} of a hostPath volume is not among the paths that the worker's sandbox shows (--sandbox-path)`,
    );
  }

  /** Something that a worker made for a pod, whose name nobody can guess. */
  #isOwn(path: string): boolean {
    return this.#ownRoots.test(path) && normalize(path) === path && existsSync(path);
  }

  #sees(path: string, mounts: readonly ProcessMount[]): boolean {
    const isMounted = mounts.some(({ target }) => path === target || path.startsWith(`${target}/`));
    return isMounted || this.#isOwn(path) || this.#allows(path) !== null;
  }

  #allows(path: string): SandboxPath | null {
    const real = normalize(path);
    const found = this.#paths.filter(
      (one) => real === one.path || real.startsWith(one.path === '/' ? '/' : `${one.path}/`),
    );
    return found.toSorted((a, b) => b.path.length - a.path.length)[0] ?? null;
  }
}

/** A word with `=` would be a variable to `env`. */
function asCommand(program: readonly string[]): readonly string[] {
  return (program[0] ?? '').includes('=')
    ? ['/bin/sh', '-c', 'exec "$@"', 'sh', ...program]
    : program;
}

function bound(source: string, target: string, isWritable: boolean): string[] {
  return [isWritable ? '--bind' : '--ro-bind', source, target];
}

function tried(path: string): string[] {
  return ['--ro-bind-try', path, path];
}

/** On most systems these are links into /usr. */
function systemArguments(path: string): string[] {
  const found = lstatSync(path, { throwIfNoEntry: false });
  if (found === undefined) return [];
  return found.isSymbolicLink()
    ? ['--symlink', readlinkSync(path), path]
    : bound(path, path, false);
}

function parsePath(text: string): SandboxPath {
  const isWritable = text.endsWith(':rw');
  const given = isWritable ? text.slice(0, -':rw'.length) : text;
  if (!given.startsWith('/')) {
    throw new TypeError(`sandbox path "${text}": must be absolute, with :rw behind to be writable`);
  }
  const path = normalize(given).replace(/(.)\/$/, '$1');
  if (path === '/') throw new TypeError(`sandbox path "${text}": then there would be no sandbox`);
  if (!existsSync(path)) throw new TypeError(`sandbox path "${text}": there is no such path`);
  return { path, isWritable };
}

function findBwrap(): string {
  for (const folder of (process.env['PATH'] ?? '').split(delimiter)) {
    const path = join(folder, 'bwrap');
    try {
      accessSync(path, constants.X_OK);
      if (folder !== '') return path;
    } catch {
      // Not in this one.
    }
  }
  throw new TypeError('sandbox: there is no bwrap in PATH: install bubblewrap');
}

function literal(text: string): string {
  return text.replaceAll(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`);
}
