import { readFileSync } from 'node:fs';

import { processIds, readStat } from './procFiles.ts';

/**
 * Environment variable the helper gives to every program it starts, as `<helper nonce>.<id>`.
 * Children inherit it, so a process that left its group and session can still be told apart.
 */
export const MARKER_VARIABLE = 'DROVER_PROCESS';

/** Which processes to look for. */
export interface StrayQuery {
  /** Nonce of the helper that started them. */
  readonly nonce: string;
  /** Containers that ended: main pid, which is the session, by container id. */
  readonly ended: ReadonlyMap<number, number>;
  /** Also whatever else the helper ever started, its running containers included. */
  readonly everything: boolean;
}

/** A process that outlived its container. */
export interface Stray {
  /** Process id. */
  readonly pid: number;
  /** Container it belongs to. */
  readonly containerId: number;
}

interface Known {
  readonly startTime: string;
  /** Container id read from the environment, or 0. */
  readonly containerId: number;
}

/**
 * Finds processes that left the process group of their container: `timeout`, GNU parallel and
 * shells with job control make groups of their own, daemons also a session. A group is found by
 * its session (the main process leads one), a daemon by the marker in its environment.
 *
 * Needs /proc, so elsewhere than on Linux it finds nothing. Environments are read once per
 * process, since this may run often.
 */
export class StrayFinder {
  #known = new Map<number, Known>();

  /** Looks through all processes once. Zombies do not count. */
  find(query: StrayQuery): Stray[] {
    const sessions = new Map([...query.ended].map(([containerId, pid]) => [pid, containerId]));
    const seen = new Map<number, Known>();
    const strays: Stray[] = [];
    for (const pid of processIds()) {
      if (pid === process.pid) continue;
      const stat = readStat(pid);
      if (stat === null || stat.state === 'Z' || stat.state === 'X') continue;
      const known = this.#identify(pid, stat.startTime, query.nonce);
      seen.set(pid, known);
      // A pid that is a session of a running container again has that one's marker, which wins.
      const containerId = known.containerId || (sessions.get(stat.session) ?? 0);
      if (containerId === 0) continue;
      if (query.everything || query.ended.has(containerId)) strays.push({ pid, containerId });
    }
    this.#known = seen;
    return strays;
  }

  #identify(pid: number, startTime: string, nonce: string): Known {
    const known = this.#known.get(pid);
    // Once ours, always ours: a later exec may have emptied the environment.
    if (known !== undefined && known.startTime === startTime) return known;
    return { startTime, containerId: readContainerId(pid, nonce) };
  }
}

function readContainerId(pid: number, nonce: string): number {
  try {
    const prefix = `${MARKER_VARIABLE}=${nonce}.`;
    const entry = readFileSync(`/proc/${pid}/environ`, 'latin1')
      .split('\0')
      .find((variable) => variable.startsWith(prefix));
    return entry === undefined ? 0 : Number(entry.slice(prefix.length));
  } catch {
    // Another user's process, or gone by now.
    return 0;
  }
}
