import { readAccessToken, type AccessToken } from '@drover/shared';
import { Backend } from '@drover/sdk/internals';

import { alreadyThere } from './tokenFile.ts';

/** Where tokens are kept. */
export interface TokenSource {
  /** What is known of a token; null when there is none of that name. */
  find(name: string): Promise<AccessToken | null>;
  list(): Promise<readonly AccessToken[]>;
  /** Keeps a new one. @throws AlreadyExistsError */
  add(token: AccessToken): Promise<void>;
  /** Forgets one; false when there is none of that name. */
  remove(name: string): Promise<boolean>;
}

/** Tokens in Redis: good for every server of the engine. */
export class StoredTokens implements TokenSource {
  readonly #backend: Backend;

  constructor(backend: Backend) {
    this.#backend = backend;
  }

  async find(name: string): Promise<AccessToken | null> {
    const text = await this.#backend.run(({ tokens }) => tokens.get(name));
    return text === null ? null : readAccessToken(text);
  }

  async list(): Promise<readonly AccessToken[]> {
    const texts = await this.#backend.run(({ tokens }) => tokens.list());
    return texts.map(readAccessToken);
  }

  async add(token: AccessToken): Promise<void> {
    const text = JSON.stringify(token);
    if (!(await this.#backend.run(({ tokens }) => tokens.add(token.name, text)))) {
      throw alreadyThere(token.name);
    }
  }

  async remove(name: string): Promise<boolean> {
    return await this.#backend.run(({ tokens }) => tokens.remove(name));
  }
}

/** Opens the tokens that are kept in Redis. */
export function openStoredTokens(options: ConstructorParameters<typeof Backend>[0]): {
  readonly tokens: TokenSource;
  readonly close: () => Promise<void>;
} {
  const backend = new Backend(options);
  return { tokens: new StoredTokens(backend), close: () => backend.close() };
}
