import type { ConnectionOptions } from 'node:tls';

import { ConnectionError } from '@drover/shared';
import type { RedisOptions } from 'ioredis';

/** A host and the TCP port on it. */
export interface HostPort {
  readonly host: string;
  readonly port: number;
}

/** A Redis Cluster: some of its nodes, which name the others, and ioredis' options for each connection. */
export interface ClusterConnectionOptions extends Omit<
  RedisOptions,
  'host' | 'port' | 'path' | 'db' | 'sentinels' | 'name'
> {
  readonly cluster: readonly HostPort[];
}

/** Forms of an address, for messages. */
export const ADDRESS_FORMS =
  'redis://[user:password@]host:port[/db], rediss://... for TLS, the path of a socket, ' +
  'redis+sentinel://[user:password@]host:port,host:port[/db]?name=MASTER or ' +
  'redis+cluster://[user:password@]host:port,host:port';

const SENTINEL_PORT = 26_379;
const REDIS_PORT = 6_379;
/** What may follow `?` in the address of Sentinels. */
const SENTINEL_SETTINGS = ['name', 'sentinelUsername', 'sentinelPassword'] as const;

/** The parts of an address with several hosts. */
interface Parts {
  readonly isTls: boolean;
  readonly kind: 'sentinel' | 'cluster';
  /** What precedes the last `@`; empty when there is none. */
  readonly login: string;
  readonly hosts: readonly string[];
  readonly path: string;
  readonly query: string;
}

/** Cuts the password and whatever else is secret out of an address. */
export function redactAddress(text: string): string {
  return text
    .replace(/\/\/[^/\s]*@/, '//***@')
    .replaceAll(/([?&](?:sentinelP|p)assword=)[^&\s]*/g, '$1***');
}

/** Puts a password into an address; null when there is one already. What is no address stays as it is. */
export function withPassword(address: string, password: string): string | null {
  const encoded = encodeURIComponent(password);
  if (address.startsWith('/') || address.startsWith('unix:')) {
    if (/[?&]password=/.test(address)) return null;
    return `${address}${address.includes('?') ? '&' : '?'}password=${encoded}`;
  }
  const [, scheme, login = '', rest] = /^([a-z+]+:\/\/)([^/]*@)?(.*)$/.exec(address) ?? [];
  if (scheme === undefined) return address;
  const [user, given] = splitLogin(login.slice(0, -1));
  return given === '' ? `${scheme}${user}:${encoded}@${rest}` : null;
}

/**
 * Options for an address of Sentinels or of a cluster; null for one of a single server, which ioredis reads.
 *
 * @param tls - For one that asks for TLS.
 * @throws ConnectionError for an address that is none, with all that is wrong with it.
 */
export function parseAddress(
  text: string,
  tls: ConnectionOptions = {},
): RedisOptions | ClusterConnectionOptions | null {
  if (text.startsWith('/')) return null;
  const parts = splitAddress(text);
  if (parts === null) {
    if (URL.canParse(text) && /^rediss?:$/.test(new URL(text).protocol)) return null;
    throw new ConnectionError(
      `${JSON.stringify(redactAddress(text))} is no address of a Redis: give ${ADDRESS_FORMS}`,
    );
  }
  const problems: string[] = [];
  const defaultPort = parts.kind === 'sentinel' ? SENTINEL_PORT : REDIS_PORT;
  const nodes = parts.hosts.map((host) => parseHost(host, defaultPort, problems));
  const [username, password] = splitLogin(parts.login).map((one) => decode(one, problems));
  const options = {
    ...(username !== '' && { username }),
    ...(password !== '' && { password }),
    ...(parts.isTls && { tls }),
  };
  const query = new URLSearchParams(parts.query);
  const result =
    parts.kind === 'cluster'
      ? { ...options, ...clusterOf(parts, query, nodes, problems) }
      : {
          ...options,
          ...sentinelsOf(parts, query, nodes, problems),
          ...(parts.isTls && { enableTLSForSentinelMode: true, sentinelTLS: tls }),
        };
  if (problems.length === 0) return result;
  throw new ConnectionError(
    `${JSON.stringify(redactAddress(text))} is no address of a Redis: ${problems.join('; ')}`,
  );
}

function splitAddress(text: string): Parts | null {
  const pattern =
    /^redis(s?)\+(sentinel|cluster):\/\/(?:([^/]*)@)?([^/?]*)(?:\/([^?]*))?(?:\?(.*))?$/;
  const [, tls, kind, login = '', hosts = '', path = '', query = ''] = pattern.exec(text) ?? [];
  if (kind !== 'sentinel' && kind !== 'cluster') return null;
  return { isTls: tls === 's', kind, login, hosts: hosts.split(','), path, query };
}

function clusterOf(
  { path }: Parts,
  query: URLSearchParams,
  cluster: readonly HostPort[],
  problems: string[],
): ClusterConnectionOptions {
  if (path !== '') problems.push(`/${path}: a cluster has one database only, leave it out`);
  for (const name of query.keys()) problems.push(`?${name}: no such setting, there are none`);
  return { cluster };
}

function sentinelsOf(
  { path }: Parts,
  query: URLSearchParams,
  sentinels: HostPort[],
  problems: string[],
): RedisOptions {
  if (path !== '' && !/^\d{1,9}$/.test(path)) {
    problems.push(`/${path}: the number of a database is expected`);
  }
  for (const name of new Set(query.keys())) {
    if (!(SENTINEL_SETTINGS as readonly string[]).includes(name)) {
      problems.push(`?${name}: no such setting, there are ${SENTINEL_SETTINGS.join(', ')}`);
    }
    if (query.getAll(name).length > 1) problems.push(`?${name}: given more than once`);
  }
  const [name, sentinelUsername, sentinelPassword] = SENTINEL_SETTINGS.map((one) => query.get(one));
  if (!name) problems.push('?name: missing, the name of the master as the Sentinels know it');
  return {
    sentinels,
    ...(name && { name }),
    ...(path !== '' && { db: Number(path) }),
    ...(sentinelUsername && { sentinelUsername }),
    ...(sentinelPassword && { sentinelPassword }),
  };
}

function parseHost(text: string, defaultPort: number, problems: string[]): HostPort {
  const [, bracketed, plain, port] =
    /^(?:\[([\da-f:.]+)\]|([^:[\]\s]+))(?::(\d+))?$/i.exec(text) ?? [];
  const host = bracketed ?? plain;
  const number = port === undefined ? defaultPort : Number(port);
  if (host === undefined || number < 1 || number > 65_535) {
    problems.push(`${JSON.stringify(text)}: host or host:port is expected, a port is 1 to 65535`);
    return { host: '', port: defaultPort };
  }
  return { host, port: number };
}

function splitLogin(login: string): [user: string, password: string] {
  const colon = login.indexOf(':');
  return colon < 0 ? [login, ''] : [login.slice(0, colon), login.slice(colon + 1)];
}

function decode(text: string, problems: string[]): string {
  try {
    return decodeURIComponent(text);
  } catch {
    problems.push('user name or password: a % is written %25');
    return '';
  }
}
