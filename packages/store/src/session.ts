import { randomBytes } from 'node:crypto';

const cache = new Map<string, Buffer>();

/** A fresh session id: 16 random hex digits. Never used twice, across restarts too. */
export function newSessionId(): string {
  return randomBytes(8).toString('hex');
}

/** The 8 bytes of a session id, as slot records hold them. */
export function sessionBytes(session: string): Buffer {
  let bytes = cache.get(session);
  if (bytes === undefined) {
    bytes = Buffer.from(session, 'hex');
    // A process has a handful of sessions at a time; what is old is made again at need.
    if (cache.size > 64) cache.clear();
    cache.set(session, bytes);
  }
  return bytes;
}
