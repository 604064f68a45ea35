import { parseTime, type ContainerStatus, type Pod, type ValidationIssue } from '@drover/shared';
import { PodsClient, runsToRead, type Backend } from '@drover/sdk/internals';

import type { Resource } from '../api/resource.ts';
import type { Context } from '../http/context.ts';
import { count, flag, param, type Query } from '../http/query.ts';
import { badRequest, invalid } from '../http/status.ts';
import { StreamedAnswer } from '../http/stream.ts';
import type { Subresource } from '../http/routes.ts';

/** What a pod wrote: `pods/NAME/log`. */
export function podLog(backend: Backend, pods: Resource): Subresource {
  const client = new PodsClient(backend, 'default');
  return { resource: pods, name: 'log', handlers: { GET: (context) => sendLog(client, context) } };
}

async function sendLog(client: PodsClient, context: Context): Promise<void> {
  const { query } = context;
  const pod = await client.get(context.name, { namespace: context.namespace ?? '' });
  const container = param(query, 'container') ?? onlyContainer(pod);
  const previous = flag(query, 'previous');
  const options = { ...logOptions(query, Date.now()), container, previous };
  // All that can be wrong is told before the answer begins.
  runsToRead(pod, options);
  if (!previous) refuseWaiting(pod, container);

  context.reply.hijack();
  const answer = new StreamedAnswer(context.reply.raw);
  answer.begin({ 'content-type': 'text/plain', 'cache-control': 'no-cache, private' });
  const signal = AbortSignal.any([answer.signal, context.closing]);
  try {
    for await (const { bytes, droppedBytes } of client.logLines(pod, { ...options, signal })) {
      if (signal.aborted) break;
      await answer.write(droppedBytes > 0 ? `[${droppedBytes} bytes were dropped here]\n` : bytes);
    }
  } catch (error) {
    // The head is out: all that can be said is in the log.
    if (!signal.aborted) context.request.log.error({ err: error }, 'a log broke off');
  } finally {
    answer.end();
  }
}

function logOptions(query: Query, nowMs: number) {
  const issues: ValidationIssue[] = [];
  const limitBytes = count(query, 'limitBytes');
  const sinceSeconds = count(query, 'sinceSeconds');
  const sinceTime = param(query, 'sinceTime') ?? '';
  const tailLines = count(query, 'tailLines');
  const notPositive = (path: string, value: number | null): void => {
    if (value !== 0) return;
    issues.push({ path, kind: 'Invalid', value, detail: 'must be greater than 0' });
  };
  notPositive('limitBytes', limitBytes);
  notPositive('sinceSeconds', sinceSeconds);
  if (sinceSeconds !== null && sinceTime !== '') {
    const detail = 'at most one of `sinceTime` or `sinceSeconds` may be specified';
    issues.push({ path: 'sinceTime', kind: 'Forbidden', detail });
  }
  const sinceMs = parseTime(sinceTime);
  if (sinceTime !== '' && sinceMs === null) {
    issues.push({
      path: 'sinceTime',
      kind: 'Invalid',
      value: sinceTime,
      detail: 'must be an RFC 3339 time',
    });
  }
  if (issues.length > 0) throw invalid('PodLogOptions', '', '', issues);
  const since = sinceMs === null ? sinceSeconds : Math.max(0, nowMs - sinceMs) / 1000;
  return {
    follow: flag(query, 'follow'),
    timestamps: flag(query, 'timestamps'),
    ...(limitBytes === null ? {} : { limitBytes }),
    ...(tailLines === null ? {} : { tailLines }),
    ...(since === null ? {} : { sinceSeconds: since }),
  };
}

/** The container that is meant when none is named: there must be no choice. */
function onlyContainer({ metadata, spec }: Pod): string {
  const { containers, initContainers = [] } = spec;
  const [only] = containers;
  if (only !== undefined && containers.length === 1 && initContainers.length === 0)
    return only.name;
  const list = (all: readonly { readonly name: string }[]): string =>
    `[${all.map(({ name }) => name).join(' ')}]`;
  const others =
    initContainers.length === 0 ? '' : ` or one of the init containers: ${list(initContainers)}`;
  throw badRequest(
    `a container name must be specified for pod ${metadata.name}, choose one of: ${list(containers)}${others}`,
  );
}

/** A container that was never started has no log, and a client can wait for it by other means. */
function refuseWaiting({ metadata, spec, status }: Pod, container: string): void {
  if (status.phase !== 'Pending' && status.phase !== 'Running') return;
  if (spec.nodeName === undefined) {
    throw badRequest(`pod ${metadata.name} does not have a host assigned`);
  }
  const statuses: readonly ContainerStatus[] = [
    ...(status.initContainerStatuses ?? []),
    ...(status.containerStatuses ?? []),
  ];
  const own = statuses.find(({ name }) => name === container);
  const { waiting } = own?.state ?? {};
  if (waiting === undefined || own?.lastState !== undefined) return;
  throw badRequest(
    `container "${container}" in pod "${metadata.name}" is waiting to start: ${waiting.reason ?? 'ContainerCreating'}`,
  );
}
