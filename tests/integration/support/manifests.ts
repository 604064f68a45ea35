import type { JobManifest } from '@drover/sdk';

import type { PodRecords } from './records.ts';

/** What the Jobs of these tests differ in. */
export interface JobShape {
  readonly name: string;
  /** Default 1; null for a work-queue Job. */
  readonly completions?: number | null;
  /** Default 1. */
  readonly parallelism?: number;
  /** Default false. */
  readonly indexed?: boolean;
  readonly backoffLimit?: number;
  readonly backoffLimitPerIndex?: number;
  readonly maxFailedIndexes?: number;
  /** Further fields of the spec. */
  readonly spec?: Readonly<Record<string, unknown>>;
  /** Further fields of the pod's spec. */
  readonly pod?: Readonly<Record<string, unknown>>;
  readonly activeDeadlineSeconds?: number;
  readonly suspend?: boolean;
  readonly restartPolicy?: 'Never' | 'OnFailure';
  readonly graceSeconds?: number;
}

/** A Job of one of the handlers in fixtures/handlers.ts. */
export function handlerJob(handler: string, shape: JobShape, input: object = {}): JobManifest {
  return manifest(shape, {
    metadata: { annotations: { 'drover.dev/input': JSON.stringify(input) } },
    spec: {
      ...podSpec(shape),
      runtimeClassName: 'handler',
      containers: [{ name: 'main', image: handler }],
    },
  });
}

/** A Job of a program. */
export function programJob(
  command: readonly string[],
  shape: JobShape,
  env: readonly object[] = [],
): JobManifest {
  return manifest(shape, {
    spec: {
      ...podSpec(shape),
      containers: [{ name: 'main', command, env }],
    },
  });
}

/**
 * A Job of a shell script that writes down when it starts and ends. In the script, `$GO` is the
 * file that lets it go on.
 */
export function recordedScript(
  records: PodRecords,
  script: string,
  shape: JobShape,
  env: readonly object[] = [],
): JobManifest {
  // `$$$$` is the shell's `$$`: in a command of a pod `$$` stands for `$`.
  const write = (event: string): string =>
    `echo "$JOB $NODE $POD \${JOB_COMPLETION_INDEX:--} $$$$ ${event} $(date +%s%3N)" >> "$RECORDS"`;
  return programJob(['/bin/sh', '-c', `${write('start')}\n${script}\n${write('end')}`], shape, [
    { name: 'JOB', value: shape.name },
    { name: 'NODE', valueFrom: { fieldRef: { fieldPath: 'spec.nodeName' } } },
    { name: 'POD', valueFrom: { fieldRef: { fieldPath: 'metadata.name' } } },
    { name: 'RECORDS', value: records.programFile },
    { name: 'GO', value: records.goFile(shape.name) },
    ...env,
  ]);
}

function podSpec({ restartPolicy = 'Never', graceSeconds, pod }: JobShape): object {
  return {
    restartPolicy,
    ...(graceSeconds !== undefined && { terminationGracePeriodSeconds: graceSeconds }),
    ...pod,
  };
}

function manifest(shape: JobShape, template: object): JobManifest {
  const { name, completions = 1, parallelism = 1, indexed = false } = shape;
  const { backoffLimit, backoffLimitPerIndex, maxFailedIndexes } = shape;
  const { activeDeadlineSeconds, suspend } = shape;
  return {
    apiVersion: 'batch/v1',
    kind: 'Job',
    metadata: { name },
    spec: {
      ...(completions !== null && { completions }),
      parallelism,
      completionMode: indexed ? 'Indexed' : 'NonIndexed',
      ...(backoffLimit !== undefined && { backoffLimit }),
      ...(backoffLimitPerIndex !== undefined && { backoffLimitPerIndex }),
      ...(maxFailedIndexes !== undefined && { maxFailedIndexes }),
      ...(activeDeadlineSeconds !== undefined && { activeDeadlineSeconds }),
      ...(suspend !== undefined && { suspend }),
      ...shape.spec,
      template,
    },
  };
}
