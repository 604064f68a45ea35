// Where the tools of this checkout lie and which versions it wants. Plain JavaScript for Node 20:
// this runs before there is anything else.
import { existsSync, lstatSync, mkdirSync, readlinkSync, rmSync, symlinkSync } from 'node:fs';
import { delimiter, dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

/** Root of the checkout. */
export const ROOT = fileURLToPath(new URL('../..', import.meta.url)).replace(/\/$/, '');

/** Everything that set-up brings, apart from node_modules and system packages. */
export const DROVER_DIR = join(ROOT, '.drover');

/** The oldest Node that runs TypeScript as it is; the same as `engines` in package.json. */
export const NODE_MIN = [22, 18];

/** The Node that set-up brings when the one on PATH is older. */
export const NODE_VERSION = '24.21.0';

/** The pnpm that set-up brings. Exact, since the lockfile's form belongs to it. */
export const PNPM_VERSION = '12.21.0';

/** Where npm puts the two. The version is part of the path, so that a new one is brought anew. */
export const NODE_DIR = join(DROVER_DIR, 'tools', `node-${NODE_VERSION}`);
export const PNPM_DIR = join(DROVER_DIR, 'tools', `pnpm-${PNPM_VERSION}`);

/** The Node that set-up brought, if it did. */
export const BROUGHT_NODE = join(NODE_DIR, 'node_modules', '.bin', 'node');
export const PNPM = join(PNPM_DIR, 'node_modules', '.bin', 'pnpm');

const NODE_LINK = join(ROOT, 'node_modules', '.bin', 'node');

/**
 * Whether a Node of this version runs Drover.
 *
 * @param {string} version - As in process.versions.node, such as '22.18.0'.
 */
export function isNodeNewEnough(version) {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  const [wantMajor = 0, wantMinor = 0] = NODE_MIN;
  return major > wantMajor || (major === wantMajor && minor >= wantMinor);
}

/**
 * The npm package that holds the binary of Node for this machine. The package `node` finds it by
 * an install script, which newer versions of npm do not run; its parts need none.
 */
export function nodePackageName() {
  const prefix = process.platform === 'darwin' && process.arch === 'arm64' ? 'node-bin' : 'node';
  return `${prefix}-${process.platform}-${process.arch}`;
}

/** A Node that runs Drover: the running one, else the one that set-up brought, else null. */
export function findNode() {
  if (isNodeNewEnough(process.versions.node)) return process.execPath;
  return existsSync(BROUGHT_NODE) ? BROUGHT_NODE : null;
}

/**
 * The first executable of this name on PATH, else null.
 *
 * @param {string} name
 */
export function findOnPath(name) {
  for (const folder of (process.env.PATH ?? '').split(delimiter)) {
    if (folder !== '' && existsSync(join(folder, name))) return join(folder, name);
  }
  return null;
}

/**
 * Points node_modules/.bin/node at the Node that set-up brought, so that the commands beside it,
 * and every npm script, use that one. pnpm removes the link whenever it installs.
 */
export function linkNode() {
  const folder = dirname(NODE_LINK);
  if (!existsSync(BROUGHT_NODE) || !existsSync(dirname(folder))) return;
  const target = relative(folder, BROUGHT_NODE);
  if (linkTarget(NODE_LINK) === target) return;
  mkdirSync(folder, { recursive: true });
  rmSync(NODE_LINK, { force: true });
  try {
    symlinkSync(target, NODE_LINK);
  } catch (error) {
    // Another process made the same link between the two calls.
    if (linkTarget(NODE_LINK) !== target) throw error;
  }
}

/** @param {string} path */
function linkTarget(path) {
  const stat = lstatSync(path, { throwIfNoEntry: false });
  return stat?.isSymbolicLink() === true ? readlinkSync(path) : null;
}

/**
 * The environment for programs of this checkout: its commands first on PATH, and with them the
 * right Node.
 *
 * @param {string} node - Path of the Node to use.
 */
export function toolEnvironment(node) {
  const folders = [join(ROOT, 'node_modules', '.bin'), dirname(node), process.env.PATH ?? ''];
  return { ...process.env, PATH: folders.join(delimiter) };
}
