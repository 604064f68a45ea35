import { randomBytes, randomUUID } from 'node:crypto';
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import {
  createAuthority,
  createServerCertificate,
  isAuthorityGood,
  isCertificateGood,
  type KeyPair,
} from './authority.ts';

/** What a server shows itself with, and what it asks of its clients. */
export interface Identity {
  /** Certificate of the authority, PEM; clients are given it. */
  readonly authority: string;
  /** The server's certificate and key. */
  readonly server: KeyPair;
  /** Bearer token that lets a client do everything. */
  readonly token: string;
}

/** Options of {@link prepareIdentity}. */
export interface IdentityOptions {
  /** Where it is kept; made if it is missing, for its owner only. */
  readonly dir: string;
  /** DNS names and addresses that clients reach the server by, beside those of this host's loopback. */
  readonly names?: readonly string[];
  readonly nowMs: number;
}

const LOOPBACK_NAMES = ['localhost', '127.0.0.1', '::1'];
const TOKEN_BYTES = 32;

/**
 * Reads the identity of a server from its folder, and makes what is missing, damaged, out of date or
 * for other names. The authority and the token stay, so that clients that know them go on.
 */
export async function prepareIdentity(options: IdentityOptions): Promise<Identity> {
  const { dir, nowMs } = options;
  await mkdir(dir, { recursive: true, mode: 0o700 });
  const known = await readPair(dir, 'ca');
  const isKept = known !== null && isAuthorityGood(known, nowMs);
  const authority = isKept ? known : await createAuthority(nowMs);
  if (!isKept) await writePair(dir, 'ca', authority);

  const names = [...new Set([...LOOPBACK_NAMES, ...(options.names ?? [])])];
  let server = await readPair(dir, 'server');
  if (
    server === null ||
    !isCertificateGood(server.certificate, authority.certificate, names, nowMs)
  ) {
    server = await createServerCertificate(authority, names, nowMs);
    await writePair(dir, 'server', server);
  }
  return { authority: authority.certificate, server, token: await readToken(dir) };
}

async function readToken(dir: string): Promise<string> {
  const path = join(dir, 'token');
  const known = (await readText(path)).trim();
  if (known !== '') return known;
  const token = randomBytes(TOKEN_BYTES).toString('base64url');
  await writePrivate(path, `${token}\n`);
  return token;
}

async function readPair(dir: string, name: string): Promise<KeyPair | null> {
  const certificate = await readText(join(dir, `${name}.crt`));
  const privateKey = await readText(join(dir, `${name}.key`));
  return certificate === '' || privateKey === '' ? null : { certificate, privateKey };
}

async function writePair(dir: string, name: string, pair: KeyPair): Promise<void> {
  await writePrivate(join(dir, `${name}.key`), pair.privateKey);
  await writePrivate(join(dir, `${name}.crt`), pair.certificate);
}

/** A file's text; empty when there is none. */
async function readText(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return '';
    throw error;
  }
}

/** Writes a file for its owner only; who reads it sees the old one or the new one. */
export async function writePrivate(path: string, text: string): Promise<void> {
  const draft = `${path}.${randomUUID()}`;
  await writeFile(draft, text, { mode: 0o600 });
  await rename(draft, path);
}
