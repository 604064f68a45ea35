import { setTimeout as delay } from 'node:timers/promises';
import { crc32 } from 'node:zlib';

import { defineHandler, defineItemHandler } from '@drover/sdk';
import type { HandlerContext, HandlerDefinition } from '@drover/worker';

import type { Recorder } from '../records.ts';

/** Annotation `drover.dev/input` of the Jobs of a run. */
export interface ChaosInput {
  /** How long a pod takes, ms. */
  readonly ms: number;
  /** How long its first pods keep their workers from doing anything else, ms; longer than a lease, they are lost. */
  readonly blockMs?: number;
  /** It does not listen when it is told to stop. */
  readonly isDeaf?: boolean;
  /** Indexes that never work; with -1 all. */
  readonly failing?: readonly number[];
  /** Of a hundred pods so many fail by themselves. */
  readonly failPercent: number;
}

/** An item of a run. */
export interface ChaosItem {
  readonly ms: number;
  /** How often it fails before it is done. */
  readonly failures: number;
}

/** Pods of a Job that block, the first ones: others come to an end. */
const BLOCKING_PODS = 3;

/** What pods and items do. Each writes down when it starts and how it ends. */
export function createHandlers(recorder: Recorder): readonly HandlerDefinition[] {
  const take = defineItemHandler<ChaosItem>(
    'take',
    async ({ id, data, attempt }, { job, signal }) => {
      // A work queue of a run has the name of its Job.
      recorder.item(job.name, id, 'start');
      try {
        if (data.ms > 0) await delay(data.ms, undefined, { signal });
        if (attempt <= data.failures) throw new Error('not yet');
      } catch (error) {
        recorder.item(job.name, id, signal.aborted ? 'stop' : 'fail');
        throw error;
      }
      recorder.item(job.name, id, 'ok');
      return { id };
    },
  );
  return [defineHandler('work', work), take].map((handler) => recorded(recorder, handler));
}

function recorded(recorder: Recorder, handler: HandlerDefinition): HandlerDefinition {
  const run = async (pod: HandlerContext<never, never>): Promise<unknown> => {
    const { name } = pod.pod;
    recorder.pod(name, 'start');
    try {
      const result = await handler.run(pod);
      recorder.pod(name, 'ok');
      return result;
    } catch (error) {
      recorder.pod(name, pod.signal.aborted ? 'stop' : 'fail');
      throw error;
    }
  };
  return { ...handler, run };
}

async function work(pod: HandlerContext): Promise<void> {
  const { ms, blockMs = 0, isDeaf = false, failing = [], failPercent } = pod.input as ChaosInput;
  if (blockMs > 0 && pod.pod.number <= BLOCKING_PODS)
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, blockMs);
  await delay(ms, undefined, isDeaf ? {} : { signal: pod.signal });
  if (failing.includes(-1) || failing.includes(pod.index ?? 0)) throw new Error('it never works');
  if (isUnlucky(pod, failPercent)) throw new Error('bad luck');
}

/** Another answer for each pod, and for each run of it. */
function isUnlucky({ pod, signal }: HandlerContext, failPercent: number): boolean {
  const restarts = runs.get(pod.uid) ?? 0;
  if (signal.aborted || failPercent === 0) return false;
  runs.set(pod.uid, restarts + 1);
  return crc32(`${pod.uid} ${restarts}`) % 100 < failPercent;
}

const runs = new Map<string, number>();
