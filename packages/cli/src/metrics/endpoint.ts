import { createServer, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

import type { Registry } from 'prom-client';

import { badInput } from '../errors.ts';

/** How long a client may take for its request. */
const REQUEST_TIMEOUT_MS = 5_000;

/** Options of {@link MetricsEndpoint}. */
export interface EndpointOptions {
  readonly host: string;
  /** 0 = any that is free. */
  readonly port: number;
  readonly registry: Registry;
  /** Why the process is not ready; null = it is. */
  readonly unreadiness: () => Promise<string | null>;
}

/** Answers those who watch over a process: `/metrics`, `/healthz` and `/readyz`, by http and without asking who they are. */
export class MetricsEndpoint {
  readonly #options: EndpointOptions;
  readonly #server: Server;

  private constructor(options: EndpointOptions) {
    this.#options = options;
    this.#server = createServer(
      { requestTimeout: REQUEST_TIMEOUT_MS, headersTimeout: REQUEST_TIMEOUT_MS },
      (request, response) => {
        const path = request.url?.split('?')[0] ?? '';
        this.#answer(request.method ?? '', path, response).catch((error: unknown) => {
          response.statusCode = 500;
          response.end(`${error instanceof Error ? error.message : String(error)}\n`);
        });
      },
    );
  }

  /**
   * Begins to listen.
   *
   * @throws CliError when it can not.
   */
  static async start(options: EndpointOptions): Promise<MetricsEndpoint> {
    const endpoint = new MetricsEndpoint(options);
    const { host, port } = options;
    const listening = Promise.withResolvers<void>();
    endpoint.#server.once('error', (error) => listening.reject(error));
    endpoint.#server.listen({ host, port }, () => listening.resolve());
    try {
      await listening.promise;
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      throw badInput(`--metrics-port ${port}, --metrics-host ${host}: ${why}`);
    }
    return endpoint;
  }

  /** Where it listens: `http://HOST:PORT`. */
  get address(): string {
    const { address, family, port } = this.#server.address() as AddressInfo;
    return `http://${family === 'IPv6' ? `[${address}]` : address}:${port}`;
  }

  /** Ends it. Requests that are under way are cut off. */
  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => {
      this.#server.close(() => resolve());
    });
    this.#server.closeAllConnections();
    await closed;
  }

  async #answer(method: string, path: string, response: ServerResponse): Promise<void> {
    const { registry, unreadiness } = this.#options;
    const isRead = method === 'GET' || method === 'HEAD';
    if (!isRead) return send(response, 405, 'only GET is answered here\n');
    switch (path) {
      case '/metrics':
        return send(response, 200, await registry.metrics(), registry.contentType);
      case '/healthz':
        // That it answers says it all: the event loop turns.
        return send(response, 200, 'ok\n');
      case '/readyz': {
        const why = await unreadiness();
        return why === null ? send(response, 200, 'ok\n') : send(response, 503, `${why}\n`);
      }
      default:
        return send(response, 404, 'there are /metrics, /healthz and /readyz\n');
    }
  }
}

function send(
  response: ServerResponse,
  code: number,
  text: string,
  type: string = 'text/plain; charset=utf-8',
): void {
  response.writeHead(code, { 'content-type': type });
  response.end(text);
}
