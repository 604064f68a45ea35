/** Probes: how it is found out that a container has started, and that it still works. */

import * as z from 'zod';

import { forbidden, invalid, inRange, required, type ValidationIssue } from './issues.ts';

/** Longest of all times of probes in seconds, and most failures. */
const MAX_INT32 = 2 ** 31 - 1;

/** The number of a port, or the name that the container gives it. */
const Port = z.union([z.int(), z.string()]);

/** Asks by HTTP; any status from 200 to 399 is well. */
const HTTPGetAction = z.strictObject({
  /** Path and query. Default `/`. */
  path: z.string().default('/'),
  /** The number of a port, or the name that the container gives it. */
  port: Port,
  /** Whom to ask. Default: the worker's own machine, 127.0.0.1. */
  host: z.string().optional(),
  /** HTTPS is not verified. */
  scheme: z.enum(['HTTP', 'HTTPS']).default('HTTP'),
  /** Headers of the request. */
  httpHeaders: z.array(z.strictObject({ name: z.string(), value: z.string() })).optional(),
});

/** Asks a container now and then whether all is well. Exactly one of `exec`, `httpGet`, `tcpSocket`. */
export const Probe = z.strictObject({
  /** Runs a program with the container's environment, directory, volumes and user: 0 is well. */
  exec: z
    .strictObject({
      /** Program and arguments, no shell. */
      command: z.array(z.string()).optional(),
    })
    .optional(),
  /** Asks by HTTP. */
  httpGet: HTTPGetAction.optional(),
  /** Whether somebody listens. */
  tcpSocket: z
    .strictObject({
      /** The number of a port, or the name that the container gives it. */
      port: Port,
      /** Whom to ask. Default: the worker's own machine, 127.0.0.1. */
      host: z.string().optional(),
    })
    .optional(),
  /** Refused. */
  grpc: z.unknown().optional(),
  /** Seconds from the start to the first time, >= 0. */
  initialDelaySeconds: z.int().default(0),
  /** Seconds from one time to the next, >= 1. */
  periodSeconds: z.int().default(10),
  /** Seconds that an answer may take, >= 1. */
  timeoutSeconds: z.int().default(1),
  /** Only 1. */
  successThreshold: z.int().default(1),
  /** Failures in a row after which the container is stopped, >= 1. */
  failureThreshold: z.int().default(3),
  /** Grace period of the container then, >= 1. Default: that of the pod. */
  terminationGracePeriodSeconds: z.int().optional(),
});
/** Asks a container now and then whether all is well. */
export type Probe = z.output<typeof Probe>;

/** The port that a probe means; null = the container has none of the name. */
export function probePort(
  port: number | string,
  ports: readonly { readonly name?: string | undefined; readonly containerPort: number }[],
): number | null {
  if (typeof port === 'number') return port;
  return ports.find(({ name }) => name === port)?.containerPort ?? null;
}

/**
 * What is wrong with the probes of a container.
 *
 * @param mayHave - Whether it may have some: no plain initContainer may.
 */
export function probeIssues(
  {
    livenessProbe,
    startupProbe,
    ports = [],
  }: {
    readonly livenessProbe?: Probe | undefined;
    readonly startupProbe?: Probe | undefined;
    readonly ports?:
      | readonly { readonly name?: string | undefined; readonly containerPort: number }[]
      | undefined;
  },
  path: string,
  mayHave: boolean,
): ValidationIssue[] {
  return Object.entries({ livenessProbe, startupProbe }).flatMap(([name, probe]) => {
    if (probe === undefined) return [];
    const here = `${path}.${name}`;
    if (!mayHave) {
      const detail = 'may not be set for init containers without restartPolicy=Always';
      return [forbidden(here, detail)];
    }
    const { httpGet, tcpSocket } = probe;
    const issues = oneProbeIssues(probe, here);
    if (httpGet !== undefined) issues.push(...httpGetIssues(httpGet, `${here}.httpGet`));
    for (const [kind, port] of Object.entries({
      httpGet: httpGet?.port,
      tcpSocket: tcpSocket?.port,
    })) {
      if (port === undefined) continue;
      const number = probePort(port, ports);
      const portPath = `${here}.${kind}.port`;
      if (number === null) {
        issues.push(invalid(portPath, port, 'must be a number, or the name of one of its ports'));
      } else issues.push(...inRange(portPath, number, 1, 65_535));
    }
    return issues;
  });
}

function httpGetIssues(
  { host, httpHeaders = [] }: NonNullable<Probe['httpGet']>,
  path: string,
): ValidationIssue[] {
  const issues: ValidationIssue[] = [];
  if (host !== undefined && host !== '' && !isHost(host)) {
    issues.push(invalid(`${path}.host`, host, 'must be the name or the address of a host'));
  }
  for (const [at, { name, value }] of httpHeaders.entries()) {
    const here = `${path}.httpHeaders[${at}]`;
    if (!/^[-A-Za-z0-9]+$/.test(name)) {
      const detail =
        "a valid HTTP header must consist of alphanumeric characters or '-' (e.g. 'X-Header-Name')";
      issues.push(invalid(`${here}.name`, name, detail));
    }
    if (!/^[\t\x20-\x7e\x80-\xff]*$/.test(value)) {
      issues.push(invalid(`${here}.value`, value, 'must have no control characters'));
    }
  }
  return issues;
}

/** A name, or an address of IPv4 or IPv6. */
function isHost(text: string): boolean {
  return /^([\w.-]+|[\dA-Fa-f:.]+)$/.test(text);
}

function oneProbeIssues(probe: Probe, path: string): ValidationIssue[] {
  const issues: ValidationIssue[] = [];
  const { exec, httpGet, tcpSocket, grpc, successThreshold, terminationGracePeriodSeconds } = probe;
  const kinds = [exec, httpGet, tcpSocket, grpc].filter((kind) => kind !== undefined);
  if (kinds.length === 0) issues.push(required(path, 'must specify a handler type'));
  if (kinds.length > 1) issues.push(forbidden(path, 'may not specify more than 1 handler type'));
  if (exec !== undefined && (exec.command ?? []).length === 0) {
    issues.push(required(`${path}.exec.command`));
  }
  issues.push(...inRange(`${path}.initialDelaySeconds`, probe.initialDelaySeconds, 0, MAX_INT32));
  for (const name of ['periodSeconds', 'timeoutSeconds', 'failureThreshold'] as const) {
    issues.push(...inRange(`${path}.${name}`, probe[name], 1, MAX_INT32));
  }
  if (successThreshold !== 1) {
    issues.push(invalid(`${path}.successThreshold`, successThreshold, 'must be 1'));
  }
  if (terminationGracePeriodSeconds !== undefined) {
    const gracePath = `${path}.terminationGracePeriodSeconds`;
    issues.push(...inRange(gracePath, terminationGracePeriodSeconds, 1, MAX_INT32));
  }
  return issues;
}
