import { hashOf, newToken, openStoredTokens, TokenFile, type TokenSource } from '@drover/server';
import { ageText, formatTime, NotFoundError, parseAccessTokens } from '@drover/shared';

import { requireEngine } from '../engine/address.ts';
import { EXIT } from '../exitCodes.ts';
import type { EngineOptions } from '../options.ts';
import { formatTable } from '../text/table.ts';

/** Options of all commands about tokens. */
export interface TokenOptions extends EngineOptions {
  /** Where tokens are kept instead of in Redis. */
  file?: string;
}

/** Options of `drover token create`. */
export interface CreateTokenOptions extends TokenOptions {
  role: string[];
  /** In ms. */
  ttl?: number;
}

/** Makes a token and prints it. */
export async function createTokenCommand(
  name: string,
  options: CreateTokenOptions,
): Promise<number> {
  const nowMs = Date.now();
  const token = newToken(name);
  const { ttl } = options;
  const wanted = {
    name,
    hash: hashOf(token),
    roles: options.role,
    created: formatTime(nowMs),
    ...(ttl === undefined ? {} : { expires: formatTime(nowMs + ttl) }),
  };
  const [known] = parseAccessTokens({ tokens: [wanted] }, name);
  await withTokens(options, (tokens) => tokens.add(known ?? wanted));
  process.stdout.write(`${token}\n`);
  return EXIT.ok;
}

/** Lists the tokens. */
export async function listTokensCommand(options: TokenOptions): Promise<number> {
  const nowMs = Date.now();
  const found = await withTokens(options, (tokens) => tokens.list());
  if (found.length === 0) process.stderr.write('There are no tokens.\n');
  else {
    const rows = found
      .toSorted((a, b) => (a.name < b.name ? -1 : 1))
      .map(({ name, roles, created, expires }) => [
        name,
        roles.join(','),
        ageText(created, nowMs),
        expires ?? '<never>',
      ]);
    const header = ['name', 'roles', 'age', 'expires'];
    process.stdout.write(`${formatTable(header, rows).join('\n')}\n`);
  }
  return EXIT.ok;
}

/** Revokes tokens. */
export async function revokeTokensCommand(
  names: readonly string[],
  options: TokenOptions,
): Promise<number> {
  return await withTokens(options, async (tokens) => {
    let exitCode: number = EXIT.ok;
    for (const name of names) {
      if (await tokens.remove(name)) process.stdout.write(`token/${name} revoked\n`);
      else {
        const { message } = new NotFoundError({ resource: 'tokens', name });
        process.stderr.write(`error: ${message}\n`);
        exitCode = EXIT.failed;
      }
    }
    return exitCode;
  });
}

async function withTokens<T>(
  options: TokenOptions,
  command: (tokens: TokenSource) => Promise<T>,
): Promise<T> {
  if (options.file !== undefined) return await command(new TokenFile(options.file));
  const { url: connection, prefix } = await requireEngine(options);
  const { tokens, close } = openStoredTokens({
    connection,
    ...(prefix === undefined ? {} : { prefix }),
  });
  try {
    return await command(tokens);
  } finally {
    await close();
  }
}
