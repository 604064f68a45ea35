import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';

import { ItemEndedError, ItemsFencedError, NoItemsError } from '../itemErrors.ts';
import type { PodItem } from '../podItem.ts';
import type { PodItems, PodItemsEnd } from '../podItems.ts';
import {
  type ItemRoute,
  MAX_BODY_BYTES,
  readFailure,
  readJson,
  readNothing,
  readProgress,
  readRoute,
  RequestError,
} from './itemRequest.ts';

/** Answers to a program. */
interface Answer {
  readonly status: number;
  /** Sent as JSON; undefined = nothing. */
  readonly body?: unknown;
}

/** Items that programs of a pod have in hand, by id. */
export type ItemsInHand = Map<number, { readonly item: PodItem; readonly socket: ItemSocket }>;

/** What the sockets of a pod have in common. */
export interface SocketPod {
  readonly items: PodItems;
  readonly inHand: ItemsInHand;
  /** When what still runs of it is killed, on the monotonic clock; Infinity while it is not told to stop. */
  readonly stop: { readonly killAtMs: number };
}

/**
 * The socket over which the program of one container gets items: HTTP/1.1, docs/work-queues.md has the protocol. What
 * a program got here and did not end is decided by its own end, whatever other containers of the pod do.
 */
export class ItemSocket {
  readonly #items: PodItems;
  readonly #inHand: ItemsInHand;
  readonly #stop: SocketPod['stop'];
  readonly #server: Server;

  private constructor({ items, inHand, stop }: SocketPod) {
    this.#items = items;
    this.#inHand = inHand;
    this.#stop = stop;
    this.#server = createServer((request, response) => void this.#serve(request, response));
    // A program may be busy with an item for as long as it likes, and then use its connection again.
    this.#server.keepAliveTimeout = 0;
    this.#server.requestTimeout = 0;
    this.#server.headersTimeout = 0;
    // The worker ends when all else is done.
    this.#server.unref();
  }

  /** Opens it at a path. @throws Error when that can not be done. */
  static async open(path: string, pod: SocketPod): Promise<ItemSocket> {
    const socket = new ItemSocket(pod);
    await new Promise<void>((resolve, reject) => {
      socket.#server.once('error', reject);
      socket.#server.listen(path, () => {
        socket.#server.off('error', reject);
        resolve();
      });
    });
    return socket;
  }

  /** The program ended, and with it all its connections: decides what it still had in hand. */
  programEnded(how: PodItemsEnd): void {
    this.#server.closeAllConnections();
    const left = [...this.#inHand.values()].filter(({ socket }) => socket === this);
    for (const { item } of left) this.#inHand.delete(item.id);
    this.#items.decide(
      left.map(({ item }) => item),
      how,
    );
  }

  /** Takes no more connections. */
  close(): void {
    this.#server.close();
    this.#server.closeAllConnections();
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    let answer: Answer;
    try {
      const route = readRoute(request.method ?? '', request.url ?? '');
      const body = await readBody(request);
      if (route.action === 'next') {
        readNothing(body);
        await this.#next(route, response);
        return;
      }
      answer = await this.#answer(route, body);
    } catch (error) {
      answer = this.#refusal(error);
    }
    send(response, answer);
    request.resume();
  }

  async #next(
    { max, waitMs }: ItemRoute & { action: 'next' },
    response: ServerResponse,
  ): Promise<void> {
    const cancel = new AbortController();
    const onClose = (): void => cancel.abort();
    response.once('close', onClose);
    let timer: NodeJS.Timeout | undefined;
    try {
      await this.#items.enter();
      timer = setTimeout(onClose, waitMs);
      const items = await this.#items.take(max, cancel.signal);
      if (items === null) send(response, { status: 410, body: { error: 'all items are done' } });
      else if (items.length === 0) send(response, { status: 204 });
      else this.#hand(items, response);
    } catch (error) {
      send(response, this.#refusal(error));
    } finally {
      clearTimeout(timer);
      response.off('close', onClose);
    }
  }

  #hand(items: readonly PodItem[], response: ServerResponse): void {
    const goBack = (): void => {
      for (const { id } of items) this.#inHand.delete(id);
      this.#items.decide(items, { type: 'stopped' });
    };
    if (response.destroyed) {
      goBack();
      return;
    }
    for (const item of items) this.#inHand.set(item.id, { item, socket: this });
    send(response, { status: 200, body: { items: items.map(shown) } });
    // The program, or what of it asked, is gone before it could have read them.
    response.once('close', () => {
      if (!response.writableFinished) goBack();
    });
  }

  async #answer(route: Exclude<ItemRoute, { action: 'next' }>, body: Buffer): Promise<Answer> {
    if (route.action === 'list') {
      readNothing(body);
      return {
        status: 200,
        body: { items: [...this.#inHand.values()].map(({ item }) => shown(item)) },
      };
    }
    const { id, action } = route;
    const item = this.#inHand.get(id)?.item;
    if (item === undefined || item.isEnded) throw new ItemEndedError(notInHand(id));
    switch (action) {
      case 'complete': {
        await this.#settle(item, item.complete(readJson(body)));
        break;
      }
      case 'fail': {
        const { error, retry } = readFailure(body);
        await this.#settle(item, item.fail(error, { retry }));
        break;
      }
      case 'progress':
        item.progress(readProgress(body));
        break;
      case 'extend':
        readNothing(body);
        if (item.isLost) {
          throw new ItemEndedError(
            `item ${id} may run elsewhere: the worker was away from Redis for too long`,
          );
        }
        break;
    }
    return { status: 204 };
  }

  async #settle(item: PodItem, settled: Promise<void>): Promise<void> {
    try {
      await settled;
    } finally {
      if (item.isEnded) this.#inHand.delete(item.id);
    }
  }

  #refusal(error: unknown): Answer {
    const message = error instanceof Error ? error.message : String(error);
    const status = this.#statusOf(error);
    if (status !== 503) return { status, body: { error: message } };
    const graceMs = Math.max(0, this.#stop.killAtMs - performance.now());
    return { status, body: { error: message, graceSeconds: Math.round(graceMs) / 1000 } };
  }

  #statusOf(error: unknown): number {
    if (error instanceof RequestError) return error.status;
    if (error instanceof ItemEndedError || error instanceof ItemsFencedError) return 409;
    // What can't be kept of a result: JSON it is.
    if (error instanceof TypeError) return 413;
    if (error === this.#items.stopReason) return 503;
    return error instanceof NoItemsError ? 404 : 500;
  }
}

function shown({ id, key, attempt, data }: PodItem): object {
  return { id, key, attempt, data: data as unknown };
}

function notInHand(id: number): string {
  return `this pod does not have item ${id} in hand: it was completed or failed before, or it is another pod's`;
}

/** Of one that is too long the rest is read, and not kept, so that its sender comes to reading the answer. */
function readBody(request: IncomingMessage): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    let chunks: Buffer[] = [];
    let length = 0;
    request.on('data', (chunk: Buffer) => {
      length += chunk.length;
      if (length <= MAX_BODY_BYTES) {
        chunks.push(chunk);
        return;
      }
      chunks = [];
      reject(new RequestError(413, `the body has more than ${MAX_BODY_BYTES} bytes`));
    });
    request.once('end', () => resolve(Buffer.concat(chunks)));
    request.once('error', reject);
  });
}

function send(response: ServerResponse, { status, body }: Answer): void {
  if (response.destroyed) return;
  if (body === undefined) {
    response.writeHead(status).end();
    return;
  }
  const text = `${JSON.stringify(body)}\n`;
  response
    .writeHead(status, {
      'content-type': 'application/json',
      'content-length': Buffer.byteLength(text),
    })
    .end(text);
}
