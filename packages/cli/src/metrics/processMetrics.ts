import { scriptFigures } from '@drover/store';
import { collectDefaultMetrics, Registry } from 'prom-client';

import { readVersion } from '../version.ts';
import { SampledRegistry } from './samples.ts';
import { unreadiness, type WatchedProcess } from './watched.ts';

/** A registry with what all processes of Drover have, and what Node and the system say of them. */
export function processMetrics(watched: WatchedProcess): Registry {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const metrics = new SampledRegistry(registry);
  const version = readVersion();
  metrics.gauge('drover_build_info', 'Always 1: what runs here.', () => [
    [1, { role: watched.role, version }],
  ]);
  metrics.gauge('drover_ready', '1 when /readyz says so too.', async () => [
    [(await unreadiness(watched)) === null ? 1 : 0],
  ]);
  metrics.gauge('drover_redis_up', '1 when Redis answers this process.', async () => [
    [(await watched.look()).fault === null ? 1 : 0],
  ]);
  metrics.histogram(
    'drover_script_duration_seconds',
    'From the sending of a script to its answer, by script.',
    () => [...scriptFigures()].map(([script, { times }]) => [times, { script }]),
  );
  metrics.counter(
    'drover_script_failures_total',
    'Scripts that Redis refused, or whose connection broke before the answer, by script.',
    () => [...scriptFigures()].map(([script, { failures }]) => [failures, { script }]),
  );
  return registry;
}
