import { execFile } from 'node:child_process';
import { accessSync, constants, existsSync, readFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { promisify } from 'node:util';

/** Where processes of a worker go that were in the cgroup in which it makes others. */
export const WORKERS_GROUP = 'drover-workers';
/** How long systemd may take to say whether a unit is delegated. */
const SYSTEMCTL_TIMEOUT_MS = 5_000;

/** Why a worker can make no cgroups, in words. */
export class NoCgroupsError extends Error {
  override readonly name = 'NoCgroupsError';
}

/** A cgroup in which a worker may make others. */
export interface CgroupPlace {
  /** Its directory. */
  readonly path: string;
  /** It is the root of the machine's hierarchy: the only one that may have both processes and groups with limits. */
  readonly isRoot: boolean;
}

/** A cgroup of version 2 as a process sees it. */
export interface SeenCgroup {
  /** Where the hierarchy is mounted. */
  readonly mountPoint: string;
  /** Path below that; empty = the top of what is seen. */
  readonly path: string;
}

/**
 * Where this process may make cgroups with limits of memory.
 *
 * @throws NoCgroupsError that says why nowhere.
 */
export async function findCgroupPlace(): Promise<CgroupPlace> {
  const seen = ownCgroup(readOrEmpty('/proc/self/cgroup'), readOrEmpty('/proc/self/mountinfo'));
  if (seen === null) throw new NoCgroupsError('no cgroup of version 2 is mounted');
  const place = join(seen.mountPoint, await delegatedPath(seen.path));
  const isRoot = seen.path === '' && !existsSync(join(place, 'cgroup.type'));
  const controllers = readOrEmpty(join(place, 'cgroup.controllers')).trim().split(' ');
  if (!controllers.includes('memory')) {
    throw new NoCgroupsError(`${place} has no memory controller`);
  }
  const type = readOrEmpty(join(place, 'cgroup.type')).trim();
  if (!isRoot && type !== 'domain') throw new NoCgroupsError(`${place} is of type ${type}`);
  for (const name of ['', 'cgroup.procs', 'cgroup.subtree_control']) {
    const path = join(place, name);
    try {
      accessSync(path, constants.W_OK);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      throw new NoCgroupsError(`${path} can not be written (${code})`);
    }
  }
  return { path: place, isRoot };
}

/**
 * The cgroup of version 2 of the process that reads these files.
 *
 * @param cgroup - /proc/self/cgroup.
 * @param mountinfo - /proc/self/mountinfo.
 * @returns null when it has none, or can not see it.
 */
export function ownCgroup(cgroup: string, mountinfo: string): SeenCgroup | null {
  const [, own] = /^0::(\/.*)$/m.exec(cgroup) ?? [];
  if (own === undefined) return null;
  for (const line of mountinfo.split('\n')) {
    const [mount = '', source = ''] = line.split(' - ');
    if (!source.startsWith('cgroup2 ')) continue;
    const [, , , root = '', mountPoint = ''] = mount.split(' ').map(unescaped);
    const top = root === '/' ? '' : root;
    if (own !== root && !own.startsWith(`${top}/`)) continue;
    return { mountPoint, path: own === root ? '' : own.slice(top.length) };
  }
  return null;
}

/**
 * The limit of memory of the place where another worker has made cgroups, of a process that was born in its
 * {@link WORKERS_GROUP}: that has none itself, so nothing else tells of it. Bytes; null = there is none.
 */
export function placeMemoryLimit(): number | null {
  const seen = ownCgroup(readOrEmpty('/proc/self/cgroup'), readOrEmpty('/proc/self/mountinfo'));
  if (seen === null || basename(seen.path) !== WORKERS_GROUP) return null;
  const limit = readOrEmpty(join(seen.mountPoint, dirname(seen.path), 'memory.max')).trim();
  return /^\d+$/.test(limit) ? Number(limit) : null;
}

/** A unit of systemd. */
export interface SystemdUnit {
  readonly name: string;
  /** Of the unit's own cgroup. */
  readonly path: string;
  /** It is one of the user's manager. */
  readonly isOfUser: boolean;
}

/** The unit of systemd that a cgroup belongs to; null = to none. */
export function unitOf(path: string): SystemdUnit | null {
  const parts = path.split('/');
  const index = parts.findLastIndex((part) => /\.(service|scope)$/.test(part));
  if (index === -1) return null;
  return {
    name: parts[index]!,
    path: parts.slice(0, index + 1).join('/'),
    isOfUser: parts.slice(0, index).some((part) => /^user@\d+\.service$/.test(part)),
  };
}

/** What systemd manages is to be changed by others only where it says so: it would undo it at any time. */
async function delegatedPath(path: string): Promise<string> {
  if (!existsSync('/run/systemd/system')) return withoutWorkersGroup(path);
  const unit = unitOf(path);
  if (unit === null) throw new NoCgroupsError(`${path || '/'} is no unit of systemd's`);
  const { name, isOfUser } = unit;
  const args = ['show', '--property=Delegate', '--value', '--', name];
  let answer: string;
  try {
    const options = { timeout: SYSTEMCTL_TIMEOUT_MS };
    const user = isOfUser ? ['--user'] : [];
    answer = (await promisify(execFile)('systemctl', [...user, ...args], options)).stdout.trim();
  } catch (error) {
    throw new NoCgroupsError(`systemd does not say whether ${name} is delegated`, { cause: error });
  }
  if (answer === 'yes') return unit.path;
  throw new NoCgroupsError(`${name} is not delegated (Delegate=yes in its unit of systemd)`);
}

/** A worker that comes after another one may have been born there. */
function withoutWorkersGroup(path: string): string {
  return basename(path) === WORKERS_GROUP ? dirname(path) : path;
}

/** A field of mountinfo, where some characters are octal numbers. */
function unescaped(field: string): string {
  return field.replaceAll(/\\([0-7]{3})/g, (_all, digits: string) =>
    String.fromCharCode(Number.parseInt(digits, 8)),
  );
}

function readOrEmpty(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
