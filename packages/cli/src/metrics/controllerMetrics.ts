import type { ControllerFigures } from '@drover/controller';
import type { InstallationGauges } from '@drover/store';
import type { Registry } from 'prom-client';

import { processMetrics } from './processMetrics.ts';
import { SampledRegistry, type Sample } from './samples.ts';
import type { WatchedProcess } from './watched.ts';

/** The metrics of a controller, and those of the installation, which all controllers tell alike. */
export function controllerMetrics(
  watched: Omit<WatchedProcess, 'role'>,
  figures: ControllerFigures,
): Registry {
  const registry = processMetrics({ ...watched, role: 'controller' });
  const metrics = new SampledRegistry(registry);
  const kinds = Object.entries(figures.reconciles);
  metrics.histogram(
    'drover_reconcile_duration_seconds',
    'How long looks at what was due took, by kind.',
    () => kinds.map(([kind, { times }]) => [times, { kind }]),
  );
  metrics.counter('drover_reconcile_failures_total', 'Looks that failed, by kind.', () =>
    kinds.map(([kind, { failures }]) => [failures, { kind }]),
  );
  metrics.counter(
    'drover_jobs_finished_total',
    'Jobs that got their final condition from this controller.',
    () => figures.finished.map(({ condition, reason, count }) => [count, { condition, reason }]),
  );
  metrics.counter(
    'drover_pods_lost_total',
    'Pods that this controller ended because their worker was gone.',
    () => [[figures.lostPods]],
  );
  metrics.counter(
    'drover_events_dropped_total',
    'Events that could not be written, or were too many.',
    () => [[figures.lostEvents]],
  );
  addInstallation(metrics, async () => (await watched.look()).gauges);
  return registry;
}

function addInstallation(
  metrics: SampledRegistry,
  look: () => Promise<InstallationGauges | null>,
): void {
  const gauge = (
    name: string,
    help: string,
    read: (gauges: InstallationGauges) => readonly Sample[],
  ): void => {
    metrics.gauge(name, help, async () => {
      const gauges = await look();
      return gauges === null ? null : read(gauges);
    });
  };
  gauge('drover_jobs', 'Jobs that are stored, finished ones too.', ({ jobs }) => [[jobs]]);
  gauge(
    'drover_jobs_unfinished',
    'Unfinished Jobs that had pods, by slot queue.',
    ({ slotQueues }) => slotQueues.map(({ queue, jobs }) => [jobs, { queue }]),
  );
  gauge(
    'drover_jobs_waiting_for_lanes',
    'Unfinished Jobs with Pending pods that more lanes would help.',
    ({ waitingJobs }) => [[waitingJobs]],
  );
  gauge('drover_slots', 'Slots on offer to workers, by slot queue and state.', ({ slotQueues }) =>
    slotQueues.flatMap(({ queue, waiting, active, delayed }): Sample[] => [
      [waiting, { queue, state: 'waiting' }],
      [active, { queue, state: 'active' }],
      [delayed, { queue, state: 'delayed' }],
    ]),
  );
  gauge(
    'drover_due_members',
    'What controllers have to look at now or later.',
    ({ dueMembers }) => [[dueMembers]],
  );
  gauge(
    'drover_due_lag_seconds',
    'How long what is overdue waits for a controller; 0 = nothing is.',
    ({ dueLagMs }) => [[dueLagMs / 1_000]],
  );
  gauge('drover_worker_sessions', 'Sessions of workers, one for each shard.', ({ sessions }) => [
    [sessions],
  ]);
  gauge('drover_pods_kept', 'Pods of finished Jobs that are kept.', ({ keptPods }) => [[keptPods]]);
  addWorkQueues(gauge);
}

function addWorkQueues(
  gauge: (
    name: string,
    help: string,
    read: (gauges: InstallationGauges) => readonly Sample[],
  ) => void,
): void {
  gauge('drover_work_queues', 'Work queues.', ({ workQueues }) => [[workQueues.count]]);
  gauge(
    'drover_work_queues_unread',
    'Work queues beyond the first 200 of a shard, which the figures of items leave out.',
    ({ workQueues }) => [[workQueues.unread]],
  );
  gauge(
    'drover_work_queue_items',
    'Items of all work queues: not settled yet, completed, and dead-lettered.',
    ({ workQueues: { outstanding, completed, dead } }) => [
      [outstanding, { state: 'outstanding' }],
      [completed, { state: 'completed' }],
      [dead, { state: 'dead' }],
    ],
  );
  gauge(
    'drover_work_queue_queue_jobs',
    'QueueJobs of items, of which each may have many, by state.',
    ({ workQueues: { queueJobs } }) =>
      Object.entries(queueJobs).map(([state, count]) => [count, { state }]),
  );
}
