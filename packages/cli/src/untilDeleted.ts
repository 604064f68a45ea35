import { NotFoundError, TimeoutError } from '@drover/shared';

import type { Client } from './client.ts';

/** Which Job, and how long. */
export interface UntilDeletedOptions {
  /** Default: that of the client. */
  readonly namespace?: string | undefined;
  /** Default: for ever. */
  readonly timeoutMs?: number | undefined;
}

/**
 * Waits until the Job that has the name now is gone, at once when there is none.
 *
 * @throws TimeoutError
 */
export async function untilDeleted(
  client: Client,
  name: string,
  { namespace, timeoutMs }: UntilDeletedOptions = {},
): Promise<void> {
  const where = namespace === undefined ? {} : { namespace };
  const signal = timeoutMs === undefined ? {} : { signal: AbortSignal.timeout(timeoutMs) };
  let uid: string;
  try {
    uid = (await client.jobs.get(name, where)).metadata.uid;
  } catch (error) {
    if (error instanceof NotFoundError) return;
    throw error;
  }
  for await (const { type, job } of client.jobs.watch({ name, ...where, ...signal })) {
    if (type === 'DELETED' || job.metadata.uid !== uid) return;
  }
  throw new TimeoutError(`${name} was not deleted in time`);
}
