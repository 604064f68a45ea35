// Brings what this checkout needs and the machine lacks. Each step looks first, so running it again
// costs a few file reads. Plain JavaScript for Node 20.
import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { platformProblem } from '../../packages/cli/bin/host.js';
import {
  BROUGHT_NODE,
  DROVER_DIR,
  findNode,
  findOnPath,
  linkNode,
  NODE_DIR,
  NODE_VERSION,
  nodePackageName,
  PNPM,
  PNPM_DIR,
  PNPM_VERSION,
  ROOT,
  toolEnvironment,
} from './toolchain.js';

const STAMP = join(DROVER_DIR, 'dependencies.stamp');
const REDIS_STAMP = join(DROVER_DIR, 'redis.stamp');
const LOCK = join(DROVER_DIR, 'setup.lock');

/** The oldest Redis whose scripts may carry the flags that Drover's carry. */
const REDIS_MAJOR_MIN = 7;

/** A failure that set-up can explain: its message says what to do. */
export class SetupError extends Error {}

/** Whether nothing is left to bring. */
export function isSetUp() {
  return findNode() !== null && areDependenciesInstalled() && isRedisGood();
}

/** Brings what is missing; says one line for each thing, nothing when nothing is missing. */
export async function setUp() {
  const problem = platformProblem(process.platform);
  if (problem !== null) throw new SetupError(problem);
  // A link that pnpm dropped is no reason to wait for the lock.
  linkNode();
  if (isSetUp()) return;
  mkdirSync(DROVER_DIR, { recursive: true });
  const release = await takeLock();
  try {
    const node = await bringNode();
    await bringPnpm();
    await bringDependencies(node);
    await bringRedis();
  } finally {
    release();
  }
}

async function bringNode() {
  const found = findNode();
  if (found !== null) return found;
  const name = nodePackageName();
  await step(`Node ${NODE_VERSION} from npm (here is ${process.versions.node})`, async () => {
    await npmInstall(NODE_DIR, `${name}@${NODE_VERSION}`, (folder) => {
      const tried = spawnSync(join(folder, 'node_modules', '.bin', 'node'), ['--version']);
      if (tried.status === 0) return;
      throw new SetupError(
        `the Node that npm has for ${process.platform} ${process.arch} does not run here; ` +
          'install Node 22.18 or newer yourself and try again',
      );
    });
  });
  return BROUGHT_NODE;
}

async function bringPnpm() {
  if (existsSync(PNPM)) return;
  await step(`pnpm ${PNPM_VERSION} from npm`, () => npmInstall(PNPM_DIR, `pnpm@${PNPM_VERSION}`));
}

/** @param {string} node */
async function bringDependencies(node) {
  if (areDependenciesInstalled()) return;
  await step('the locked dependencies with pnpm', async () => {
    // The stamp goes first: an install that breaks off must not look finished.
    rmSync(STAMP, { force: true });
    await run(PNPM, ['install', '--frozen-lockfile'], {
      cwd: ROOT,
      // CI: never ask anything.
      env: { ...toolEnvironment(node), CI: 'true' },
    });
    linkNode();
    writeFileSync(STAMP, dependencyHash());
  });
}

function areDependenciesInstalled() {
  return (
    existsSync(STAMP) &&
    existsSync(join(ROOT, 'node_modules', '.modules.yaml')) &&
    readFileSync(STAMP, 'utf8') === dependencyHash()
  );
}

/** What node_modules depends on, in one line. */
function dependencyHash() {
  const hash = createHash('sha256').update(PNPM_VERSION);
  for (const name of ['pnpm-lock.yaml', 'pnpm-workspace.yaml']) {
    hash.update(readFileSync(join(ROOT, name)));
  }
  return hash.digest('hex');
}

async function bringRedis() {
  if (isRedisGood()) return;
  if (findOnPath('redis-server') === null) await installRedis();
  const path = findOnPath('redis-server');
  if (path === null) throw new SetupError('redis-server was installed, but it is not on PATH');
  const version = redisVersion(path);
  const [major = 0] = version.split('.').map(Number);
  if (major < REDIS_MAJOR_MIN) {
    throw new SetupError(
      `${path} is version ${version}: install Redis ${REDIS_MAJOR_MIN} or newer, or put one first on PATH`,
    );
  }
  writeFileSync(REDIS_STAMP, fingerprint(path));
}

async function installRedis() {
  const isRoot = process.getuid?.() === 0;
  if (isRoot && findOnPath('apt-get') !== null) {
    await bringPackages('redis-server');
    return;
  }
  throw new SetupError(
    `there is no redis-server on PATH, and installing it needs the system's package manager. ` +
      `Install Redis ${REDIS_MAJOR_MIN} or newer and try again, for example: ` +
      'sudo apt-get install redis-server (Debian, Ubuntu), sudo dnf install redis (Fedora), ' +
      'brew install redis (macOS)',
  );
}

/** Whether the redis-server of PATH is one whose version was found to be good. */
function isRedisGood() {
  const path = findOnPath('redis-server');
  if (path === null || !existsSync(REDIS_STAMP)) return false;
  return readFileSync(REDIS_STAMP, 'utf8') === fingerprint(path);
}

/**
 * Changes when another program is put in its place.
 *
 * @param {string} path
 */
function fingerprint(path) {
  const { mtimeMs, size } = statSync(path);
  return `${path} ${mtimeMs} ${size}`;
}

/** @param {string} path */
function redisVersion(path) {
  // "Redis server v=7.0.15 sha=..."; a Valkey says "Valkey server v=8.0.0 ...".
  const { stdout } = spawnSync(path, ['--version'], { encoding: 'utf8' });
  return /\bv=([\d.]+)/.exec(stdout ?? '')?.[1] ?? 'unknown';
}

/**
 * Installs Debian packages and starts no service of them: this project starts its own.
 *
 * @param {string[]} names
 */
export async function bringPackages(...names) {
  await step(`${names.join(', ')} from the system's packages (apt-get)`, async () => {
    const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
    const wait = ['-q', '-o', 'DPkg::Lock::Timeout=120'];
    const allow = denyServiceStarts();
    try {
      await run('apt-get', ['update', ...wait], { env });
      await run('apt-get', ['install', '-y', '--no-install-recommends', ...wait, ...names], {
        env,
      });
    } finally {
      allow();
    }
    // Nor at the next start of the machine.
    if (existsSync('/run/systemd/system')) {
      spawnSync('systemctl', ['disable', ...names], { stdio: 'ignore' });
    }
  });
}

/** Tells Debian's package scripts to start no service until the returned function is called. */
function denyServiceStarts() {
  const policy = '/usr/sbin/policy-rc.d';
  if (existsSync(policy)) return () => {};
  writeFileSync(policy, '#!/bin/sh\nexit 101\n', { mode: 0o755 });
  return () => rmSync(policy, { force: true });
}

/**
 * Installs one npm package into a folder of its own; the folder appears only when it is complete.
 *
 * @param {string} folder
 * @param {string} spec - Name and exact version.
 * @param {(folder: string) => void} [check] - Throws when what came does not work.
 */
async function npmInstall(folder, spec, check) {
  const staging = `${folder}.new`;
  rmSync(staging, { recursive: true, force: true });
  mkdirSync(staging, { recursive: true });
  // Not --prefix: with it npm would not read the machine's global npmrc (registry, certificates).
  writeFileSync(join(staging, 'package.json'), '{ "private": true }\n');
  const flags = ['--no-save', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'];
  await run('npm', ['install', ...flags, spec], { cwd: staging });
  check?.(staging);
  rmSync(folder, { recursive: true, force: true });
  renameSync(staging, folder);
}

/**
 * Runs a program to its end; its output is shown only when it fails.
 *
 * @param {string} command
 * @param {string[]} args
 * @param {import('node:child_process').SpawnOptions} [options]
 */
async function run(command, args, options = {}) {
  const child = spawn(command, args, { ...options, stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  child.stdout?.on('data', (chunk) => (output += String(chunk)));
  child.stderr?.on('data', (chunk) => (output += String(chunk)));
  /** @type {number | NodeJS.Signals} */
  const ended = await new Promise((resolve, reject) => {
    child.on('error', (cause) => {
      reject(new SetupError(`${command} can not be started: ${cause.message}`, { cause }));
    });
    child.on('close', (code, signal) => resolve(code ?? signal ?? 1));
  });
  if (ended === 0) return;
  const [name] = command.split('/').slice(-1);
  throw new SetupError(`${name} ${args[0]} failed (${ended}):\n${output.trimEnd()}`);
}

/**
 * @param {string} what
 * @param {() => Promise<void>} action
 */
async function step(what, action) {
  const startedAtMs = Date.now();
  process.stderr.write(`set-up: ${what} ... `);
  try {
    await action();
  } catch (error) {
    process.stderr.write('failed\n');
    throw error;
  }
  process.stderr.write(`${((Date.now() - startedAtMs) / 1000).toFixed(1)} s\n`);
}

/** One set-up at a time in a checkout. Returns the function that lets the next one in. */
async function takeLock() {
  let told = false;
  for (;;) {
    try {
      writeFileSync(LOCK, String(process.pid), { flag: 'wx' });
      const release = () => rmSync(LOCK, { force: true });
      process.once('exit', release);
      return release;
    } catch (error) {
      if (/** @type {NodeJS.ErrnoException} */ (error).code !== 'EEXIST') throw error;
    }
    if (isLockStale()) {
      rmSync(LOCK, { force: true });
      continue;
    }
    if (!told) process.stderr.write(`set-up: waiting for another one in ${dirname(LOCK)}\n`);
    told = true;
    await delay(100);
  }
}

/** Whether the process that holds the lock is gone. */
function isLockStale() {
  try {
    const pid = Number(readFileSync(LOCK, 'utf8'));
    // The file is empty for a moment between its creation and the write of the pid.
    if (pid === 0) return Date.now() - statSync(LOCK).mtimeMs > 5000;
    process.kill(pid, 0);
    return false;
  } catch (error) {
    const { code } = /** @type {NodeJS.ErrnoException} */ (error);
    // ENOENT: it was released meanwhile. EPERM: it lives, under another user.
    return code === 'ESRCH';
  }
}
