import { Agent, request } from 'node:https';
import type { IncomingMessage } from 'node:http';
import { text as textOf } from 'node:stream/consumers';

import { ConnectionError } from '@drover/shared';

import type { ServerAddress } from './address.ts';
import { errorOf, ServerRefusal, type Status } from './status.ts';

/** Parameters of a request; those that are undefined are left out. */
export type Query = Readonly<Record<string, string | undefined>>;

/** A request. */
export interface Call {
  /** Path, without parameters. */
  readonly path: string;
  readonly method?: 'GET' | 'POST' | 'PATCH' | 'DELETE';
  readonly query?: Query;
  readonly body?: unknown;
  readonly contentType?: string;
  /** Namespace of what it is about, for errors. */
  readonly namespace?: string;
  readonly signal?: AbortSignal | undefined;
  /** Told of what the server warns of. */
  readonly onWarning?: ((text: string) => void) | undefined;
}

/** Until the server begins to answer. */
const ANSWER_TIMEOUT_MS = 60_000;

/** Sends requests to an API server. */
export class ServerConnection {
  readonly #address: ServerAddress;
  readonly #agent: Agent;

  constructor(address: ServerAddress) {
    this.#address = address;
    const ca = address.authority === null ? {} : { ca: address.authority };
    this.#agent = new Agent({ keepAlive: true, ...ca });
  }

  /** Sends a request and reads the answer, which is JSON. @throws an error of the SDK for what is refused. */
  async json<T>(call: Call): Promise<T> {
    const response = await this.#send(call);
    return parseAnswer(await this.#textOf(response)) as T;
  }

  /** Sends a request and reads the answer as it comes. */
  async *bytes(call: Call): AsyncGenerator<Buffer> {
    const response = await this.#send(call);
    try {
      for await (const chunk of response) yield chunk as Buffer;
    } catch (error) {
      if (call.signal?.aborted !== true) throw this.#brokenOff(error);
    } finally {
      response.destroy();
    }
  }

  /** As {@link bytes}, line by line, each with its newline; the last one may have none. */
  async *lines(call: Call): AsyncGenerator<Buffer> {
    let begun: Buffer[] = [];
    for await (const chunk of this.bytes(call)) {
      let from = 0;
      for (let end = chunk.indexOf(NEWLINE); end >= 0; end = chunk.indexOf(NEWLINE, from)) {
        const piece = chunk.subarray(from, end + 1);
        yield begun.length === 0 ? piece : Buffer.concat([...begun, piece]);
        begun = [];
        from = end + 1;
      }
      if (from < chunk.length) begun.push(chunk.subarray(from));
    }
    if (begun.length > 0) yield Buffer.concat(begun);
  }

  /** Lets go of its connections. */
  close(): void {
    this.#agent.destroy();
  }

  async #send(call: Call): Promise<IncomingMessage> {
    const response = await this.#begin(call);
    const { statusCode = 0 } = response;
    for (const text of warningsOf(response.headers['warning'])) call.onWarning?.(text);
    if (statusCode < 300) return response;
    throw errorOf(
      statusCode,
      parseAnswer(await this.#textOf(response)) as Status,
      call.namespace ?? '',
    );
  }

  async #begin({
    path,
    method = 'GET',
    query = {},
    body,
    signal,
    ...call
  }: Call): Promise<IncomingMessage> {
    const { url, token } = this.#address;
    const target = new URL(`${url.pathname.replace(/\/$/, '')}${path}`, url);
    for (const [name, value] of Object.entries(query)) {
      if (value !== undefined) target.searchParams.set(name, value);
    }
    const text = body === undefined ? '' : JSON.stringify(body);
    const { contentType = 'application/json' } = call;
    const content =
      body === undefined
        ? {}
        : { 'content-type': contentType, 'content-length': String(Buffer.byteLength(text)) };
    const headers = {
      authorization: `Bearer ${token}`,
      accept: 'application/json',
      'user-agent': 'drover',
      ...content,
    };
    return await new Promise((resolve, reject) => {
      const sent = request(target, {
        method,
        agent: this.#agent,
        headers,
        ...(signal !== undefined && { signal }),
      });
      const timer = setTimeout(
        () => sent.destroy(new Error('it does not answer')),
        ANSWER_TIMEOUT_MS,
      );
      sent.on('error', (error) => reject(this.#translate(error)));
      sent.on('close', () => clearTimeout(timer));
      sent.on('response', (response) => {
        clearTimeout(timer);
        resolve(response);
      });
      sent.end(text);
    });
  }

  async #textOf(response: IncomingMessage): Promise<string> {
    try {
      return await textOf(response);
    } catch (error) {
      throw this.#brokenOff(error);
    }
  }

  /** It had begun to answer: it was reached, and is gone, or what is between. */
  #brokenOff(error: unknown): Error {
    const what = `the API server at ${this.#address.url.origin} broke off in the middle of its answer: ${messageOf(error)}`;
    return new ConnectionError(what, { cause: error });
  }

  #translate(error: unknown): Error {
    const message = messageOf(error);
    const code = error instanceof Error && 'code' in error ? String(error.code) : '';
    const hint = CERTIFICATE_ERRORS.has(code)
      ? ': give --certificate-authority, or the --kubeconfig that the server wrote'
      : '';
    const what = `the API server at ${this.#address.url.origin} can not be reached: ${message}${hint}`;
    return new ConnectionError(what, { cause: error });
  }
}

const NEWLINE = 0x0a;

const CERTIFICATE_ERRORS: ReadonlySet<string> = new Set([
  'SELF_SIGNED_CERT_IN_CHAIN',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
]);

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function parseAnswer(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new ServerRefusal(502, 'what answers there is no API server of Drover or Kubernetes');
  }
}

/** The texts of a Warning header: `299 - "text"`, several with commas between them. */
function warningsOf(header: string | string[] | undefined): string[] {
  const text = Array.isArray(header) ? header.join(', ') : (header ?? '');
  return [...text.matchAll(/\d{3} \S+ "((?:[^"\\]|\\.)*)"/g)].map(([, quoted = '']) =>
    quoted.replace(/\\(.)/g, '$1'),
  );
}
