import { spawn, type ChildProcessWithoutNullStreams } from 'node:child_process';
import type { Agent } from 'node:https';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { createController, createWorker, defineHandler, Drover } from '@drover/sdk';
import { newSecretKey } from '@drover/store';
import {
  kubernetesPrograms,
  startRedis,
  type KubernetesPrograms,
  type TestRedis,
} from '@drover/testkit';
import { pino } from 'pino';

import { createServer, prepareIdentity, writeKubeconfig, type Identity } from '../src/index.ts';
import type { DroverServer, ServerFigures, ServerOptions } from '../src/index.ts';

/** How a program ended. */
export interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A Redis, a controller, a worker and a server, all in the test's process; and the real kubectl. */
export class ServerBed {
  readonly url: string;
  readonly identity: Identity;
  readonly drover: Drover;
  readonly redis: TestRedis;
  /** What the server answered, and how many watches are open. */
  readonly figures: ServerFigures;
  readonly #dir: string;
  readonly #programs: KubernetesPrograms;
  readonly #services: readonly { close(options?: { force?: boolean }): Promise<void> }[];

  private constructor(parts: {
    url: string;
    identity: Identity;
    drover: Drover;
    redis: TestRedis;
    dir: string;
    programs: KubernetesPrograms;
    figures: ServerFigures;
    services: readonly { close(options?: { force?: boolean }): Promise<void> }[];
  }) {
    this.url = parts.url;
    this.identity = parts.identity;
    this.drover = parts.drover;
    this.redis = parts.redis;
    this.figures = parts.figures;
    this.#dir = parts.dir;
    this.#programs = parts.programs;
    this.#services = parts.services;
  }

  /** Starts all of it, with further options of the server. */
  static async start(more: Partial<ServerOptions> = {}): Promise<ServerBed> {
    const [redis, programs, dir] = await Promise.all([
      startRedis({ config: {} }),
      kubernetesPrograms(),
      mkdtemp(join(tmpdir(), 'drover-server-')),
    ]);
    const logger = pino({ level: 'silent' });
    const connection = redis.url;
    const identity = await prepareIdentity({ dir: join(dir, 'identity'), nowMs: Date.now() });
    const secretKeyFile = join(dir, 'secret.key');
    await writeFile(secretKeyFile, newSecretKey(), { mode: 0o600 });
    const server: DroverServer = createServer({
      connection,
      secretKeyFile,
      port: 0,
      tls: identity.server,
      token: identity.token,
      logger: pino({ level: 'error' }, pino.destination({ fd: 2, sync: true })),
      ...more,
    });
    const controller = createController({ connection, logger, backoffBaseMs: 20 });
    const quick = defineHandler('quick', ({ index }) => ({ index }));
    const worker = createWorker({
      connection,
      logger,
      name: 'worker-1',
      handlers: [quick],
      runtimes: ['handler', 'process'],
      maxPods: 8,
    });
    void controller.run();
    void worker.run();
    await worker.ready();
    const url = await server.listen();
    await writeKubeconfig(join(dir, 'kubeconfig'), {
      url,
      authority: identity.authority,
      token: identity.token,
    });
    const drover = new Drover({ connection });
    const services = [server, worker, controller];
    const { figures } = server;
    return new ServerBed({ url, identity, drover, redis, dir, programs, figures, services });
  }

  /** Ends all of it. */
  async stop(): Promise<void> {
    await this.drover.close();
    for (const service of this.#services) await service.close({ force: true });
    await this.redis.stop();
    await rm(this.#dir, { recursive: true, force: true });
  }

  /** The path of a file of the test's own, which need not be there. */
  path(name: string): string {
    return join(this.#dir, name);
  }

  /** Writes a file and answers its path. */
  async write(name: string, content: string | object): Promise<string> {
    const path = this.path(name);
    await writeFile(path, typeof content === 'string' ? content : JSON.stringify(content));
    return path;
  }

  /** Runs kubectl to its end. */
  async kubectl(
    args: readonly string[],
    input?: string,
    env: Readonly<Record<string, string>> = {},
  ): Promise<Ended> {
    return await toItsEnd(this.#start(this.#programs.kubectl, args, env), input);
  }

  /** Runs helm to its end. */
  async helm(args: readonly string[]): Promise<Ended> {
    return await toItsEnd(this.#start(this.#programs.helm, args), '');
  }

  /** Starts kubectl. */
  startKubectl(args: readonly string[]): ChildProcessWithoutNullStreams {
    return this.#start(this.#programs.kubectl, args);
  }

  /** Makes namespaces; those that are there already may stay. */
  async makeNamespaces(...names: readonly string[]): Promise<void> {
    for (const name of names) {
      const body = JSON.stringify({ metadata: { name } });
      const { code, text } = await this.fetch('/api/v1/namespaces', { method: 'POST', body });
      if (code !== 201 && code !== 409) throw new Error(`namespace ${name}: ${text}`);
    }
  }

  #start(
    program: string,
    args: readonly string[],
    more: Readonly<Record<string, string>> = {},
  ): ChildProcessWithoutNullStreams {
    const { HOME: _home, KUBECONFIG: _theirs, ...env } = process.env;
    return spawn(program, args, {
      env: { ...env, ...more, HOME: this.#dir, KUBECONFIG: join(this.#dir, 'kubeconfig') },
      stdio: ['pipe', 'pipe', 'pipe'],
    });
  }

  /** Sends a request as no client library would do it for us. */
  async fetch(path: string, options: RequestOptions = {}): Promise<Answer> {
    const { request } = await import('node:https');
    const { method = 'GET', headers = {}, body, agent } = options;
    const url = new URL(path, this.url);
    const authorization = `Bearer ${this.identity.token}`;
    // Node sends none with a DELETE by itself.
    const length = body === undefined ? {} : { 'content-length': String(Buffer.byteLength(body)) };
    return await new Promise((resolve, reject) => {
      const sent = request(
        url,
        {
          method,
          ca: this.identity.authority,
          headers: { authorization, ...length, ...headers },
          ...(agent === undefined ? {} : { agent }),
        },
        (response) => {
          let text = '';
          response.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
          response.on('end', () =>
            resolve({ code: response.statusCode ?? 0, headers: response.headers, text }),
          );
        },
      );
      sent.on('error', reject);
      sent.end(body);
    });
  }
}

async function toItsEnd(program: ChildProcessWithoutNullStreams, input = ''): Promise<Ended> {
  program.stdin.end(input);
  return await new Promise((resolve) => {
    const output = { stdout: '', stderr: '' };
    program.stdout.setEncoding('utf8').on('data', (text: string) => (output.stdout += text));
    program.stderr.setEncoding('utf8').on('data', (text: string) => (output.stderr += text));
    program.on('close', (code) => resolve({ code, ...output }));
  });
}

/** A request. */
export interface RequestOptions {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array;
  /** For many requests: it keeps connections. */
  readonly agent?: Agent;
}

/** What the server answered. */
export interface Answer {
  readonly code: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly text: string;
}
