import type { DroverWorker, LaneFigures } from '@drover/worker';
import type { Registry } from 'prom-client';

import { processMetrics } from './processMetrics.ts';
import { SampledRegistry, type Sample } from './samples.ts';
import type { WatchedProcess } from './watched.ts';

/** The metrics of a worker. */
export function workerMetrics(
  watched: Omit<WatchedProcess, 'role'>,
  worker: Pick<DroverWorker, 'figures' | 'lanes'>,
): Registry {
  const registry = processMetrics({ ...watched, role: 'worker' });
  const metrics = new SampledRegistry(registry);
  const { figures } = worker;
  metrics.counter('drover_pods_started_total', 'Pods that this worker started.', () => [
    [figures.podsStarted],
  ]);
  metrics.counter('drover_pods_ended_total', 'Pods that ended here, by how they did.', () =>
    byResult(figures.podsEnded),
  );
  metrics.histogram('drover_pod_duration_seconds', 'How long pods took.', () => [
    [figures.podTimes],
  ]);
  metrics.histogram(
    'drover_job_start_delay_seconds',
    'From the creation of a Job to the start of its first pod, where that started here.',
    () => [[figures.startDelays]],
  );
  metrics.histogram(
    'drover_report_pods',
    'How many ends of pods went to Redis in one report.',
    () => [[figures.reportBatches]],
  );
  const lanes = (read: (of: LaneFigures) => number): Sample[] =>
    worker.lanes.map((of) => [read(of), { runtime: of.runtime }]);
  metrics.gauge('drover_lanes', 'Pods that may be at work at a time, by runtime.', () =>
    lanes(({ total }) => total),
  );
  metrics.gauge('drover_lanes_used', 'Lanes with a slot that is held, by runtime.', () =>
    lanes(({ used }) => used),
  );
  metrics.gauge(
    'drover_lanes_lent',
    'Pods that wait for items and let others use their lanes, by runtime.',
    () => lanes(({ lent }) => lent),
  );
  metrics.counter('drover_items_ended_total', 'Items that ended here, by how they did.', () =>
    byResult(figures.items),
  );
  metrics.counter(
    'drover_events_dropped_total',
    'Events that could not be written, or were too many.',
    () => [[figures.lostEvents]],
  );
  return registry;
}

function byResult(counts: Readonly<Record<string, number>>): Sample[] {
  return Object.entries(counts).map(([result, count]) => [count, { result }]);
}
