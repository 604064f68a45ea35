import type { Agent as HttpAgent } from 'node:http';

import { CliError } from '../errors.ts';
import { EXIT } from '../exitCodes.ts';

// An import would load all of Node's web interfaces with it, which takes as long as all the rest of this command.
const { Agent, request } = process.getBuiltinModule('node:http');

/** An item that this pod has in hand. */
export interface TakenItem {
  readonly id: number;
  /** null = none. */
  readonly key: string | null;
  /** 1 when it is run for the first time. */
  readonly attempt: number;
  readonly data: unknown;
}

/** What a request for items brought. */
export type Taken =
  | { readonly type: 'items'; readonly items: readonly TakenItem[] }
  /** No item is left, and none will come. */
  | { readonly type: 'done' }
  /** The pod is told to stop. */
  | { readonly type: 'stopped' };

interface Answer {
  readonly status: number;
  readonly text: string;
}

/** How long a request waits for items, s. Then it is asked again: whoever lost a connection learns it some time. */
const WAIT_SECONDS = 600;

/** Speaks over the socket of the pod: docs/work-queues.md. */
export class ItemsClient {
  readonly #socketPath: string;
  readonly #agent: HttpAgent = new Agent({ keepAlive: true });

  constructor(socketPath: string) {
    this.#socketPath = socketPath;
  }

  /**
   * Waits for items.
   *
   * @param max - How many at most.
   * @param signal - Nobody wants them any more: then it is as if the pod were told to stop.
   * @throws CliError when there can be none.
   */
  async next(max: number, signal: AbortSignal): Promise<Taken> {
    for (;;) {
      let answer: Answer;
      try {
        signal.throwIfAborted();
        answer = await this.#ask('POST', `/next?max=${max}&wait=${WAIT_SECONDS}`, '', signal);
      } catch (error) {
        if (signal.aborted) return { type: 'stopped' };
        throw error;
      }
      switch (answer.status) {
        case 200: {
          const { items } = JSON.parse(answer.text) as { items: TakenItem[] };
          return { type: 'items', items };
        }
        case 204:
          break;
        case 410:
          return { type: 'done' };
        case 503:
          return { type: 'stopped' };
        default:
          throw new CliError(`no items: ${errorOf(answer)}`, EXIT.failed);
      }
    }
  }

  /**
   * Completes an item.
   *
   * @param result - As JSON; '' = none.
   * @returns why it does not count; null = it does.
   */
  async complete(id: number, result: string): Promise<string | null> {
    return refusalOf(await this.#ask('POST', `/items/${id}/complete`, result));
  }

  /** Fails an item. @returns why it does not count; null = it does. */
  async fail(id: number, error: string, retry: boolean): Promise<string | null> {
    const body = JSON.stringify({ error, retry });
    return refusalOf(await this.#ask('POST', `/items/${id}/fail`, body));
  }

  /** How long the pod has before it is killed, ms; null = it is not told to stop. */
  async graceMs(): Promise<number | null> {
    const answer = await this.#ask('POST', '/next?wait=1', '');
    if (answer.status !== 503) return null;
    return (JSON.parse(answer.text) as { graceSeconds: number }).graceSeconds * 1000;
  }

  /** Closes all connections. */
  close(): void {
    this.#agent.destroy();
  }

  #ask(method: string, path: string, body: string, signal?: AbortSignal): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const onError = (error: Error): void =>
        reject(
          new CliError(
            `${this.#socketPath}: the worker does not answer: ${error.message}`,
            EXIT.failed,
          ),
        );
      const asked = request(
        {
          socketPath: this.#socketPath,
          agent: this.#agent,
          method,
          path,
          headers: { 'content-length': Buffer.byteLength(body) },
          ...(signal === undefined ? {} : { signal }),
        },
        (response) => {
          let text = '';
          response.setEncoding('utf8');
          response.on('data', (chunk: string) => (text += chunk));
          response.once('error', onError);
          response.once('end', () => resolve({ status: response.statusCode ?? 0, text }));
        },
      );
      asked.once('error', onError);
      asked.end(body);
    });
  }
}

function refusalOf(answer: Answer): string | null {
  return answer.status === 204 ? null : errorOf(answer);
}

function errorOf({ status, text }: Answer): string {
  try {
    return (JSON.parse(text) as { error: string }).error;
  } catch {
    return `status ${status}`;
  }
}
