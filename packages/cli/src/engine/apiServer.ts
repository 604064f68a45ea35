import { readFile } from 'node:fs/promises';

import {
  createServer,
  prepareIdentity,
  writeKubeconfig,
  type DroverServer,
  type Identity,
} from '@drover/server';
import { pino, type Logger } from 'pino';

import { badInput } from '../errors.ts';
import { openLogStream } from '../logStream.ts';

/** How an API server is set up. */
export interface ApiServerOptions {
  /** Where Redis is. */
  readonly connection: string;
  readonly prefix?: string | undefined;
  /** The key file for Secrets. */
  readonly secretKeyFile?: string | undefined;
  /** Where its certificates and its token are kept. */
  readonly dir: string;
  readonly host: string;
  /** 0 = any that is free. */
  readonly port: number;
  /** When somebody else has that port, any that is free will do. */
  readonly orAnyPort?: boolean;
  /** Where to write the kubeconfig. */
  readonly kubeconfig: string;
  /** Further DNS names and addresses that clients reach it by; the first one is in the kubeconfig. */
  readonly names?: readonly string[];
  /** Files with a certificate and its key, instead of one of its own authority. */
  readonly tlsCert?: string | undefined;
  readonly tlsKey?: string | undefined;
  /** File with the token that clients need, instead of one that is made. */
  readonly tokenFile?: string | undefined;
  /** File with further tokens. */
  readonly tokensFile?: string | undefined;
  /** Requests of one token per second; 0 = any number. */
  readonly rateLimit?: number | undefined;
  /** File that is told who changed what. */
  readonly auditLog?: string | undefined;
  readonly logger: Logger;
}

/** An API server that listens. */
export interface ListeningServer {
  readonly server: DroverServer;
  /** Its address, `https://HOST:PORT`. */
  readonly url: string;
}

/** Addresses that are no place to go to, but stand for every address of the host. */
const ANY_ADDRESS: ReadonlySet<string> = new Set(['0.0.0.0', '::']);

/** Starts an API server and writes a kubeconfig for it. */
export async function startApiServer(options: ApiServerOptions): Promise<ListeningServer> {
  const { connection, prefix, secretKeyFile, host, port, logger } = options;
  const { names: given = [] } = options;
  const names = [...given, ...(ANY_ADDRESS.has(host) ? [] : [host])];
  const own = await prepareIdentity({ dir: options.dir, names, nowMs: Date.now() });
  const identity = await withGivenFiles(own, options);
  const make = (onPort: number): DroverServer =>
    createServer({
      connection,
      ...(prefix === undefined ? {} : { prefix }),
      ...(secretKeyFile === undefined ? {} : { secretKeyFile }),
      host,
      port: onPort,
      tls: identity.server,
      token: identity.token,
      ...(options.tokensFile === undefined ? {} : { tokensFile: options.tokensFile }),
      ...(options.rateLimit === undefined ? {} : { rateLimit: options.rateLimit || null }),
      ...(options.auditLog === undefined ? {} : { auditLogger: openAuditLog(options.auditLog) }),
      logger,
    });
  const { server, address } = await listen(
    make,
    host,
    options.orAnyPort === true ? [port, 0] : [port],
  );
  const url = new URL(address);
  const [name] = given;
  if (name !== undefined) url.hostname = name;
  else if (ANY_ADDRESS.has(host)) url.hostname = '127.0.0.1';
  await writeKubeconfig(options.kubeconfig, {
    url: url.origin,
    authority: identity.authority,
    token: identity.token,
  });
  return { server, url: url.origin };
}

/** Lines are there before the next request is answered: none is lost with the process. */
function openAuditLog(path: string): Logger {
  try {
    return pino({ base: null }, openLogStream(path));
  } catch (error) {
    throw badInput(`--audit-log ${path}: ${error instanceof Error ? error.message : ''}`);
  }
}

/** What the user brings takes the place of what was made. */
async function withGivenFiles(
  own: Identity,
  { tlsCert, tlsKey, tokenFile }: ApiServerOptions,
): Promise<Omit<Identity, 'authority'> & { readonly authority: string | null }> {
  if ((tlsCert === undefined) !== (tlsKey === undefined)) {
    throw badInput('--tls-cert and --tls-key go together');
  }
  const token = tokenFile === undefined ? own.token : await readToken(tokenFile);
  if (tlsCert === undefined || tlsKey === undefined) return { ...own, token };
  const server = {
    certificate: await readGiven('--tls-cert', tlsCert),
    privateKey: await readGiven('--tls-key', tlsKey),
  };
  // Who signed it is known to clients, or told to them by other means.
  return { authority: null, server, token };
}

async function readToken(path: string): Promise<string> {
  const token = (await readGiven('--token-file', path)).trim();
  if (/^[\x21-\x7e]{16,}$/.test(token)) return token;
  throw badInput(
    `--token-file ${path}: one token of at least 16 printable characters without blanks is expected`,
  );
}

async function readGiven(option: string, path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    throw badInput(`${option} ${path}: ${error instanceof Error ? error.message : ''}`);
  }
}

/** Listens on the first of the ports that nobody else has. */
async function listen(
  make: (port: number) => DroverServer,
  host: string,
  [port = 0, ...others]: readonly number[],
): Promise<{ server: DroverServer; address: string }> {
  const server = make(port);
  try {
    return { server, address: await server.listen() };
  } catch (error) {
    await server.close();
    const code = error instanceof Error && 'code' in error ? String(error.code) : '';
    if (code === 'EADDRINUSE' && others.length > 0) return await listen(make, host, others);
    if (code === 'ENOENT' || code === 'EISDIR') {
      throw badInput(`--tokens: ${error instanceof Error ? error.message : ''}`);
    }
    const reason = LISTEN_ERRORS[code];
    if (reason === undefined) throw error;
    throw badInput(`the API server can not listen on ${host}:${port}: ${reason}`, [
      '  give another --port, or --port 0 for any that is free',
    ]);
  }
}

const LISTEN_ERRORS: Readonly<Record<string, string>> = {
  EADDRINUSE: 'something else does',
  EADDRNOTAVAIL: 'this machine has no such address',
  EACCES: 'permission denied',
  ENOTFOUND: 'the host name is not known',
};
