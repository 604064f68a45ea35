import { request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { connect } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';

import { MAX_TIMER_MS, probePort, type Container, type Probe } from '@drover/shared';

import type { RunningHook } from './containerHook.ts';

/** How a container is asked. */
export type ProbeCheck =
  | { readonly type: 'exec'; readonly command: readonly string[] }
  | {
      readonly type: 'http';
      readonly url: string;
      readonly headers: ProbeHeaders;
    }
  | { readonly type: 'tcp'; readonly host: string; readonly port: number };

/** Headers of a question by HTTP; one may come several times. */
type ProbeHeaders = Readonly<Record<string, string | string[]>>;

/** A probe as a template has it. */
export interface PlannedProbe {
  readonly check: ProbeCheck;
  readonly initialDelayMs: number;
  readonly periodMs: number;
  readonly timeoutMs: number;
  readonly failureThreshold: number;
  /** Grace period of the container that failed it; null = that of the pod. */
  readonly graceMs: number | null;
}

const LOCALHOST = '127.0.0.1';

/** A probe of a container; null for one that is not there, or asks nothing. */
export function planProbe(
  probe: Probe | undefined,
  ports: NonNullable<Container['ports']>,
): PlannedProbe | null {
  const check = probe === undefined ? null : checkOf(probe, ports);
  if (probe === undefined || check === null) return null;
  // Validation writes the defaults into every template, so these are for what came another way.
  const {
    initialDelaySeconds = 0,
    periodSeconds = 10,
    timeoutSeconds = 1,
    failureThreshold = 3,
    terminationGracePeriodSeconds: grace,
  } = probe as Partial<Probe>;
  const ms = (seconds: number): number => Math.min(MAX_TIMER_MS, seconds * 1000);
  return {
    check,
    initialDelayMs: ms(initialDelaySeconds),
    periodMs: ms(periodSeconds),
    timeoutMs: ms(timeoutSeconds),
    failureThreshold,
    graceMs: grace === undefined ? null : ms(grace),
  };
}

function checkOf(
  { exec, httpGet, tcpSocket }: Probe,
  ports: NonNullable<Container['ports']>,
): ProbeCheck | null {
  if (exec?.command !== undefined) return { type: 'exec', command: exec.command };
  if (httpGet !== undefined) {
    const { path = '/', scheme = 'HTTP', httpHeaders = [] } = httpGet as Partial<typeof httpGet>;
    const port = probePort(httpGet.port, ports);
    const host = httpGet.host || LOCALHOST;
    // The address of IPv6 has colons of its own.
    const name = host.includes(':') ? `[${host}]` : host;
    const url = `${scheme.toLowerCase()}://${name}:${port}${path.startsWith('/') ? '' : '/'}${path}`;
    const headers = headersOf(httpHeaders);
    return port === null ? null : { type: 'http', url, headers };
  }
  if (tcpSocket === undefined) return null;
  const port = probePort(tcpSocket.port, ports);
  return port === null ? null : { type: 'tcp', host: tcpSocket.host || LOCALHOST, port };
}

function headersOf(
  headers: readonly { readonly name: string; readonly value: string }[],
): ProbeHeaders {
  const byName = Map.groupBy(headers, ({ name }) => name.toLowerCase());
  return Object.fromEntries(
    [...byName].map(([name, some]) => {
      const values = some.map(({ value }) => value);
      return [name, values.length === 1 ? (values[0] ?? '') : values];
    }),
  );
}

/** Asks by HTTP. @throws Error when the URL or a header is none. */
export function askHttp(url: string, headers: ProbeHeaders): RunningHook {
  const { promise: over, resolve } = Promise.withResolvers<string | null>();
  const isSecure = url.startsWith('https:');
  const common = { headers: { 'user-agent': 'drover-probe', ...headers }, agent: false as const };
  const request = isSecure
    ? httpsRequest(url, { ...common, rejectUnauthorized: false })
    : httpRequest(url, common);
  request.on('response', (response) => {
    const { statusCode = 0 } = response;
    response.resume();
    response.on('error', () => undefined);
    resolve(statusCode >= 200 && statusCode < 400 ? null : `HTTP status ${statusCode}`);
    request.destroy();
  });
  request.on('error', (error) => resolve(error.message));
  request.end();
  return { over, kill: () => request.destroy() };
}

/** Whether somebody listens. */
export function askTcp(host: string, port: number): RunningHook {
  const { promise: over, resolve } = Promise.withResolvers<string | null>();
  const socket = connect({ host, port });
  socket.on('connect', () => {
    resolve(null);
    socket.destroy();
  });
  socket.on('error', (error) => resolve(error.message));
  socket.on('close', () => resolve('closed'));
  return { over, kill: () => socket.destroy() };
}

/** Options of {@link ProbeLoop}. */
export interface ProbeLoopOptions {
  readonly probe: PlannedProbe;
  readonly ask: (check: ProbeCheck) => RunningHook;
  /** Told of each failure. */
  readonly onFailure: (problem: string) => void;
}

/** Asks a container again and again, one question at a time. */
export class ProbeLoop {
  readonly #options: ProbeLoopOptions;
  #asked: RunningHook | null = null;
  readonly #ending = new AbortController();

  constructor(options: ProbeLoopOptions) {
    this.#options = options;
  }

  /**
   * Asks until it failed too often in a row, or was ended; `untilWell`: or all was well.
   *
   * @returns 'failed', 'well' or 'ended'.
   */
  async run(untilWell: boolean): Promise<'failed' | 'well' | 'ended'> {
    const { probe, onFailure } = this.#options;
    let failures = 0;
    await this.#wait(probe.initialDelayMs);
    for (;;) {
      if (this.#hasEnded()) return 'ended';
      const problem = await this.#ask();
      if (this.#hasEnded()) return 'ended';
      if (problem === null && untilWell) return 'well';
      failures = problem === null ? 0 : failures + 1;
      if (problem !== null) onFailure(problem);
      if (failures >= probe.failureThreshold) return 'failed';
      await this.#wait(probe.periodMs);
    }
  }

  /** Asks no more. */
  end(): void {
    this.#ending.abort();
    this.#asked?.kill();
  }

  #hasEnded(): boolean {
    return this.#ending.signal.aborted;
  }

  async #ask(): Promise<string | null> {
    const { probe, ask } = this.#options;
    const asked = ask(probe.check);
    this.#asked = asked;
    const late = Promise.withResolvers<string>();
    const timer = setTimeout(() => {
      late.resolve(`no answer within ${probe.timeoutMs / 1000}s`);
      asked.kill();
    }, probe.timeoutMs);
    const problem = await Promise.race([asked.over, late.promise]);
    clearTimeout(timer);
    this.#asked = null;
    return problem;
  }

  /** Waits, or not so long when it is ended. */
  async #wait(ms: number): Promise<void> {
    const { signal } = this.#ending;
    if (ms > 0) await delay(ms, undefined, { signal }).catch(() => undefined);
  }
}
