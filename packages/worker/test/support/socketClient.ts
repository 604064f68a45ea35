import { request } from 'node:http';

/** An answer on an item socket. */
export interface SocketAnswer {
  readonly status: number;
  /** What it says as JSON; undefined = nothing. */
  readonly body: unknown;
}

/** An item as programs see it. */
export interface ShownItem {
  readonly id: number;
  readonly key: string | null;
  readonly attempt: number;
  readonly data: unknown;
}

/** Speaks with an item socket as a program does. */
export class SocketClient {
  readonly path: string;

  constructor(path: string) {
    this.path = path;
  }

  /** Sends a request; a body that is no text is sent as JSON. */
  async ask(
    method: string,
    path: string,
    body?: unknown,
    signal?: AbortSignal,
  ): Promise<SocketAnswer> {
    return await new Promise((resolve, reject) => {
      const options = { socketPath: this.path, method, path, ...(signal && { signal }) };
      const asked = request(options, (response) => {
        let text = '';
        response.setEncoding('utf8');
        response.on('data', (chunk: string) => (text += chunk));
        response.once('error', reject);
        response.once('end', () =>
          resolve({
            status: response.statusCode ?? 0,
            body: text === '' ? undefined : (JSON.parse(text) as unknown),
          }),
        );
      });
      asked.once('error', reject);
      asked.end(typeof body === 'string' || Buffer.isBuffer(body) ? body : JSON.stringify(body));
    });
  }

  async post(path: string, body?: unknown): Promise<SocketAnswer> {
    return await this.ask('POST', path, body);
  }

  /** Takes items; fails when there are none. */
  async next(max = 1): Promise<ShownItem[]> {
    const { status, body } = await this.post(`/next?max=${max}`);
    if (status !== 200) throw new Error(`next: ${status} ${JSON.stringify(body)}`);
    return (body as { items: ShownItem[] }).items;
  }
}
