import { createController, defineHandler, Drover, type JobManifest } from '@drover/sdk';
import { startRedis, type TestRedis, waitFor } from '@drover/testkit';
import { createWorker } from '@drover/worker';
import { context, SpanStatusCode, trace } from '@opentelemetry/api';
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks';
import {
  InMemorySpanExporter,
  SimpleSpanProcessor,
  TracerProvider,
  type ReadableSpan,
} from '@opentelemetry/sdk-trace';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';

const exporter = new InMemorySpanExporter();
const tracer = trace.getTracer('test');

/** A function that makes a span of its own, takes the items that there are, and fails when it is told so. */
const traced = defineHandler('traced', async (pod) => {
  await tracer.startActiveSpan('work', async (span) => {
    if (pod.job.annotations['drover.dev/work-queue'] !== undefined) {
      for await (const item of pod.items()) await item.complete();
    }
    span.end();
  });
  if (pod.job.name === 'bad') throw new Error('as it was told');
  return pod.env['TRACEPARENT'];
});

let redis: TestRedis;
let drover: Drover;
let stop: () => Promise<void>;

beforeAll(async () => {
  redis = await startRedis();
  drover = new Drover({ connection: redis.url });
  const controller = createController({ connection: redis.url });
  const worker = createWorker({
    connection: redis.url,
    handlers: [traced],
    runtimes: ['handler', 'process'],
  });
  const running = [controller.run(), worker.run()];
  await worker.ready();
  stop = async () => {
    await Promise.all([controller.close(), worker.close()]);
    await Promise.all(running);
  };
});

afterEach(() => {
  exporter.reset();
});

afterAll(async () => {
  await stop();
  await drover.close();
  await redis.stop();
});

function jobOf(
  name: string,
  container: { image: string; command?: string[] },
  runtime: string,
  annotations = {},
): JobManifest {
  const containers = [{ name: 'c', ...container }];
  const template = {
    spec: { containers, restartPolicy: 'Never' as const, runtimeClassName: runtime },
  };
  return { metadata: { name, annotations }, spec: { parallelism: 1, backoffLimit: 0, template } };
}

/** The only span of a name, once it is there: the exporter gets it when it ended. */
async function spanOf(name: string): Promise<ReadableSpan> {
  const spans = await waitFor(() => {
    const found = exporter.getFinishedSpans().filter((span) => span.name === name);
    return found.length > 0 ? found : null;
  });
  expect(spans.map((span) => span.name)).toEqual([name]);
  return spans[0]!;
}

function traceParent(span: ReadableSpan): string {
  const { traceId, spanId } = span.spanContext();
  return `00-${traceId}-${spanId}-01`;
}

test('without an SDK there is no trace, and nothing is written about it', async () => {
  const job = await drover.jobs.create(jobOf('plain', { image: 'traced' }, 'handler'));
  await drover.jobs.wait(job);
  expect(job.metadata.annotations).toEqual({});
});

test('from the submission to the attempt, to what the function does and to its items', async () => {
  const contexts = new AsyncLocalStorageContextManager().enable();
  context.setGlobalContextManager(contexts);
  trace.setGlobalTracerProvider(
    new TracerProvider({ spanProcessors: [new SimpleSpanProcessor({ exporter })] }),
  );
  const queue = drover.workQueue('items');
  await queue.enqueue(['one']);
  await queue.seal();
  const job = await tracer.startActiveSpan('request', async (span) => {
    const annotations = { 'drover.dev/work-queue': 'items' };
    const made = await drover.jobs.create(
      jobOf('good', { image: 'traced' }, 'handler', annotations),
    );
    span.end();
    return made;
  });
  await drover.jobs.wait(job);
  const [request, submit, wait, attempt] = [
    await spanOf('request'),
    await spanOf('drover.submit'),
    await spanOf('drover.wait'),
    await spanOf('drover.attempt'),
  ];
  const [work, item] = [await spanOf('work'), await spanOf('drover.item')];
  expect(job.metadata.annotations).toMatchObject({ 'drover.dev/traceparent': traceParent(submit) });
  expect(submit.parentSpanContext?.spanId).toBe(request.spanContext().spanId);
  expect(wait.parentSpanContext?.spanId).toBe(submit.spanContext().spanId);
  expect(attempt.parentSpanContext?.spanId).toBe(submit.spanContext().spanId);
  expect(work.parentSpanContext?.spanId).toBe(attempt.spanContext().spanId);
  expect(item.parentSpanContext?.spanId).toBe(work.spanContext().spanId);
  expect(attempt.attributes).toMatchObject({
    'k8s.job.name': 'good',
    'k8s.job.uid': job.metadata.uid,
    'drover.reason': 'Completed',
    'drover.exit_code': 0,
  });
  expect(item.attributes).toMatchObject({ 'drover.item.id': 1, 'drover.item.end': 'completed' });
  const [pod] = await drover.pods.list({ labelSelector: 'batch.kubernetes.io/job-name=good' });
  expect(pod?.metadata.annotations?.['drover.dev/result']).toBe(
    JSON.stringify(traceParent(attempt)),
  );
});

test('a pod that fails is an attempt with an error', async () => {
  await drover.jobs.create(jobOf('bad', { image: 'traced' }, 'handler'));
  const attempt = await spanOf('drover.attempt');
  expect(attempt.status).toEqual({ code: SpanStatusCode.ERROR, message: 'Error' });
});

test('a program finds its attempt in TRACEPARENT, and a trace that the manifest names goes on', async () => {
  const given = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
  const command = ['sh', '-c', 'echo $TRACEPARENT'];
  const manifest = jobOf('program', { image: 'none', command }, 'process', {
    'drover.dev/traceparent': given,
  });
  const job = await drover.jobs.create(manifest);
  expect(job.metadata.annotations?.['drover.dev/traceparent']).toBe(given);
  await drover.jobs.wait(job);
  const attempt = await spanOf('drover.attempt');
  expect(attempt.parentSpanContext).toMatchObject({ spanId: 'b7ad6b7169203331', isRemote: true });
  const [pod] = await drover.pods.list({ labelSelector: 'batch.kubernetes.io/job-name=program' });
  const lines: string[] = [];
  for await (const line of drover.pods.logs(pod!)) lines.push(line);
  expect(lines).toEqual([`${traceParent(attempt)}\n`]);
});
