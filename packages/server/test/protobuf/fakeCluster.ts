import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';

/** What a client sent. */
export interface Sent {
  readonly method: string;
  readonly path: string;
  readonly contentType: string;
  readonly body: Buffer;
}

/** An API server that answers what it is told to, and keeps what it was sent. */
export class FakeCluster {
  readonly sent: Sent[] = [];
  readonly #server: Server;

  private constructor(server: Server) {
    this.#server = server;
  }

  /** @param answers - JSON by path; what is posted is answered with an object of no content. */
  static async start(answers: Readonly<Record<string, object>>): Promise<FakeCluster> {
    const server = createServer();
    const cluster = new FakeCluster(server);
    server.on('request', (request: IncomingMessage, response) => {
      const chunks: Buffer[] = [];
      request.on('data', (chunk: Buffer) => chunks.push(chunk));
      request.on('end', () => {
        const [path = ''] = (request.url ?? '').split('?');
        const { method = '' } = request;
        const contentType = request.headers['content-type'] ?? '';
        cluster.sent.push({ method, path, contentType, body: Buffer.concat(chunks) });
        const answer = method === 'GET' ? answers[path] : ANSWERED;
        response.writeHead(answer === undefined ? 404 : 200, {
          'content-type': 'application/json',
        });
        response.end(JSON.stringify(answer ?? NOT_FOUND));
      });
    });
    server.listen(0, '127.0.0.1');
    await new Promise((resolve) => server.once('listening', resolve));
    return cluster;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** The bodies that were posted. */
  get bodies(): readonly Sent[] {
    return this.sent.filter(({ method }) => method === 'POST');
  }

  stop(): void {
    this.#server.closeAllConnections();
    this.#server.close();
  }
}

const NOT_FOUND = {
  kind: 'Status',
  apiVersion: 'v1',
  status: 'Failure',
  reason: 'NotFound',
  code: 404,
};
const ANSWERED = { kind: 'Job', apiVersion: 'batch/v1', metadata: { name: 'answered' } };
