import type { Shard } from '@drover/store';
import type { Logger } from 'pino';

/** Calls of `expireSession` in one go; each names at most 500 claims. */
const MAX_STEPS = 20;

/**
 * Looks after one worker session: if its lease ran out, ends it, and then the pods it held, which
 * makes their Jobs due.
 *
 * @param onLost - Told how many pods were ended.
 * @returns When to look again, ms by the shard's clock; null = nothing is left of the session.
 */
export async function reconcileSession(
  shard: Pick<Shard, 'expireSession' | 'endLostPods'>,
  session: string,
  logger: Logger,
  onLost: (count: number) => void = () => undefined,
): Promise<number | null> {
  let lostCount = 0;
  for (let step = 0; step < MAX_STEPS; step++) {
    const reply = await shard.expireSession(session);
    if (reply.type === 'alive') return reply.untilMs;
    if (reply.claims.length === 0) {
      logger.info({ session, lostPods: lostCount }, 'worker session ended');
      return null;
    }
    const slotsByJob = Map.groupBy(reply.claims, (claim) => claim.uid);
    const counts = await Promise.all(
      [...slotsByJob].map(([uid, claims]) =>
        shard.endLostPods(
          session,
          uid,
          claims.map((claim) => claim.slot),
        ),
      ),
    );
    const endedCount = counts.reduce((sum, count) => sum + count, 0);
    lostCount += endedCount;
    onLost(endedCount);
  }
  logger.info({ session, lostPods: lostCount }, 'worker session is being ended');
  // 0 is in the past of any clock: at once, but after what else is due.
  return 0;
}
