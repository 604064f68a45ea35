/** What runs in a thread for handlers: loads their modules, then runs one pod after the other. */
import assert from 'node:assert/strict';
import { isMainThread, parentPort, workerData } from 'node:worker_threads';

import type { HandlerDefinition } from '../defineHandler.ts';
import { describeImportError, importHandlers, type HandlerModule } from '../handlerModule.ts';
import { readInput, type HandlerInput } from '../input.ts';
import { markHandlerThread } from './handlerThread.ts';
import {
  SHARED,
  type FromThread,
  type RunMessage,
  type ThreadPlan,
  type ThreadStart,
  type ToThread,
} from './threadMessages.ts';
import { ThreadPod } from './threadPod.ts';

/** A Job that this thread runs pods of. */
interface KnownPlan extends ThreadPlan {
  input: Promise<HandlerInput> | null;
}

const port = parentPort;
assert(!isMainThread && port !== null, 'runs in a thread');
const start = workerData as ThreadStart;
const shared = new Int32Array(start.shared);
const handlers = new Map<string, HandlerDefinition>();
const plans = new Map<number, KnownPlan>();
let current: { readonly run: number; readonly pod: ThreadPod } | null = null;

markHandlerThread();
port.on('message', (message: ToThread) => {
  if (message.type === 'run') void run(message);
  else if (current?.run !== message.run) return;
  else if (message.type === 'stop') current.pod.stop();
  else current.pod.takeItemMessage(message);
});
await load(start.modules);

function send(message: FromThread): void {
  port?.postMessage(message);
}

async function load(modules: readonly HandlerModule[]): Promise<void> {
  for (const module of modules) {
    try {
      for (const handler of await importHandlers(module)) handlers.set(handler.name, handler);
    } catch (error) {
      send({ type: 'loadFailed', message: `${module.url}: ${describeImportError(error)}` });
      return;
    }
  }
  send({ type: 'loaded', handlers: [...handlers.keys()] });
}

async function run(message: RunMessage): Promise<void> {
  Atomics.store(shared, SHARED.begunRun, message.run);
  const handler = handlers.get(message.handler);
  const plan = rememberPlan(message);
  assert(handler !== undefined, 'only what is loaded is run');
  const { facts, completions, client } = plan;
  const { maxItemResultBytes } = start;
  const pod = new ThreadPod({
    message,
    facts,
    completions,
    client,
    shared,
    maxItemResultBytes,
    send,
  });
  current = { run: message.run, pod };
  plan.input ??= Promise.resolve(readInput(handler, plan.inputText));
  const { end, threw } = await pod.run(handler, await plan.input);
  current = null;
  send({ type: 'end', run: message.run, end, threw });
}

function rememberPlan({ planId, plan, forgetPlanId }: RunMessage): KnownPlan {
  plans.delete(forgetPlanId);
  if (plan !== null) plans.set(planId, { ...plan, input: null });
  const known = plans.get(planId);
  assert(known !== undefined, 'a plan is told before it is used');
  return known;
}
