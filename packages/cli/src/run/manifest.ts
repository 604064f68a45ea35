import { basename } from 'node:path';

import { KEPT_PODS_ANNOTATION } from '@drover/shared';

/** What `drover run` was asked to do, as far as the Job shows it. */
export interface RunShape {
  /** null = none: it is complete when the items of its work queue are. */
  readonly completions: number | null;
  readonly parallelism: number;
  readonly indexed: boolean;
  /** null: one is made from the program's name. */
  readonly name: string | null;
  /** Failures that are tolerated; null: see {@link runManifest}. */
  readonly retries: number | null;
  readonly env: Readonly<Record<string, string>>;
  /** Milliseconds; null = none. */
  readonly timeoutMs: number | null;
  /** Working directory of the program; null = the worker's. */
  readonly workingDir: string | null;
  readonly pool: string | null;
  /** Between SIGTERM and SIGKILL; left out: the default of Kubernetes. */
  readonly graceSeconds?: number;
  /** A pod that ends with one of them fails the Job at once. Left out: none. */
  readonly fatalExitCodes?: readonly number[];
  /** Of the Job. */
  readonly jobAnnotations?: Readonly<Record<string, string>>;
  /** Of each pod. */
  readonly annotations?: Readonly<Record<string, string>>;
}

/** From so many pods on those that ended must not be removed before their output was read. */
const KEEP_ALL_FROM = 10_000;
const KEEP_ALL = { [KEPT_PODS_ANNOTATION]: '999999999' };

/** What a batch of several may lose before the Job fails, as in Kubernetes. */
const DEFAULT_RETRIES = 6;

/**
 * The manifest of a program with its arguments. Without `retries` a single program is tried once,
 * since a person waits for it; several have Kubernetes' six.
 */
export function runManifest(words: readonly string[], shape: RunShape): Record<string, unknown> {
  const [program = ''] = words;
  const env = Object.entries(shape.env).map(([name, value]) => ({ name, value: verbatim(value) }));
  const retries = shape.retries ?? ((shape.completions ?? 2) > 1 ? DEFAULT_RETRIES : 0);
  const keepsAll = (shape.completions ?? 0) >= KEEP_ALL_FROM;
  const annotations = { ...shape.jobAnnotations, ...(keepsAll && KEEP_ALL) };
  return {
    apiVersion: 'batch/v1',
    kind: 'Job',
    metadata: {
      ...(shape.name === null ? { generateName: `${nameOf(program)}-` } : { name: shape.name }),
      ...(Object.keys(annotations).length === 0 ? {} : { annotations }),
    },
    spec: {
      ...(shape.completions === null ? {} : { completions: shape.completions }),
      parallelism: shape.parallelism,
      completionMode: shape.indexed ? 'Indexed' : 'NonIndexed',
      backoffLimit: retries,
      ...(shape.timeoutMs === null
        ? {}
        : { activeDeadlineSeconds: Math.max(1, Math.ceil(shape.timeoutMs / 1000)) }),
      ...(shape.fatalExitCodes === undefined
        ? {}
        : { podFailurePolicy: failOn(shape.fatalExitCodes) }),
      template: {
        ...(shape.annotations === undefined
          ? {}
          : { metadata: { annotations: shape.annotations } }),
        spec: {
          restartPolicy: 'Never',
          ...(shape.graceSeconds === undefined
            ? {}
            : { terminationGracePeriodSeconds: shape.graceSeconds }),
          ...(shape.pool === null ? {} : { nodeSelector: { 'drover.dev/pool': shape.pool } }),
          containers: [
            {
              name: 'main',
              command: words.map(verbatim),
              ...(env.length === 0 ? {} : { env }),
              ...(shape.workingDir === null ? {} : { workingDir: shape.workingDir }),
            },
          ],
        },
      },
    },
  };
}

function failOn(values: readonly number[]): object {
  const onExitCodes = { containerName: 'main', operator: 'In', values };
  return { rules: [{ action: 'FailJob', onExitCodes }] };
}

/**
 * In a manifest `$$` means `$`. Here it must stay what the user's shell made of it; `$(NAME)` is
 * left to be replaced, since `$(JOB_COMPLETION_INDEX)` saves a shell.
 */
function verbatim(text: string): string {
  return text.replaceAll('$$', '$$$$$$$$');
}

/** The beginning of a Job's name, from a program's: lower case letters, digits and dashes. */
export function nameOf(program: string): string {
  const name = basename(program)
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .slice(0, 40)
    .replace(/^-+|-+$/g, '');
  return name === '' ? 'run' : name;
}
