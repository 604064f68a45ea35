import { readFile, stat } from 'node:fs/promises';

import { AlreadyExistsError, parseAccessTokens, type AccessToken } from '@drover/shared';
import { parse, stringify } from 'yaml';

import { writePrivate } from '../identity/identity.ts';
import type { TokenSource } from './tokens.ts';

/** How long a file is taken to be as it was, ms. */
const FRESH_MS = 1_000;

/** Tokens in a YAML file. */
export class TokenFile implements TokenSource {
  readonly #path: string;
  #known: { readonly version: string; readonly tokens: readonly AccessToken[] } | null = null;
  #checkedAtMs = Number.NEGATIVE_INFINITY;

  constructor(path: string) {
    this.#path = path;
  }

  /** Reads all of them, anew when the file has changed. @throws InvalidSpecError; the error of Node. */
  async list(): Promise<readonly AccessToken[]> {
    const nowMs = performance.now();
    if (this.#known !== null && nowMs - this.#checkedAtMs < FRESH_MS) return this.#known.tokens;
    const { mtimeMs, size, ino } = await stat(this.#path);
    const version = `${mtimeMs} ${size} ${ino}`;
    if (this.#known?.version !== version) {
      this.#known = { version, tokens: await readTokens(this.#path) };
    }
    this.#checkedAtMs = nowMs;
    return this.#known.tokens;
  }

  async find(name: string): Promise<AccessToken | null> {
    return (await this.list()).find((token) => token.name === name) ?? null;
  }

  async add(token: AccessToken): Promise<void> {
    const tokens = await this.#orNone();
    if (tokens.some(({ name }) => name === token.name)) throw alreadyThere(token.name);
    await this.#write([...tokens, token]);
  }

  async remove(name: string): Promise<boolean> {
    const tokens = await readTokens(this.#path);
    const others = tokens.filter((token) => token.name !== name);
    if (others.length < tokens.length) await this.#write(others);
    return others.length < tokens.length;
  }

  async #orNone(): Promise<readonly AccessToken[]> {
    try {
      return await readTokens(this.#path);
    } catch (error) {
      if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return [];
      throw error;
    }
  }

  async #write(tokens: readonly AccessToken[]): Promise<void> {
    await writePrivate(this.#path, stringify({ tokens }, { lineWidth: 0 }));
  }
}

async function readTokens(path: string): Promise<readonly AccessToken[]> {
  return parseAccessTokens(parse(await readFile(path, 'utf8')), path);
}

/** There is a token of that name. */
export function alreadyThere(name: string): AlreadyExistsError {
  return new AlreadyExistsError({ resource: 'tokens', name });
}
