import { readFileSync } from 'node:fs';

import type { ContainerSecurityContext, PodSecurityContext } from '@drover/shared';

import type { ProcessUser } from './frames.ts';

/** Who a program runs as. */
export type Identity =
  /** As its worker does. */
  | { readonly type: 'worker' }
  | { readonly type: 'user'; readonly user: ProcessUser; readonly home: string }
  /** The worker can not do what the pod asks for; in words. */
  | { readonly type: 'refused'; readonly message: string };

/** A user of the machine. */
interface Account {
  readonly gid: number;
  readonly home: string;
}

/** Whom all programs of a worker run as, whoever that is itself. */
export interface FixedUser extends ProcessUser {
  readonly isFixed: true;
  readonly home: string;
}

/** Finds a user of the machine; null = there is none of this number. */
export type FindAccount = (uid: number) => Account | null;

const AS_WORKER: Identity = { type: 'worker' };

/**
 * Who a container is to run as. What it says itself comes before what the pod says.
 *
 * @param worker - Who the worker runs as, or its programs in any case. Only root can be somebody else.
 */
export function identityOf(
  container: Partial<ContainerSecurityContext>,
  pod: Partial<PodSecurityContext>,
  worker: ProcessUser | FixedUser,
  accountOf: FindAccount,
): Identity {
  const { fsGroup, supplementalGroups = [] } = pod;
  const runAsUser = container.runAsUser ?? pod.runAsUser;
  const runAsGroup = container.runAsGroup ?? pod.runAsGroup;
  const uid = runAsUser ?? worker.uid;
  if ((container.runAsNonRoot ?? pod.runAsNonRoot) === true && uid === 0) {
    const why = runAsUser === 0 ? 'runAsUser is 0' : 'the worker runs as root';
    return refused(`runAsNonRoot is set, and ${why}: set runAsUser to another user`);
  }
  const groups = [...new Set([...(fsGroup === undefined ? [] : [fsGroup]), ...supplementalGroups])];
  if (runAsUser === undefined && runAsGroup === undefined && groups.length === 0) return AS_WORKER;

  const account = runAsUser === undefined ? null : accountOf(uid);
  // As in Kubernetes the group of the user's own; but never root's for a user that nobody knows.
  const ownGid = runAsUser === undefined ? worker.gid : (account?.gid ?? uid);
  if (worker.uid !== 0) return sameOrRefused({ uid, gid: runAsGroup, groups }, worker);
  const home = account?.home ?? '/';
  return { type: 'user', user: { uid, gid: runAsGroup ?? ownGid, groups }, home };
}

/** Who this process runs as. */
export function workerIdentity(): ProcessUser {
  return {
    uid: process.getuid?.() ?? 0,
    gid: process.getgid?.() ?? 0,
    groups: process.getgroups?.() ?? [],
  };
}

/**
 * The user that is named as `--run-as` names one: a name, a number, or numbers of user and group.
 *
 * @throws TypeError in words.
 */
export function fixedUserOf(text: string, worker: ProcessUser): FixedUser {
  const numbers = /^(\d+)(?::(\d+))?$/.exec(text);
  const [name, uid] = numbers === null ? [text, uidOf(text)] : [null, Number(numbers[1])];
  if (uid === null) throw new TypeError(`runAs "${text}": there is no such user in /etc/passwd`);
  if (uid === 0) throw new TypeError(`runAs "${text}": is root, who can not be kept from anything`);
  const account = findAccount(uid);
  const gid = numbers?.[2] === undefined ? (account?.gid ?? uid) : Number(numbers[2]);
  if (worker.uid !== 0 && worker.uid !== uid) {
    throw new TypeError(`runAs "${text}": only a worker that runs as root can do that`);
  }
  const groups = name === null ? [] : groupsOf(name).filter((group) => group !== gid);
  return { uid, gid, groups, isFixed: true, home: account?.home ?? '/' };
}

function uidOf(name: string): number | null {
  const fields = linesOf('/etc/passwd').find(([known]) => known === name);
  return fields === undefined ? null : Number(fields[2]);
}

/** Groups that list a user as a member. */
function groupsOf(name: string): number[] {
  return linesOf('/etc/group').flatMap(([, , gid, members = '']) =>
    members.split(',').includes(name) ? [Number(gid)] : [],
  );
}

/** The lines of a file in fields; none when there is no such file. */
function linesOf(path: string): string[][] {
  try {
    return readFileSync(path, 'utf8')
      .split('\n')
      .map((line) => line.split(':'));
  } catch {
    return [];
  }
}

/** A user in /etc/passwd. */
export function findAccount(uid: number): Account | null {
  for (const [, , number, gid, , home] of linesOf('/etc/passwd')) {
    if (number === String(uid) && gid !== undefined && home !== undefined) {
      return { gid: Number(gid), home: home === '' ? '/' : home };
    }
  }
  return null;
}

function sameOrRefused(
  wanted: {
    readonly uid: number;
    readonly gid: number | undefined;
    readonly groups: readonly number[];
  },
  worker: ProcessUser | FixedUser,
): Identity {
  const own = new Set([worker.gid, ...worker.groups]);
  const problems: string[] = [];
  if (wanted.uid !== worker.uid) problems.push(`as user ${wanted.uid}`);
  if (wanted.gid !== undefined && wanted.gid !== worker.gid) {
    problems.push(`with group ${wanted.gid}`);
  }
  const foreign = wanted.groups.filter((group) => !own.has(group));
  if (foreign.length > 0) problems.push(`with the groups ${foreign.join(', ')}`);
  if (problems.length === 0) return AS_WORKER;
  if ('isFixed' in worker) {
    return refused(
      `it is to run ${problems.join(' and ')}, but all programs of its worker run as user ${worker.uid}`,
    );
  }
  return refused(
    `it is to run ${problems.join(' and ')}, but its worker runs as user ${worker.uid}: that takes one that runs as root`,
  );
}

function refused(message: string): Identity {
  return { type: 'refused', message };
}
