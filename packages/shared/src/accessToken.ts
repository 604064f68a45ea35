import * as z from 'zod';

import { InvalidSpecError, TerminalError } from './errors.ts';
import { duplicate, invalid, notSupported, type ValidationIssue } from './issues.ts';
import { dnsLabelProblems } from './names.ts';
import { parseLenient, parseStructure } from './structure.ts';
import { parseTime } from './time.ts';

/** What one may do: look, change what is in namespaces, or everything. Each includes those before it. */
export const ACCESS_ROLES = ['view', 'edit', 'admin'] as const;
/** One of {@link ACCESS_ROLES}. */
export type AccessRole = (typeof ACCESS_ROLES)[number];

/** Whom an API server's own token belongs to. No other token may be called so: what it did would be taken for the administrator's. */
export const ADMIN_NAME = 'drover-admin';

/** A role where it holds. */
export interface AccessGrant {
  readonly role: AccessRole;
  /** null = in all namespaces, and for what is in none. */
  readonly namespace: string | null;
}

/** What is known of a bearer token: everything but the token itself. */
export const AccessToken = z.strictObject({
  /** Who has it is called so; a part of the token. */
  name: z.string(),
  /** `sha256:` and the digest of the token in hexadecimal digits. */
  hash: z.string(),
  /** Roles: `edit:team-a` in one namespace, `edit` in all of them. */
  roles: z.array(z.string()),
  /** When it was made, RFC 3339. */
  created: z.string().optional(),
  /** From when on it is refused, RFC 3339; without it never. */
  expires: z.string().optional(),
});
/** What is known of a bearer token. */
export type AccessToken = z.output<typeof AccessToken>;

/** A file of tokens. */
const AccessTokenFile = z.strictObject({
  /** The tokens. */
  tokens: z.array(AccessToken).default([]),
});

/** Reads a role as it is written: `view`, or `edit:team-a`. null when it is none. */
export function parseAccessGrant(text: string): AccessGrant | null {
  const [word, namespace, ...rest] = text.split(':');
  const role = ACCESS_ROLES.find((known) => known === word);
  if (role === undefined || rest.length > 0) return null;
  if (namespace === undefined) return { role, namespace: null };
  return dnsLabelProblems(namespace).length === 0 ? { role, namespace } : null;
}

/**
 * Checks what is known of some tokens, as a file has it.
 *
 * @param name - Of the file, for messages.
 * @throws InvalidSpecError with everything that is wrong with it.
 */
export function parseAccessTokens(input: unknown, name: string): readonly AccessToken[] {
  const { value, issues, isSound } = parseStructure(AccessTokenFile, input ?? {}, () => '');
  const found = value.tokens.flatMap((token, at) => [
    ...accessTokenIssues(token, `tokens[${at}]`),
    ...(value.tokens.findIndex((other) => other.name === token.name) < at
      ? [duplicate(`tokens[${at}].name`, token.name)]
      : []),
  ]);
  const all = [...issues, ...found.filter(({ path }) => isSound(path))];
  if (all.length > 0) throw new InvalidSpecError('Tokens', name, all);
  return value.tokens;
}

/** What is wrong with what is said of a token. */
function accessTokenIssues(token: AccessToken, path: string): ValidationIssue[] {
  const issues: ValidationIssue[] = [];
  for (const problem of dnsLabelProblems(token.name)) {
    issues.push(invalid(`${path}.name`, token.name, problem));
  }
  if (token.name === ADMIN_NAME) {
    const detail = "is the name of the holder of the server's own token";
    issues.push(invalid(`${path}.name`, token.name, detail));
  }
  if (!/^sha256:[\da-f]{64}$/.test(token.hash)) {
    const detail = 'must be `sha256:` and 64 hexadecimal digits in lower case';
    issues.push(invalid(`${path}.hash`, token.hash, detail));
  }
  if (token.roles.length === 0) {
    issues.push({ path: `${path}.roles`, kind: 'Required', detail: 'a token has a role at least' });
  }
  for (const [at, role] of token.roles.entries()) {
    if (parseAccessGrant(role) !== null) continue;
    const known = ACCESS_ROLES.flatMap((word) => [word, `${word}:NAMESPACE`]);
    issues.push(notSupported(`${path}.roles[${at}]`, role, known));
  }
  for (const field of ['created', 'expires'] as const) {
    const time = token[field];
    if (time === undefined || parseTime(time) !== null) continue;
    issues.push(invalid(`${path}.${field}`, time, 'must be a time such as 2030-01-31T12:00:00Z'));
  }
  return issues;
}

/** Reads what is stored of a token. @throws TerminalError when this version can't. */
export function readAccessToken(text: string): AccessToken {
  const token = parseLenient(AccessToken, JSON.parse(text));
  if (token === null) throw new TerminalError('a stored token can not be read by this version');
  return token;
}
