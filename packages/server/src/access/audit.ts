import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Logger } from 'pino';

import type { AccessAttributes } from './rules.ts';

/** Verbs that change nothing, and those that only ask about oneself. */
const READS: ReadonlySet<string> = new Set(['get', 'list', 'watch']);

/** What a request was about, noted as soon as it is known. */
export interface Audited extends AccessAttributes {
  readonly isDryRun: boolean;
}

/**
 * Writes a line for a request that was to change something, whatever came of it: who, what, from where,
 * and with which answer. Never what was in it.
 */
export function writeAudit(log: Logger, request: FastifyRequest, reply: FastifyReply): void {
  const { audited, user } = request;
  if (audited === null || READS.has(audited.verb) || audited.group.startsWith('auth')) return;
  const { verb, group, resource, subresource, namespace, name, isDryRun } = audited;
  log.info(
    {
      audit: {
        user: user?.name ?? '',
        verb,
        ...(group === '' ? {} : { group }),
        resource: subresource === '' ? resource : `${resource}/${subresource}`,
        ...(namespace === '' ? {} : { namespace }),
        name,
        ...(isDryRun ? { dryRun: true } : {}),
        code: reply.statusCode,
        address: request.ip,
        userAgent: request.headers['user-agent'] ?? '',
      },
    },
    'audit',
  );
}
