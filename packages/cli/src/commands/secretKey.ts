import { randomUUID } from 'node:crypto';
import { readFile, rename, stat, writeFile } from 'node:fs/promises';

import { newSecretKey, SecretKeyFile, SecretKeys } from '@drover/store';

import { withDrover } from '../client.ts';
import { badInput } from '../errors.ts';
import { EXIT } from '../exitCodes.ts';
import type { EngineOptions, SecretKeyOptions } from '../options.ts';

/** Options of `drover secret-key create`. */
export interface CreateKeyOptions {
  /** Put it before the keys of an existing file. */
  add?: boolean;
}

/** Makes a key file, or adds a key to one. */
export async function createKeyCommand(path: string, options: CreateKeyOptions): Promise<number> {
  const key = newSecretKey();
  await (options.add === true ? addKey(path, key) : writeNew(path, key));
  const { id } = SecretKeys.parse(key, path);
  process.stdout.write(`key ${id} ${options.add === true ? 'added to' : 'in'} ${path}\n`);
  return EXIT.ok;
}

async function writeNew(path: string, key: string): Promise<void> {
  try {
    await writeFile(path, `${key}\n`, { mode: 0o600, flag: 'wx' });
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code !== 'EEXIST') throw badInput(`${path}: ${message}`);
    throw badInput(`${path} exists: Secrets may be encrypted with what is in it`, [
      '  --add puts a new key before those that it has',
    ]);
  }
}

/** As a whole: who reads it meanwhile has the old one or the new one. */
async function addKey(path: string, key: string): Promise<void> {
  // What is no key file is told as such.
  await new SecretKeyFile(path).read();
  const [text, { mode }] = await Promise.all([readFile(path, 'utf8'), stat(path)]);
  const draft = `${path}.${randomUUID()}`;
  await writeFile(draft, `${key}\n${text}`, { mode: mode & 0o777 });
  await rename(draft, path);
}

/** Encrypts all Secrets anew that are not encrypted with the first key of the file. */
export async function resealCommand(options: EngineOptions & SecretKeyOptions): Promise<number> {
  return await withDrover(options, async (drover) => {
    let count = 0;
    for (const { metadata } of await drover.secrets.summaries({ allNamespaces: true })) {
      if (!(await drover.secrets.reseal({ metadata }))) continue;
      count += 1;
      process.stdout.write(
        `secret/${metadata.name} in namespace ${metadata.namespace} encrypted anew\n`,
      );
    }
    if (count === 0) process.stderr.write('All Secrets are encrypted with the first key.\n');
    return EXIT.ok;
  });
}
