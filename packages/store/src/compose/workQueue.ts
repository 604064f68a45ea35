import { formatTime, readWorkQueue, type WorkQueue } from '@drover/shared';
import { isAllDone, type StoredWorkQueue } from '../workQueueApi.ts';

/** A stored work queue as an object of the API. Pure. */
export function composeWorkQueue(stored: StoredWorkQueue): WorkQueue {
  const object = readWorkQueue(JSON.parse(stored.object));
  const { enqueued, settled, ...counts } = stored.counts;
  return {
    ...object,
    metadata: {
      ...object.metadata,
      name: stored.name,
      namespace: stored.namespace,
      uid: stored.uid,
      resourceVersion: String(stored.resourceVersion),
      creationTimestamp: formatTime(stored.createdMs),
    },
    status: {
      ...(stored.sealedMs === null ? {} : { sealedTime: formatTime(stored.sealedMs) }),
      allDone: isAllDone(stored),
      enqueued,
      ...counts,
      unsettled: enqueued - settled,
    },
  };
}
