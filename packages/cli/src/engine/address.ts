import { readFile } from 'node:fs/promises';

import { CliError, badInput } from '../errors.ts';
import { EXIT } from '../exitCodes.ts';
import { readDevContext } from './context.ts';
import { addPassword, findPasswordFile } from './passwordFile.ts';
import { addTls, findTls, type TlsOptions } from './tlsFiles.ts';

/** Where an engine's Redis is, and how we came to know. */
export interface EngineAddress {
  /** An address as `--redis` takes it. */
  readonly url: string;
  /** Key prefix; undefined for the default. */
  readonly prefix: string | undefined;
  /** The key file for Secrets of a running `drover dev`. */
  readonly secretKeyFile?: string;
  /** `flag`: --redis or --redis-file. `env`: DROVER_REDIS_URL. `dev`: a running `drover dev`. */
  readonly source: 'flag' | 'env' | 'dev';
}

/** Options that say where the engine is; every command that needs one has them. */
export interface AddressOptions extends TlsOptions {
  /** --redis URL. */
  readonly redis?: string | undefined;
  /** --redis-file PATH: a file with the URL, so that it shows in no process list. */
  readonly redisFile?: string | undefined;
  /** --redis-password-file PATH: a file with the password alone, for an address without one. */
  readonly redisPasswordFile?: string | undefined;
  /** --prefix or DROVER_PREFIX. */
  readonly prefix?: string | undefined;
}

/**
 * Looks for the engine: `--redis` or `--redis-file`, then DROVER_REDIS_URL, then a running
 * `drover dev`. The password may come from a file of its own, by `--redis-password-file` or
 * DROVER_REDIS_PASSWORD_FILE; files for TLS by options or variables of their own.
 *
 * @returns null when there is none.
 */
export async function findEngine(options: AddressOptions): Promise<EngineAddress | null> {
  const named = await findNamed(options);
  if (named !== null) {
    const file = findPasswordFile(options.redisPasswordFile);
    const url = file === null ? named.url : await addPassword(named.url, file);
    return { ...named, url: addTls(url, findTls(options)) };
  }
  const [orphan] = findTls(options).filter(({ source }) => source === 'option');
  if (orphan !== undefined) {
    throw badInput(`${orphan.saidAs} says nothing of where Redis is: add --redis URL`);
  }
  if (options.redisPasswordFile !== undefined) {
    throw badInput('--redis-password-file says nothing of where Redis is: add --redis URL');
  }
  // A `drover dev` has a password of its own, whatever the environment says of others.
  const { prefix } = options;
  const dev = await readDevContext();
  if (dev === null) return null;
  const { redisUrl: url, secretKeyFile } = dev;
  return { url, prefix: prefix ?? dev.prefix, secretKeyFile, source: 'dev' };
}

async function findNamed(options: AddressOptions): Promise<EngineAddress | null> {
  const { prefix } = options;
  if (options.redis !== undefined && options.redisFile !== undefined) {
    throw badInput('--redis and --redis-file exclude each other');
  }
  if (options.redis !== undefined) return { url: options.redis, prefix, source: 'flag' };
  if (options.redisFile !== undefined) {
    return { url: await readUrlFile(options.redisFile), prefix, source: 'flag' };
  }
  const fromEnv = process.env['DROVER_REDIS_URL'];
  if (fromEnv !== undefined && fromEnv !== '') return { url: fromEnv, prefix, source: 'env' };
  return null;
}

/** As {@link findEngine}, but having none is an error that says what to do. */
export async function requireEngine(options: AddressOptions): Promise<EngineAddress> {
  const address = await findEngine(options);
  if (address !== null) return address;
  throw new CliError('no engine found', EXIT.noConnection, [
    '  start one here with `drover dev`,',
    '  or say where its Redis is with --redis URL or DROVER_REDIS_URL',
  ]);
}

async function readUrlFile(path: string): Promise<string> {
  try {
    const url = (await readFile(path, 'utf8')).trim();
    if (url !== '') return url;
  } catch (error) {
    throw badInput(`--redis-file ${path}: ${error instanceof Error ? error.message : ''}`);
  }
  throw badInput(`--redis-file ${path}: the file is empty`);
}
