import type { DroverServer } from '@drover/server';
import type { Registry } from 'prom-client';

import { processMetrics } from './processMetrics.ts';
import { SampledRegistry } from './samples.ts';
import type { WatchedProcess } from './watched.ts';

/** What requests are labelled with that are about no resource, or whose user was refused. */
const OTHER = 'other';

/** The metrics of an API server. */
export function serverMetrics(
  watched: Omit<WatchedProcess, 'role'>,
  figures: DroverServer['figures'],
): Registry {
  const registry = processMetrics({ ...watched, role: 'server' });
  const metrics = new SampledRegistry(registry);
  metrics.counter('drover_api_requests_total', 'Requests that were answered.', () =>
    figures.requests.map(({ verb, resource, code, count }) => [
      count,
      { verb: verb || OTHER, resource: resource || OTHER, code },
    ]),
  );
  metrics.histogram(
    'drover_api_request_duration_seconds',
    'How long requests took, by verb; watches are not among them.',
    () => [...figures.times].map(([verb, times]) => [times, { verb: verb || OTHER }]),
  );
  metrics.gauge('drover_api_watches', 'Watches that are open.', () => [[figures.watches]]);
  return registry;
}
