import { createServer as createHttpsServer } from 'node:https';
import type { AddressInfo } from 'node:net';

import { Backend } from '@drover/sdk/internals';
import { errorForLog } from '@drover/shared';
import fastify, {
  LogController,
  type FastifyBaseLogger,
  type FastifyInstance,
  type FastifyReply,
  type FastifyRequest,
} from 'fastify';
import { pino, type Logger } from 'pino';

import { writeAudit } from './access/audit.ts';
import { Authenticator } from './access/authenticator.ts';
import { addLimits, type Limits } from './access/limits.ts';
import { decorateRequests } from './access/request.ts';
import { TokenFile } from './access/tokenFile.ts';
import { StoredTokens } from './access/tokens.ts';
import { addDiscovery } from './discovery/routes.ts';
import { ServerFigures } from './figures.ts';
import { addHealth, isOpenPath } from './http/health.ts';
import { addRoutes } from './http/routes.ts';
import { ApiError, asApiError, noSuchPath, statusOf } from './http/status.ts';
import type { KeyPair } from './identity/authority.ts';
import { addOpenApi } from './openapi/routes.ts';
import { makeResources } from './resources/all.ts';
import { readVersion } from './version.ts';

/** Where Redis is, as the SDK takes it. */
type ConnectionOption = NonNullable<ConstructorParameters<typeof Backend>[0]['connection']>;

/** Options of {@link createServer}. */
export interface ServerOptions {
  /** Redis: a URL, options of ioredis, or an instance, which is used and never closed. */
  readonly connection: ConnectionOption;
  /** Prefix of all keys. Default `drover`. */
  readonly prefix?: string;
  /** Address to listen on. Default 127.0.0.1. */
  readonly host?: string;
  /** TCP port; 0 = any that is free. Default 6443. */
  readonly port?: number;
  /** Its certificate and key. */
  readonly tls: KeyPair;
  /** Bearer token of the one who may do everything. */
  readonly token: string;
  /** File with what is known of further tokens, beside those that are kept in Redis. */
  readonly tokensFile?: string;
  /** Requests of one token that are answered per second, on average over ten. Default 200; null = any number. */
  readonly rateLimit?: number | null;
  /** Told of every request that was to change something. Default: `logger`. */
  readonly auditLogger?: Logger;
  /** The key file of the installation, for Secrets. Default: what DROVER_SECRET_KEY_FILE says. */
  readonly secretKeyFile?: string;
  /** Default: none. */
  readonly logger?: Logger;
}

/** A server of the API; any number of them may serve one installation. */
export interface DroverServer {
  /** What it answered so far. */
  readonly figures: ServerFigures;
  /** Why it answers no requests, for people; null = it does. */
  readonly hindrance: string | null;
  /**
   * Begins to listen.
   *
   * @returns Its address, `https://HOST:PORT`.
   * @throws ConnectionError, UnsuitableRedisError when Redis can not be used; the error of Node when
   *   it can not listen.
   */
  listen(): Promise<string>;
  /** Serves until `close`. Listens first if it does not yet. */
  run(): Promise<void>;
  /** Takes no more requests, ends the watches, and lets `run` return. */
  close(): Promise<void>;
}

/** Port of API servers of Kubernetes. */
export const DEFAULT_PORT = 6443;

/** Larger bodies are refused; a Job is smaller. */
const MAX_BODY_BYTES = 3 * 1024 * 1024;
/** Requests of one token per second, when nothing is said. */
const DEFAULT_RATE = 200;
/** How long a client may take to agree on how to encrypt. */
const HANDSHAKE_TIMEOUT_MS = 30_000;
/** How long a client may take for the head of a request. */
const HEAD_TIMEOUT_MS = 30_000;
/** How long a client may take for a request as a whole. */
const REQUEST_TIMEOUT_MS = 60_000;

/** Makes a server: kubectl and the client libraries of Kubernetes drive Drover through it. */
export function createServer(options: ServerOptions): DroverServer {
  return new RunningServer(options);
}

class RunningServer implements DroverServer {
  readonly figures = new ServerFigures();
  readonly #options: ServerOptions;
  readonly #backend: Backend;
  readonly #http: FastifyInstance;
  readonly #closing = new AbortController();
  readonly #closed = Promise.withResolvers<void>();
  readonly #closeResources: () => void;
  readonly #tokensFile: TokenFile | null;
  #listening: Promise<string> | null = null;
  #isListening = false;

  constructor(options: ServerOptions) {
    this.#options = options;
    const { connection, prefix, tls } = options;
    const { tokensFile } = options;
    this.#tokensFile = tokensFile === undefined ? null : new TokenFile(tokensFile);
    this.#backend = new Backend({ connection, ...(prefix === undefined ? {} : { prefix }) });
    const { resources, subresources, admission, close } = makeResources(
      this.#backend,
      options.secretKeyFile,
    );
    this.#closeResources = close;
    const logger = (options.logger ?? pino({ level: 'silent' })).child(
      {},
      { serializers: { err: errorForLog } },
    );
    this.#http = makeHttp(logger, tls);
    this.#addAccess(logger);
    const version = readVersion();
    addHealth(this.#http, this.#backend, version);
    addDiscovery(this.#http, resources, subresources);
    addOpenApi(this.#http, resources, version);
    addRoutes(this.#http, resources, subresources, {
      closing: this.#closing.signal,
      figures: this.figures,
      admission,
    });
  }

  get hindrance(): string | null {
    if (this.#closing.signal.aborted) return 'it is stopping';
    return this.#isListening ? null : 'it does not listen yet';
  }

  listen(): Promise<string> {
    this.#listening ??= this.#listen();
    return this.#listening;
  }

  async run(): Promise<void> {
    await this.listen();
    await this.#closed.promise;
  }

  async close(): Promise<void> {
    this.#closing.abort();
    this.#closeResources();
    await this.#http.close();
    await this.#backend.close();
    this.#closed.resolve();
  }

  /** Who sends a request is asked before anything else; what was to be changed is noted at its end. */
  #addAccess(logger: Logger): void {
    const { token, rateLimit = DEFAULT_RATE, auditLogger = logger } = this.#options;
    const sources = [
      ...(this.#tokensFile === null ? [] : [this.#tokensFile]),
      new StoredTokens(this.#backend),
    ];
    const authenticator = new Authenticator(token, sources);
    decorateRequests(this.#http);
    const limits = addLimits(this.#http, rateLimit);
    this.#http.addHook('onRequest', async (request, reply) => {
      if (isOpenPath(request.url)) return;
      await admit(authenticator, limits, request, reply);
    });
    this.#http.addHook('onResponse', async (request, reply) => {
      writeAudit(auditLogger, request, reply);
      this.figures.noteAnswer(request.audited, reply.statusCode, reply.elapsedTime);
    });
  }

  async #listen(): Promise<string> {
    // A file that can not be used is told now, not with the first request.
    await this.#tokensFile?.list();
    await this.#backend.store();
    const { host = '127.0.0.1', port = DEFAULT_PORT } = this.#options;
    // The framework does not know that it is https.
    const listenTextResolver = (address: string): string =>
      `API server listens at ${address.replace(/^http:/, 'https:')}`;
    await this.#http.listen({ host, port, listenTextResolver });
    this.#isListening = true;
    const address = this.#http.server.address() as AddressInfo;
    const name = address.family === 'IPv6' ? `[${address.address}]` : address.address;
    return `https://${name}:${address.port}`;
  }
}

function makeHttp(logger: Logger, tls: KeyPair): FastifyInstance {
  const loggerInstance: FastifyBaseLogger = logger;
  const http = fastify({
    serverFactory: (handler) => {
      const options = {
        cert: tls.certificate,
        key: tls.privateKey,
        minVersion: 'TLSv1.2',
        handshakeTimeout: HANDSHAKE_TIMEOUT_MS,
        requestTimeout: REQUEST_TIMEOUT_MS,
        headersTimeout: HEAD_TIMEOUT_MS,
      } as const;
      return createHttpsServer(options, handler);
    },
    // One line for each request would be most of the log; what goes wrong is logged where it does.
    logController: new LogController({ disableRequestLogging: true }),
    loggerInstance,
    bodyLimit: MAX_BODY_BYTES,
    forceCloseConnections: true,
    routerOptions: { ignoreTrailingSlash: true, maxParamLength: 300 },
    exposeHeadRoutes: false,
  });
  http.removeAllContentTypeParsers();
  http.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => done(null, body));
  http.setErrorHandler(answerError);
  http.setNotFoundHandler(
    async (request, reply) => await answerError(noSuchPath(), request, reply),
  );
  return http;
}

/** Finds out who sent a request, and refuses those who send too many, or nobody knows. */
async function admit(
  authenticator: Authenticator,
  limits: Limits,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<void> {
  try {
    request.user = await authenticator.authenticate(request.headers.authorization);
  } catch (error) {
    if (error instanceof ApiError && error.code === 401) await limits.countStranger(request, reply);
    throw error;
  }
  await limits.countUser(request, reply);
  const imitated = Object.keys(request.headers).find((name) => name.startsWith('impersonate-'));
  if (imitated === undefined) return;
  const message = `${imitated}: this server lets nobody act as somebody else`;
  throw new ApiError(403, 'Forbidden', message, {});
}

/** Answers with the Status of an error. What is no fault of the client is logged. */
async function answerError(
  error: unknown,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<void> {
  const told = asApiError(error) ?? ofFramework(error);
  if (told === null) request.log.error({ err: error, method: request.method }, 'a request failed');
  const answer =
    told ?? new ApiError(500, 'InternalError', 'an error of the server; its log says more');
  await reply
    .code(answer.code)
    .type('application/json')
    .send(JSON.stringify(statusOf(answer)));
}

/** What the framework found wrong with a request. */
function ofFramework(error: unknown): ApiError | null {
  const code = error instanceof Error && 'statusCode' in error ? error.statusCode : undefined;
  if (typeof code !== 'number' || code < 400 || code >= 500) return null;
  const message = error instanceof Error ? error.message : '';
  if (code === 413) {
    return new ApiError(
      413,
      'RequestEntityTooLarge',
      `the request is larger than ${MAX_BODY_BYTES} bytes`,
    );
  }
  return new ApiError(code, 'BadRequest', message);
}
