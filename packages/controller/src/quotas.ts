import type { JobView, Shard, SlotRecord } from '@drover/store';
import type { Logger } from 'pino';

/** What looks after the quotas of a shard. */
export type QuotaShard = Pick<Shard, 'listJobs' | 'listBarePods' | 'allSlots'> & {
  readonly quotas: Pick<Shard['quotas'], 'wake' | 'count'>;
};

/** Jobs read at once. */
const PAGE_SIZE = 200;
/** Slots of one call of `count`. */
const SLOTS_PER_CALL = 200;
/** How long Jobs that were woken have to take what they want, before others are. */
const TURN_MS = 1_000;

/**
 * Lets Jobs go on that wait for quota of a namespace, if there is some. Before that, once for each first quota of a
 * namespace, what runs already is counted: until then no other pod starts there.
 *
 * @returns When to look again, ms by the shard's clock; null = when quota is given back or changed.
 */
export async function reconcileQuota(
  shard: QuotaShard,
  namespace: string,
  logger: Logger,
): Promise<number | null> {
  let reply = await shard.quotas.wake(namespace, '');
  while (reply.type === 'uncounted') {
    const count = await countOpenSlots(shard, namespace);
    logger.info({ namespace, count }, 'counted what runs against a new quota');
    reply = await shard.quotas.wake(namespace, reply.counting);
  }
  let left = reply.left;
  // Those in front may all want more than there is: they keep nobody behind them from it.
  while (reply.woken === 0 && reply.next !== '') {
    const further = await shard.quotas.wake(namespace, '', reply.next);
    // Another first quota came meanwhile, and with it another look.
    if (further.type === 'uncounted') return null;
    reply = further;
    left += reply.left;
  }
  const mayTakeLess = reply.woken > 0 && (left > 0 || reply.next !== '');
  return mayTakeLess ? reply.nowMs + TURN_MS : null;
}

/** A crash in between leaves nothing undone: a slot that was counted is known by what it holds. */
async function countOpenSlots(shard: QuotaShard, namespace: string): Promise<number> {
  let count = 0;
  for (const list of [shard.listJobs, shard.listBarePods]) {
    let after: string | null = null;
    do {
      const from: { after?: string } = after === null ? {} : { after };
      const page: { jobs: JobView[]; next: string | null } = await list.call(shard, {
        namespace,
        limit: PAGE_SIZE,
        ...from,
      });
      for (const { uid, counters } of page.jobs) {
        if (counters.active + counters.terminating === 0) continue;
        count += await countSlotsOf(shard, uid);
      }
      after = page.next;
    } while (after !== null);
  }
  return count;
}

async function countSlotsOf(shard: QuotaShard, uid: string): Promise<number> {
  const uncounted = (await shard.allSlots(uid)).filter(
    ({ grant }: SlotRecord) => grant === undefined,
  );
  let count = 0;
  for (let from = 0; from < uncounted.length; from += SLOTS_PER_CALL) {
    const some = uncounted.slice(from, from + SLOTS_PER_CALL);
    count += await shard.quotas.count(
      uid,
      some.map(({ slot }) => slot),
    );
  }
  return count;
}
