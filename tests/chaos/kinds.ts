/** The kinds of Jobs that a run submits, and how each may end. */
import type { JobManifest } from '@drover/sdk';

import type { Random } from '../integration/support/random.ts';
import type { Ending, JobPlan } from './evidence.ts';
import type { ChaosInput } from './processes/handlers.ts';
import { programFile } from './records.ts';

/** A Job to submit. */
export interface DrawnJob {
  readonly plan: JobPlan;
  readonly manifest: JobManifest;
  readonly parallelism: number;
  /** Users may suspend and scale it, and delete its pods, without another end. */
  readonly mayBeDisturbed: boolean;
}

/** What is common to all Jobs of a run. */
export interface KindOptions {
  /** Where pods write down what they do. */
  readonly recordFolder: string;
  /** Of a hundred pods so many fail by themselves, in Jobs that can bear it. */
  readonly failPercent: number;
  /** Default: all, the commonest more often. */
  readonly kinds?: readonly string[];
}

const COMPLETE: Ending = { type: 'Complete' };
/** Of failures that hurt no Job: more than there can be. */
const ANY_FAILURES = 100_000;
/** What a program that must fail the Job ends with. */
const FATAL_CODE = 42;
/** Pods that were lost do not count, so that the number of failures follows from what pods did. */
const IGNORE_LOST = {
  action: 'Ignore',
  onPodConditions: [{ type: 'DisruptionTarget', status: 'True' }],
};

/** What the kinds differ in. */
interface Shape {
  readonly completions: number;
  readonly parallelism: number;
  readonly isIndexed?: boolean;
  readonly spec?: Readonly<Record<string, unknown>>;
  readonly pod: Readonly<Record<string, unknown>>;
  readonly input?: ChaosInput;
  readonly endings?: readonly Ending[];
  readonly isWorkQueue?: boolean;
}

type Draw = (random: Random, options: KindOptions) => Shape;

const KINDS: Readonly<Record<string, Draw>> = {
  fixed: (random, { failPercent }) => ({
    completions: random.integer(1, 200),
    parallelism: random.integer(1, 10),
    pod: HANDLER,
    input: { ms: random.integer(0, 40), failPercent },
  }),
  indexed: (random, { failPercent }) => ({
    completions: random.integer(1, 200),
    parallelism: random.integer(1, 10),
    isIndexed: true,
    pod: HANDLER,
    input: { ms: random.integer(0, 40), failPercent },
  }),
  flaky: (random) => ({
    completions: random.integer(3, 40),
    parallelism: random.integer(1, 6),
    isIndexed: random.integer(0, 1) === 1,
    pod: HANDLER,
    input: { ms: random.integer(0, 40), failPercent: 30 },
  }),
  restarting: (random) => ({
    completions: random.integer(3, 20),
    parallelism: random.integer(1, 6),
    isIndexed: true,
    pod: { ...HANDLER, restartPolicy: 'OnFailure' },
    input: { ms: random.integer(0, 40), failPercent: 30 },
  }),
  deaf: (random, { failPercent }) => ({
    completions: random.integer(1, 20),
    parallelism: random.integer(1, 6),
    pod: HANDLER,
    input: { ms: random.integer(100, 1_500), isDeaf: true, failPercent },
  }),
  blocking: (random) => ({
    completions: random.integer(1, 3),
    parallelism: 1,
    pod: HANDLER,
    input: { ms: 0, blockMs: random.integer(100, 3_000), failPercent: 0 },
  }),
  program: (random, options) => ({
    completions: random.integer(3, 30),
    parallelism: random.integer(1, 6),
    isIndexed: true,
    pod: program(options, { sleepMs: random.integer(0, 90), failPercent: options.failPercent }),
  }),
  several: (random, options) => ({
    completions: random.integer(2, 10),
    parallelism: random.integer(1, 4),
    isIndexed: true,
    pod: severalContainers(program(options, { sleepMs: random.integer(0, 90), failPercent: 0 })),
  }),
  items: (random) => ({
    completions: 0,
    parallelism: random.integer(1, 6),
    isWorkQueue: true,
    pod: { ...HANDLER, containers: [{ name: 'main', image: 'take' }] },
  }),
  hopeless: (random) => {
    const backoffLimit = random.integer(0, 3);
    return {
      completions: random.integer(1, 10),
      parallelism: random.integer(1, 4),
      spec: { backoffLimit },
      pod: HANDLER,
      input: { ms: random.integer(0, 100), failing: [-1], failPercent: 0 },
      endings: [{ type: 'Failed', reason: 'BackoffLimitExceeded' }],
    };
  },
  perIndex: (random) => {
    const completions = random.integer(3, 40);
    const failing = [0, random.integer(1, completions - 1)];
    return {
      completions,
      parallelism: random.integer(1, 6),
      isIndexed: true,
      spec: {
        backoffLimitPerIndex: random.integer(0, 2),
        podFailurePolicy: { rules: [IGNORE_LOST] },
      },
      pod: HANDLER,
      input: { ms: random.integer(0, 40), failing, failPercent: 0 },
      endings: [{ type: 'Failed', reason: 'FailedIndexes' }],
    };
  },
  fatal: (random, options) => ({
    completions: random.integer(3, 20),
    parallelism: random.integer(1, 4),
    isIndexed: true,
    spec: {
      podFailurePolicy: {
        rules: [
          {
            action: 'FailJob',
            onExitCodes: { containerName: 'main', operator: 'In', values: [FATAL_CODE] },
          },
          IGNORE_LOST,
        ],
      },
    },
    pod: program(options, { sleepMs: 20, failPercent: 0, fatalIndex: random.integer(0, 2) }),
    endings: [{ type: 'Failed', reason: 'PodFailurePolicy' }],
  }),
  early: (random) => ({
    completions: random.integer(5, 60),
    parallelism: random.integer(1, 6),
    isIndexed: true,
    spec: { successPolicy: { rules: [{ succeededCount: random.integer(1, 4) }] } },
    pod: HANDLER,
    input: { ms: random.integer(20, 200), failPercent: 0 },
    endings: [{ type: 'Complete', reason: 'SuccessPolicy' }],
  }),
  late: (random) => ({
    completions: random.integer(1, 10),
    parallelism: random.integer(1, 4),
    spec: { activeDeadlineSeconds: random.integer(1, 3) },
    pod: HANDLER,
    input: { ms: 60_000, failPercent: 0 },
    endings: [{ type: 'Failed', reason: 'DeadlineExceeded' }],
  }),
};

const HANDLER = {
  runtimeClassName: 'handler',
  restartPolicy: 'Never',
  containers: [{ name: 'main', image: 'work' }],
};

/** The commonest kinds, that most of a run is made of. */
const COMMON = ['fixed', 'indexed', 'items', 'flaky', 'program'] as const;

/** Draws a Job. */
export function drawJob(
  random: Random,
  { uid, number }: { readonly uid: string; readonly number: number },
  options: KindOptions,
): DrawnJob {
  const kind = random.pick(options.kinds ?? [...Object.keys(KINDS), ...COMMON]);
  const shape = KINDS[kind]!(random, options);
  const { completions, parallelism, isIndexed = false, isWorkQueue = false, spec = {} } = shape;
  const name = `${kind.toLowerCase()}-${number}`;
  const waitsForStopped = 'podFailurePolicy' in spec || random.integer(0, 1) === 1;
  const fields = {
    backoffLimit: ANY_FAILURES,
    ...(!isWorkQueue && { completions }),
    parallelism,
    completionMode: isIndexed ? 'Indexed' : 'NonIndexed',
    ...(waitsForStopped && { podReplacementPolicy: 'Failed' }),
    ...spec,
  };
  const inputText = shape.input === undefined ? null : JSON.stringify(shape.input);
  return {
    manifest: {
      apiVersion: 'batch/v1',
      kind: 'Job',
      metadata: { name, ...(isWorkQueue && { annotations: { 'drover.dev/work-queue': name } }) },
      spec: {
        ...fields,
        template: {
          metadata: {
            ...(inputText !== null && { annotations: { 'drover.dev/input': inputText } }),
          },
          spec: { terminationGracePeriodSeconds: random.integer(1, 2), ...shape.pod },
        },
      },
    },
    plan: {
      name,
      uid,
      completions: isWorkQueue ? null : completions,
      isIndexed,
      waitsForStopped,
      restarts: shape.pod['restartPolicy'] === 'OnFailure',
      backoffLimitPerIndex: (spec['backoffLimitPerIndex'] as number | undefined) ?? null,
      ignoresFailures: 'podFailurePolicy' in spec,
      endings: shape.endings ?? [COMPLETE],
    },
    parallelism,
    mayBeDisturbed: shape.endings === undefined,
  };
}

/** A pod without a Job. */
export function drawBarePod(
  random: Random,
  name: string,
  options: KindOptions,
): Readonly<Record<string, unknown>> {
  const isProgram = random.integer(0, 1) === 1;
  const input: ChaosInput = { ms: random.integer(0, 400), failPercent: 20 };
  const spec = isProgram ? program(options, { sleepMs: 50, failPercent: 20 }) : HANDLER;
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, annotations: { 'drover.dev/input': JSON.stringify(input) } },
    spec: { terminationGracePeriodSeconds: 1, ...spec },
  };
}

/** A CronJob that makes up for all times that it missed. */
export function cronJobOf(name: string): Readonly<Record<string, unknown>> {
  const input: ChaosInput = { ms: 10, failPercent: 0 };
  return {
    metadata: {
      name,
      annotations: { 'drover.dev/cron-catch-up': 'all', 'drover.dev/cron-catch-up-limit': '100' },
    },
    spec: {
      schedule: `@every ${CRON_EVERY_MS / 1_000}s`,
      successfulJobsHistoryLimit: 10_000,
      failedJobsHistoryLimit: 10_000,
      jobTemplate: {
        spec: {
          completions: CRON_COMPLETIONS,
          parallelism: CRON_COMPLETIONS,
          backoffLimit: ANY_FAILURES,
          template: {
            metadata: { annotations: { 'drover.dev/input': JSON.stringify(input) } },
            spec: { ...HANDLER, terminationGracePeriodSeconds: 1 },
          },
        },
      },
    },
  };
}

/** Time between two Jobs of a CronJob, ms. */
export const CRON_EVERY_MS = 2_000;
/** completions and parallelism of a CronJob's Jobs. */
export const CRON_COMPLETIONS = 2;

function program(
  { recordFolder }: KindOptions,
  how: { readonly sleepMs: number; readonly failPercent: number; readonly fatalIndex?: number },
): Readonly<Record<string, unknown>> & { readonly containers: readonly object[] } {
  const { sleepMs, failPercent, fatalIndex = -1 } = how;
  // `$$$$` is the shell's `$$`: in a command of a pod `$$` stands for `$`.
  const script = `
note() { echo "pod $POD $NODE $$$$ $1 $(date +%s%3N)" >> "$RECORDS"; }
note start
if [ -n "\${DROVER_VOLUME_DATA:-}" ] && [ "$(cat "$DROVER_VOLUME_DATA/word")" != ready ]; then exit 9; fi
sleep ${sleepMs / 1_000}
if [ "\${JOB_COMPLETION_INDEX:-}" = ${fatalIndex} ]; then note fail; exit ${FATAL_CODE}; fi
luck=$(echo "$POD" | cksum)
if [ $((\${luck%% *} % 100)) -lt ${failPercent} ]; then note fail; exit 3; fi
note ok`;
  const field = (name: string, fieldPath: string): object => ({
    name,
    valueFrom: { fieldRef: { fieldPath } },
  });
  const env = [
    { name: 'RECORDS', value: programFile(recordFolder) },
    field('POD', 'metadata.name'),
    field('NODE', 'spec.nodeName'),
  ];
  return {
    restartPolicy: 'Never',
    containers: [{ name: 'main', command: ['/bin/sh', '-c', script], env }],
  };
}

/** The same with an initContainer, a sidecar and a volume that it needs. */
function severalContainers(
  pod: Readonly<Record<string, unknown>> & { readonly containers: readonly object[] },
): Readonly<Record<string, unknown>> {
  const volumeMounts = [{ name: 'data', mountPath: '/drover-data' }];
  const shell = (name: string, command: string): object => ({
    name,
    command: ['/bin/sh', '-c', command],
    volumeMounts,
  });
  return {
    ...pod,
    containers: pod.containers.map((container) => ({ ...container, volumeMounts })),
    volumes: [{ name: 'data', emptyDir: {} }],
    initContainers: [
      shell('prepare', 'echo ready > "$DROVER_VOLUME_DATA/word"'),
      { ...shell('proxy', 'exec sleep 1000'), restartPolicy: 'Always' },
    ],
  };
}
