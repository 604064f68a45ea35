import type { ClientConnection } from '@drover/shared';
import { hasTlsParameters, openRedis } from '@drover/store';
import { Redis, type RedisOptions } from 'ioredis';

import type { Connection } from '../link.ts';

/** Options that say where Redis is and how to log in; the others are the worker's own business. */
const FIELDS = [
  'host',
  'port',
  'path',
  'family',
  'username',
  'password',
  'db',
  'sentinels',
  'name',
  'role',
  'sentinelUsername',
  'sentinelPassword',
  'enableTLSForSentinelMode',
] as const satisfies readonly (keyof RedisOptions)[];

/** Of TLS: certificates, keys and names as text; a secure context of the worker can't be handed on. */
const TLS_FIELDS = ['ca', 'cert', 'key', 'passphrase', 'servername', 'rejectUnauthorized'] as const;

/** A worker's connection as plain data, for its pods. */
export function describeConnection(connection: Connection): ClientConnection['connection'] {
  const options = optionsOf(connection);
  if (typeof options === 'string') return options;
  const plain: Record<string, unknown> = {};
  for (const field of FIELDS) if (options[field] !== undefined) plain[field] = options[field];
  for (const field of ['tls', 'sentinelTLS'] as const) {
    if (options[field] !== undefined) plain[field] = describeTls({ ...options[field] });
  }
  return plain;
}

/** A pod may not be let to the files that an address names, so they are read for it. */
function optionsOf(connection: Connection): string | RedisOptions {
  if (typeof connection !== 'string') {
    return connection instanceof Redis ? connection.options : connection;
  }
  if (!hasTlsParameters(connection)) return connection;
  return openRedis(connection, { lazyConnect: true }).options;
}

function describeTls(tls: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const asText = (value: unknown): unknown => (Buffer.isBuffer(value) ? value.toString() : value);
  return Object.fromEntries(
    TLS_FIELDS.filter((field) => tls[field] !== undefined).map((field) => {
      const value = tls[field];
      return [field, Array.isArray(value) ? value.map(asText) : asText(value)];
    }),
  );
}
