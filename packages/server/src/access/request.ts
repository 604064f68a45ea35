import type { FastifyInstance } from 'fastify';

import type { Audited } from './audit.ts';
import type { User } from './user.ts';

declare module 'fastify' {
  interface FastifyRequest {
    /** Who sent it; null while that is not known, and on paths that are open to everybody. */
    user: User | null;
    /** What it is about; null when that is no object. */
    audited: Audited | null;
  }
}

/** Gives requests the fields that access is decided by. */
export function decorateRequests(http: FastifyInstance): void {
  http.decorateRequest('user', null);
  http.decorateRequest('audited', null);
}
