import type { ClientConnection } from '@drover/shared';
import { hasTlsParameters, isClient, knownNodes, openClient } from '@drover/store';
import { Cluster, type RedisOptions } from 'ioredis';

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
  const source = withFilesRead(connection);
  if (typeof source === 'string') return source;
  if (source instanceof Cluster) {
    const { redisOptions } = source.options;
    return { ...describeOptions({ ...redisOptions }), cluster: knownNodes(source) };
  }
  // Of its options, since a client has a command of that name.
  const options = isClient(source) ? source.options : source;
  const cluster = 'cluster' in options ? { cluster: options.cluster } : {};
  return { ...describeOptions(options), ...cluster };
}

function describeOptions(options: RedisOptions): Record<string, unknown> {
  const plain: Record<string, unknown> = {};
  for (const field of FIELDS) if (options[field] !== undefined) plain[field] = options[field];
  for (const field of ['tls', 'sentinelTLS'] as const) {
    if (options[field] !== undefined) plain[field] = describeTls({ ...options[field] });
  }
  return plain;
}

/** A pod may not be let to the files that an address names, so they are read for it. */
function withFilesRead(connection: Connection): Connection {
  const hasFiles = typeof connection === 'string' && hasTlsParameters(connection);
  return hasFiles ? openClient(connection, { lazyConnect: true }) : connection;
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
