import { readFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';

import { parse } from 'yaml';

import { badInput } from '../errors.ts';

/** Options that say which API server is meant. */
export interface ServerOptions {
  /** --server URL. */
  server?: string;
  /** --token-file PATH. */
  tokenFile?: string;
  /** --certificate-authority PATH. */
  certificateAuthority?: string;
  /** --kubeconfig PATH. */
  kubeconfig?: string;
  /** --context NAME. */
  context?: string;
}

/** Where an API server is, and who asks. */
export interface ServerAddress {
  /** `https://HOST:PORT`, with a path where it is behind one. */
  readonly url: URL;
  readonly token: string;
  /** Certificates of the authorities that are trusted, PEM; null = those of the system. */
  readonly authority: string | null;
  /** Namespace of commands that name none; null = nothing is said of it. */
  readonly namespace: string | null;
}

/** Variables that stand for the options. */
const ENV = {
  server: 'DROVER_SERVER',
  tokenFile: 'DROVER_TOKEN_FILE',
  token: 'DROVER_TOKEN',
  certificateAuthority: 'DROVER_CERTIFICATE_AUTHORITY',
} as const;

type ServerVariable = keyof typeof ENV;

function fromEnv(name: ServerVariable): string | undefined {
  return process.env[ENV[name]] || undefined;
}

/** Options that say where Redis is. */
const REDIS_OPTIONS = [
  ['redis', '--redis'],
  ['redisFile', '--redis-file'],
  ['redisPasswordFile', '--redis-password-file'],
] as const;

/**
 * Looks for an API server: `--server`, `--kubeconfig`, then DROVER_SERVER. What they leave open of the
 * token and the certificate authority is in further options, or variables.
 *
 * @returns null when none is named: then Redis is meant.
 */
export async function findServer(
  options: ServerOptions & Partial<Record<(typeof REDIS_OPTIONS)[number][0], string>>,
): Promise<ServerAddress | null> {
  const { kubeconfig, context, tokenFile, certificateAuthority } = options;
  const [redis] = REDIS_OPTIONS.filter(([name]) => options[name] !== undefined);
  const isAsked = options.server !== undefined || kubeconfig !== undefined;
  if (isAsked && redis !== undefined) {
    const asked = options.server === undefined ? '--kubeconfig' : '--server';
    throw badInput(
      `${redis[1]} and ${asked} exclude each other: one is Redis, the other the API server`,
    );
  }
  if (!isAsked) refuseOrphans(options);
  // Whoever says where Redis is means Redis, whatever the environment says.
  if (!isAsked && redis !== undefined) return null;
  const config = kubeconfig === undefined ? null : await readKubeconfig(kubeconfig, context);
  if (context !== undefined && kubeconfig === undefined) {
    throw badInput('--context says which part of a --kubeconfig is meant');
  }
  const text = options.server ?? config?.server ?? fromEnv('server');
  if (text === undefined) return null;
  if (!isAsked && process.env['DROVER_REDIS_URL']) {
    throw badInput('DROVER_SERVER and DROVER_REDIS_URL are both set: which one is meant?', [
      '  unset one of them, or give --server or --redis',
    ]);
  }
  const authorityFile =
    certificateAuthority ?? (config === null ? fromEnv('certificateAuthority') : undefined);
  return {
    url: checkedUrl(text),
    token: await findToken(tokenFile, config),
    authority:
      authorityFile === undefined
        ? (config?.authority ?? null)
        : await readText('--certificate-authority', authorityFile),
    namespace: config?.namespace ?? null,
  };
}

/** Without a server nobody would look at them. */
function refuseOrphans({ tokenFile, certificateAuthority }: ServerOptions): void {
  if (fromEnv('server') !== undefined) return;
  if (tokenFile !== undefined)
    throw badInput('--token-file is for an API server: add --server URL');
  if (certificateAuthority !== undefined) {
    throw badInput('--certificate-authority is for an API server: add --server URL');
  }
}

function checkedUrl(text: string): URL {
  if (!URL.canParse(text)) throw badInput(`--server ${text}: https://HOST:PORT is expected`);
  const url = new URL(text);
  if (url.protocol !== 'https:') {
    throw badInput(
      `--server ${text}: https is expected: the token must not be readable on its way`,
    );
  }
  return url;
}

async function findToken(
  tokenFile: string | undefined,
  config: Kubeconfig | null,
): Promise<string> {
  if (tokenFile !== undefined) return await readToken(tokenFile);
  if (config?.token !== undefined) return config.token;
  if (config?.tokenFile !== undefined) return await readToken(config.tokenFile);
  const own = fromEnv('token');
  if (own !== undefined) return own;
  const file = fromEnv('tokenFile');
  if (file !== undefined) return await readToken(file);
  throw badInput('the API server wants a token', [
    '  give --token-file PATH, DROVER_TOKEN, or a --kubeconfig that has one:',
    '  `drover dev` and `drover server` write one, `drover token create` makes further tokens',
  ]);
}

async function readToken(path: string): Promise<string> {
  const token = (await readText('--token-file', path)).trim();
  if (token !== '') return token;
  throw badInput(`--token-file ${path}: the file is empty`);
}

async function readText(option: string, path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    throw badInput(`${option} ${path}: ${error instanceof Error ? error.message : ''}`);
  }
}

/** What of a kubeconfig is of use. */
interface Kubeconfig {
  readonly server: string | undefined;
  readonly authority: string | null;
  readonly token: string | undefined;
  readonly tokenFile: string | undefined;
  readonly namespace: string | null;
}

type Fields = Readonly<Record<string, unknown>>;

/** Reads what a context of a kubeconfig says. */
async function readKubeconfig(path: string, context: string | undefined): Promise<Kubeconfig> {
  const config = parsed(path, await readText('--kubeconfig', path));
  const wanted = context ?? textOf(config['current-context']);
  if (wanted === undefined)
    throw badInput(`--kubeconfig ${path}: it has no current-context: give --context`);
  const chosen = named(path, config, 'context', wanted);
  const cluster = named(path, config, 'cluster', textOf(chosen['cluster']));
  const user = named(path, config, 'user', textOf(chosen['user']));
  const unknown = [
    'client-certificate',
    'client-certificate-data',
    'exec',
    'auth-provider',
    'username',
  ].filter((field) => user[field] !== undefined);
  if (unknown.length > 0 && user['token'] === undefined && user['tokenFile'] === undefined) {
    throw badInput(
      `--kubeconfig ${path}: ${unknown.join(', ')}: Drover knows users by tokens alone`,
    );
  }
  if (cluster['insecure-skip-tls-verify'] === true) {
    throw badInput(
      `--kubeconfig ${path}: insecure-skip-tls-verify: not done here: give the certificate authority`,
    );
  }
  const beside = (file: string): string => resolve(dirname(path), file);
  const data = textOf(cluster['certificate-authority-data']);
  const file = textOf(cluster['certificate-authority']);
  const tokenFile = textOf(user['tokenFile']);
  return {
    server: textOf(cluster['server']),
    authority:
      data !== undefined
        ? Buffer.from(data, 'base64').toString()
        : file === undefined
          ? null
          : await readText('certificate-authority', beside(file)),
    token: textOf(user['token']),
    tokenFile: tokenFile === undefined ? undefined : beside(tokenFile),
    namespace: textOf(chosen['namespace']) ?? null,
  };
}

function parsed(path: string, text: string): Fields {
  try {
    const value: unknown = parse(text);
    if (isFields(value)) return value;
  } catch (error) {
    throw badInput(`--kubeconfig ${path}: ${error instanceof Error ? error.message : ''}`);
  }
  throw badInput(`--kubeconfig ${path}: it is no kubeconfig`);
}

/** What the entry of a name says, as in `clusters: [{ name, cluster: {} }]`. */
function named(
  path: string,
  config: Fields,
  what: 'context' | 'cluster' | 'user',
  name: string | undefined,
): Fields {
  const list = config[`${what}s`];
  const entries = Array.isArray(list) ? list.filter(isFields) : [];
  const entry = entries.find((candidate) => candidate['name'] === name)?.[what];
  if (isFields(entry)) return entry;
  const known = entries.map((candidate) => String(candidate['name'])).join(', ');
  throw badInput(
    `--kubeconfig ${path}: there is no ${what} "${name ?? ''}"${known === '' ? '' : `: it has ${known}`}`,
  );
}

function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined;
}
