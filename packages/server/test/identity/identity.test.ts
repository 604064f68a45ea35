import { X509Certificate } from 'node:crypto';
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, expect, test } from 'vitest';

import { prepareIdentity } from '../../src/index.ts';

const DAY_MS = 86_400_000;
let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'drover-identity-'));
});
afterEach(async () => await rm(dir, { recursive: true, force: true }));

test('is made once: authority, certificate and token stay, for their owner only', async () => {
  const nowMs = Date.now();
  const first = await prepareIdentity({ dir, nowMs });
  expect(await prepareIdentity({ dir, nowMs })).toEqual(first);
  expect(first.token).toMatch(/^[\w-]{43}$/);
  const certificate = new X509Certificate(first.server.certificate);
  const authority = new X509Certificate(first.authority);
  expect(certificate.verify(authority.publicKey)).toBe(true);
  expect(certificate.checkHost('localhost')).toBe('localhost');
  expect(certificate.checkIP('127.0.0.1')).toBe('127.0.0.1');
  expect([authority.ca, certificate.ca]).toEqual([true, false]);
  for (const name of ['ca.key', 'server.key', 'token']) {
    expect((await stat(join(dir, name))).mode & 0o777).toBe(0o600);
  }
});

test('a certificate is made anew for another name, before it ends, and when it is damaged', async () => {
  const nowMs = Date.now();
  const first = await prepareIdentity({ dir, nowMs });
  const named = await prepareIdentity({ dir, nowMs, names: ['drover.example.com', '10.1.2.3'] });
  const certificate = new X509Certificate(named.server.certificate);
  expect(certificate.checkHost('drover.example.com')).toBeDefined();
  expect(certificate.checkIP('10.1.2.3')).toBeDefined();
  const later = await prepareIdentity({ dir, nowMs: nowMs + 380 * DAY_MS });
  expect(later.server.certificate).not.toBe(named.server.certificate);
  await writeFile(join(dir, 'server.crt'), 'damaged');
  const mended = await prepareIdentity({ dir, nowMs });
  expect(mended.server.certificate).toContain('BEGIN CERTIFICATE');
  // Clients know the authority and the token.
  for (const { authority, token } of [named, later, mended]) {
    expect({ authority, token }).toEqual({ authority: first.authority, token: first.token });
  }
  expect((await readFile(join(dir, 'token'), 'utf8')).trim()).toBe(first.token);
});
