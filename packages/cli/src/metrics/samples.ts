import type { Distribution } from '@drover/shared';
import type { Metric, Registry } from 'prom-client';

/** Labels of a sample, by name. */
export type Labels = Readonly<Record<string, string | number>>;

/** A figure with its labels. */
export type Sample<T = number> = readonly [value: T, labels?: Labels];

/** A name, and what it means. */
interface Described {
  /** In Prometheus' conventions: its unit at the end, `_total` for what only grows. */
  readonly name: string;
  /** One line, for people. */
  readonly help: string;
}

/** A sample as the registry takes it. */
interface NamedSample {
  readonly value: number;
  readonly labels: Labels;
  readonly metricName?: string;
}

/** A metric whose samples are made of figures that are kept elsewhere, each time when they are asked for. */
interface SampledMetric extends Described {
  readonly type: 'counter' | 'gauge' | 'histogram';
  readonly aggregator: 'sum';
  get(): Promise<SampledMetric & { readonly values: readonly NamedSample[] }>;
}

/** Where samples come from; null = they are not known now. */
type Source<T> = () => readonly Sample<T>[] | null | Promise<readonly Sample<T>[] | null>;

/**
 * A registry to which metrics are added that are read from figures. The registry's own kinds of metrics look up their
 * labels with every value, which is too much on the way of a pod.
 */
export class SampledRegistry {
  readonly #registry: Registry;

  constructor(registry: Registry) {
    this.#registry = registry;
  }

  /** Adds one that only grows. */
  counter(name: string, help: string, source: Source<number>): void {
    this.#add('counter', { name, help }, async () => plain((await source()) ?? []));
  }

  /** Adds one that rises and falls. */
  gauge(name: string, help: string, source: Source<number>): void {
    this.#add('gauge', { name, help }, async () => plain((await source()) ?? []));
  }

  /** Adds distributions of values. */
  histogram(name: string, help: string, source: Source<Distribution>): void {
    this.#add('histogram', { name, help }, async () =>
      ((await source()) ?? []).flatMap(([distribution, labels = {}]) =>
        buckets(name, distribution, labels),
      ),
    );
  }

  #add(
    type: SampledMetric['type'],
    { name, help }: Described,
    read: () => Promise<readonly NamedSample[]>,
  ): void {
    const metric: SampledMetric = {
      name,
      help,
      type,
      aggregator: 'sum',
      get: async () => ({ ...metric, values: await read() }),
    };
    // A registry asks its metrics for nothing else, but says that it wants one of its own classes.
    this.#registry.registerMetric(metric as unknown as Metric);
  }
}

function plain(samples: readonly Sample[]): NamedSample[] {
  return samples.map(([value, labels = {}]) => ({ value, labels }));
}

/** As Prometheus counts: each bucket with all that are below it. */
function buckets(name: string, distribution: Distribution, labels: Labels): NamedSample[] {
  const { bounds, counts, sum } = distribution;
  const samples: NamedSample[] = [];
  let count = 0;
  for (const [i, ofBucket] of counts.entries()) {
    count += ofBucket;
    const le = bounds[i] ?? '+Inf';
    samples.push({ metricName: `${name}_bucket`, labels: { ...labels, le }, value: count });
  }
  samples.push({ metricName: `${name}_sum`, labels, value: sum });
  samples.push({ metricName: `${name}_count`, labels, value: count });
  return samples;
}
