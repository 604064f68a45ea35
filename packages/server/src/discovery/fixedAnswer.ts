import { createHash } from 'node:crypto';

import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';

/** An answer that is the same for everybody and for ever. */
export interface FixedAnswer {
  readonly contentType: string;
  readonly body: string | Buffer;
  readonly etag: string;
}

/** Adds a path whose answer never changes. */
export function addFixed(server: FastifyInstance, path: string, body: object): void {
  const answer = fixedAnswer('application/json', body);
  server.get(path, async (request, reply) => sendFixed(request, reply, answer));
}

/** Makes an answer of a value. */
export function fixedAnswer(contentType: string, value: object): FixedAnswer {
  return fixedBytes(contentType, JSON.stringify(value));
}

/** Makes an answer of what is to be sent. */
export function fixedBytes(contentType: string, body: string | Buffer): FixedAnswer {
  const etag = `"${createHash('sha256').update(body).digest('hex').slice(0, 32)}"`;
  return { contentType, body, etag };
}

/** Clients keep it, and ask whether it is still the same. */
export function sendFixed(
  request: FastifyRequest,
  reply: FastifyReply,
  answer: FixedAnswer,
): FastifyReply {
  void reply.header('etag', answer.etag).header('vary', 'Accept').header('cache-control', 'public');
  if (request.headers['if-none-match'] === answer.etag) return reply.code(304).send();
  return reply.type(answer.contentType).send(answer.body);
}
