import rateLimit from '@fastify/rate-limit';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';

import { ApiError } from '../http/status.ts';

/** Requests are counted over so long: a burst may take all that is allowed in it at once. */
const WINDOW_MS = 10_000;
/** Requests with no token, or a wrong one, that are answered for an address in that time. */
const MAX_STRANGE = 200;

/** How many requests are answered. */
export interface Limits {
  /** Counts a request of a user. @throws ApiError when there were too many. */
  countUser(request: FastifyRequest, reply: FastifyReply): Promise<void>;
  /** Counts a request of nobody that is known. @throws ApiError when there were too many. */
  countStranger(request: FastifyRequest, reply: FastifyReply): Promise<void>;
}

type Counter = ReturnType<FastifyInstance['createRateLimit']>;

/**
 * Bounds how many requests are answered, for each token, and for each address that has none.
 *
 * @param perSecond - Of one token, on average over ten seconds; null = any number.
 */
export function addLimits(http: FastifyInstance, perSecond: number | null): Limits {
  const counters: { users?: Counter; strangers?: Counter } = {};
  void http.register(rateLimit, { global: false });
  http.after(() => {
    counters.strangers = http.createRateLimit({ max: MAX_STRANGE, timeWindow: WINDOW_MS });
    if (perSecond === null) return;
    counters.users = http.createRateLimit({
      max: Math.ceil((perSecond * WINDOW_MS) / 1_000),
      timeWindow: WINDOW_MS,
      keyGenerator: ({ user }) => user?.name ?? '',
    });
  });
  return {
    countUser: (request, reply) => count(counters.users, request, reply),
    countStranger: (request, reply) => count(counters.strangers, request, reply),
  };
}

async function count(
  counter: Counter | undefined,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<void> {
  const found = await counter?.(request);
  if (found === undefined || found.isAllowed || !found.isExceeded) return;
  const retryAfterSeconds = Math.max(1, found.ttlInSeconds);
  void reply.header('retry-after', String(retryAfterSeconds));
  const message = 'the server has received too many requests and has asked us to try again later';
  throw new ApiError(429, 'TooManyRequests', message, { retryAfterSeconds });
}
