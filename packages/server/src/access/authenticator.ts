import { timingSafeEqual } from 'node:crypto';

import { parseTime, type AccessToken } from '@drover/shared';

import { ApiError } from '../http/status.ts';
import { digestOf, isToken, nameOfToken } from './token.ts';
import type { TokenSource } from './tokens.ts';
import { ADMIN, userOf, type User } from './user.ts';

/** How long what is known of a token is not asked for again, ms: a revoked one is refused as late. */
const REMEMBER_MS = 1_000;
/** Names that are remembered at most: strangers may make up any. */
const MAX_REMEMBERED = 1_000;
/** Compared with when there is no such token, so that this takes as long. */
const NOBODY: Pick<AccessToken, 'hash'> = { hash: `sha256:${'0'.repeat(64)}` };

/** Tells who sent a request. */
export class Authenticator {
  readonly #digest: Buffer;
  readonly #sources: readonly TokenSource[];
  readonly #remembered = new Map<
    string,
    { readonly token: AccessToken | null; readonly untilMs: number }
  >();

  /**
   * @param token - Bearer token of the server itself; who has it may do everything.
   * @param sources - Where others are looked for; the first that knows one decides.
   */
  constructor(token: string, sources: readonly TokenSource[]) {
    if (token === '') throw new TypeError('the token must not be empty');
    this.#digest = digestOf(token);
    this.#sources = sources;
  }

  /**
   * Who sent a request.
   *
   * @param header - Its `Authorization`.
   * @throws ApiError when it does not say so, or with a token that is none.
   */
  async authenticate(header: string | undefined): Promise<User> {
    const [, token = ''] = /^Bearer +([^ ]+)$/i.exec(header ?? '') ?? [];
    // Digests have one length, and comparing them takes as long for any token.
    if (token !== '' && timingSafeEqual(digestOf(token), this.#digest)) return ADMIN;
    const name = nameOfToken(token);
    const known = name === null ? null : await this.#find(name);
    const isKnown = isToken(token, known ?? NOBODY);
    if (known !== null && isKnown && !isOver(known, Date.now())) return userOf(known);
    throw new ApiError(401, 'Unauthorized', 'Unauthorized');
  }

  async #find(name: string): Promise<AccessToken | null> {
    const remembered = this.#remembered.get(name);
    if (remembered !== undefined && remembered.untilMs > performance.now()) return remembered.token;
    let token: AccessToken | null = null;
    for (const source of this.#sources) token ??= await source.find(name);
    if (this.#remembered.size >= MAX_REMEMBERED) this.#remembered.clear();
    this.#remembered.set(name, { token, untilMs: performance.now() + REMEMBER_MS });
    return token;
  }
}

function isOver({ expires }: AccessToken, nowMs: number): boolean {
  return expires !== undefined && (parseTime(expires) ?? 0) <= nowMs;
}
