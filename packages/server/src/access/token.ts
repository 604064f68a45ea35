import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';

import type { AccessToken } from '@drover/shared';

/** 256 random bits: a plain digest is enough to keep them by. */
const SECRET_BYTES = 32;

/** Makes the text of a token; its name is a part of it, to find by it what is known of it. */
export function newToken(name: string): string {
  return `drover_${name}_${randomBytes(SECRET_BYTES).toString('base64url')}`;
}

/** The name in a token; null when it is none of {@link newToken}. */
export function nameOfToken(token: string): string | null {
  return /^drover_([a-z\d][a-z\d-]{0,62})_[\w-]{43}$/.exec(token)?.[1] ?? null;
}

/** The digest of a token. */
export function digestOf(token: string): Buffer {
  return createHash('sha256').update(token).digest();
}

/** A token as it is kept: its digest. */
export function hashOf(token: string): string {
  return `sha256:${digestOf(token).toString('hex')}`;
}

/** Whether a token is the one that is known; takes as long for any token. */
export function isToken(token: string, { hash }: Pick<AccessToken, 'hash'>): boolean {
  const known = Buffer.from(hash.slice('sha256:'.length), 'hex');
  const given = digestOf(token);
  return known.length === given.length && timingSafeEqual(given, known);
}
