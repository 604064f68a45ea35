import type { RedisLook } from './redisLook.ts';

/** A process that may be watched over. */
export interface WatchedProcess {
  readonly role: 'controller' | 'worker' | 'server';
  /** Why it does not do its work right now; null = it does. */
  readonly hindrance: () => string | null;
  /** What is seen of Redis. */
  readonly look: () => Promise<RedisLook>;
}

/** Why a process is not ready; null = it is. */
export async function unreadiness({
  hindrance,
  look,
}: Omit<WatchedProcess, 'role'>): Promise<string | null> {
  return hindrance() ?? (await look()).fault;
}
