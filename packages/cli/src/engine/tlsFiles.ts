import type { TlsParameter } from '@drover/store';

import { badInput } from '../errors.ts';

/** Options about TLS to Redis, as commander names them. */
export interface TlsOptions {
  readonly redisCacert?: string | undefined;
  readonly redisCert?: string | undefined;
  readonly redisKey?: string | undefined;
  readonly redisServername?: string | undefined;
}

/** A setting for TLS and where it was made. */
export interface TlsSetting {
  readonly parameter: TlsParameter;
  readonly value: string;
  readonly source: 'option' | 'environment';
  /** As the user wrote it, for messages: `--redis-cacert PATH` or `NAME=PATH`. */
  readonly saidAs: string;
}

const OPTION_KEYS = {
  cacert: 'redisCacert',
  cert: 'redisCert',
  key: 'redisKey',
  servername: 'redisServername',
} as const satisfies Record<TlsParameter, keyof TlsOptions>;

/** All parameters; said here, too, since help must not wait for the store to be loaded. */
export const TLS_PARAMETERS = Object.keys(OPTION_KEYS) as TlsParameter[];

/** Name of the variable that does what `--redis-<parameter>` does. */
export function tlsVariable(parameter: TlsParameter): string {
  return `DROVER_REDIS_${parameter.toUpperCase()}`;
}

/** What options, else the environment, say of TLS. */
export function findTls(options: TlsOptions): TlsSetting[] {
  return TLS_PARAMETERS.flatMap((parameter): TlsSetting[] => {
    const option = options[OPTION_KEYS[parameter]];
    if (option !== undefined) {
      const saidAs = `--redis-${parameter} ${option}`;
      return [{ parameter, value: option, source: 'option', saidAs }];
    }
    const name = tlsVariable(parameter);
    const value = process.env[name];
    if (value === undefined || value === '') return [];
    return [{ parameter, value, source: 'environment', saidAs: `${name}=${value}` }];
  });
}

/**
 * Puts settings for TLS into an address of Redis. Whether the files can be read is told by who
 * connects.
 *
 * @throws CliError when the address is not one of TLS, or says the same already.
 */
export function addTls(url: string, settings: readonly TlsSetting[]): string {
  if (settings.length === 0) return url;
  if (!/^rediss(?:\+[a-z]+)?:\/\//.test(url)) {
    const said = settings.map(({ saidAs }) => saidAs).join(', ');
    throw badInput(`${said}: for TLS the address of Redis has to begin with rediss://`);
  }
  const [base = '', ...rest] = url.split('?');
  const query = new URLSearchParams(rest.join('?'));
  for (const { parameter, value, saidAs } of settings) {
    if (query.has(parameter)) {
      throw badInput(`${saidAs}: the address of Redis has ${parameter} already, leave one out`);
    }
    query.set(parameter, value);
  }
  return `${base}?${query.toString()}`;
}
