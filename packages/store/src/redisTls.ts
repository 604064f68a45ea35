import { readFileSync } from 'node:fs';
import type { ConnectionOptions } from 'node:tls';

import { ConnectionError } from '@drover/shared';

/** Parameters of a `rediss://` address that name files, and what TLS calls their contents. */
const TLS_FILES = { cacert: 'ca', cert: 'cert', key: 'key' } as const;

/**
 * Parameters of a `rediss://` address: files in PEM form with the certificate authorities that are
 * trusted instead of the system's, and with a client certificate and its key; and the name that the
 * server's certificate must have when that is not the host's.
 */
const TLS_PARAMETERS = ['cacert', 'cert', 'key', 'servername'] as const;

/** One of {@link TLS_PARAMETERS}. */
export type TlsParameter = (typeof TLS_PARAMETERS)[number];

/** Whether an address has one of {@link TLS_PARAMETERS}. */
export function hasTlsParameters(address: string): boolean {
  return splitQuery(address) !== null;
}

/**
 * Takes TLS out of an address, reading the files that it names; null when it says nothing of it but, perhaps, that
 * there is to be TLS.
 *
 * @throws ConnectionError when a file can not be read, or the address is none for TLS.
 */
export function splitTls(address: string): { address: string; tls: ConnectionOptions } | null {
  const found = splitQuery(address);
  if (found === null) return null;
  const { base, rest, given } = found;
  if (!isTlsAddress(address)) {
    throw new ConnectionError(
      `the address of Redis has ${given.join(', ')}, which only one with rediss:// may have`,
    );
  }
  if (rest.has('cert') !== rest.has('key')) {
    throw new ConnectionError(
      'the address of Redis has only one of cert and key: a client certificate goes with its key',
    );
  }
  const tls: ConnectionOptions = {};
  for (const name of given) {
    const value = rest.get(name) ?? '';
    if (name === 'servername') tls.servername = value;
    else tls[TLS_FILES[name]] = readPem(name, value);
    rest.delete(name);
  }
  const query = rest.toString();
  return { address: `${base}${query === '' ? '' : `?${query}`}`, tls };
}

/** Whether an address asks for TLS. */
function isTlsAddress(address: string): boolean {
  return /^rediss(?:\+[a-z]+)?:\/\//.test(address);
}

function splitQuery(
  address: string,
): { base: string; rest: URLSearchParams; given: readonly TlsParameter[] } | null {
  const [base = '', ...query] = address.split('?');
  const rest = new URLSearchParams(query.join('?'));
  const given = TLS_PARAMETERS.filter((name) => rest.has(name));
  return given.length === 0 ? null : { base, rest, given };
}

function readPem(name: TlsParameter, path: string): string {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new ConnectionError(`${name} of the address of Redis: ${why}`, { cause });
  }
  if (text.includes('-----BEGIN ')) return text;
  throw new ConnectionError(`${name} of the address of Redis: ${path} is no file in PEM form`);
}
