import { createHash, timingSafeEqual } from 'node:crypto';

import { ApiError } from './status.ts';

/** Who sent a request. */
export interface User {
  readonly name: string;
  readonly groups: readonly string[];
}

/** The holder of the server's token. */
export const ADMIN: User = {
  name: 'drover-admin',
  groups: ['system:masters', 'system:authenticated'],
};

/** Tells who sent a request. */
export class Authenticator {
  readonly #digest: Buffer;

  /** @param token - Bearer token of the one user there is, who may do everything. */
  constructor(token: string) {
    if (token === '') throw new TypeError('the token must not be empty');
    this.#digest = digestOf(token);
  }

  /**
   * Who sent a request.
   *
   * @param header - Its `Authorization`.
   * @throws ApiError when it does not say so, or with a token that is none.
   */
  authenticate(header: string | undefined): User {
    const [, token = ''] = /^Bearer +([^ ]+)$/i.exec(header ?? '') ?? [];
    // Digests have one length, and comparing them takes as long for any token.
    if (token !== '' && timingSafeEqual(digestOf(token), this.#digest)) return ADMIN;
    throw new ApiError(401, 'Unauthorized', 'Unauthorized');
  }
}

function digestOf(token: string): Buffer {
  return createHash('sha256').update(token).digest();
}
