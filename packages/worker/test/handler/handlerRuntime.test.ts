import { readPodLog } from '@drover/store';
import { waitFor } from '@drover/testkit';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';

import {
  defineHandler,
  MAX_RESULT_BYTES,
  type HandlerContext,
  type HandlerDefinition,
  type Schema,
} from '../../src/index.ts';
import type { TestEngine, TestJob } from '../support/engine.ts';
import { Gate, Workers } from '../support/workers.ts';

let workers: Workers;

beforeAll(async () => {
  workers = await Workers.start();
});

afterEach(async () => {
  await workers.clear();
});

afterAll(async () => {
  await workers.stop();
});

type EndedPod = NonNullable<Awaited<ReturnType<TestEngine['endedPod']>>>;

/** Runs one pod with the handler and answers how it ended. */
async function runOne(
  handler: HandlerDefinition,
  job: Partial<TestJob> = {},
): Promise<{ pod: EndedPod; log: string; uid: string; engine: TestEngine }> {
  const engine = await workers.engine();
  await workers.worker(engine, { name: 'node-1', handlers: [handler] });
  const uid = await engine.createJob({ run: handler.name, ...job });
  await engine.offer(uid, 1);
  const pod = await waitFor(() => engine.endedPod(uid));
  let log = '';
  if (pod.hasLog) {
    for await (const { text } of readPodLog(engine.redis, engine.shard.podLogKey(uid, 1)))
      log += text;
  }
  return { pod, log, uid, engine };
}

/** A schema in the common form; accepts objects with a numeric `width`. */
const widthSchema: Schema<{ width: number }> = {
  '~standard': {
    version: 1,
    vendor: 'test',
    validate: (value) => {
      const width = (value as { width?: unknown } | undefined)?.width;
      if (typeof width === 'number') return { value: { width } };
      return { issues: [{ message: 'expected a number', path: ['width'] }] };
    },
  },
};

describe('a handler', () => {
  test('sees its Job, its pod, its index, arguments and environment', async () => {
    const seen: Record<string, unknown>[] = [];
    const look = defineHandler('look', ({ job, pod, index, completions, args, env, input }) => {
      seen.push({ job, pod, index, completions, args, env: { ...env }, input });
    });
    const { uid } = await runOne(look, {
      name: 'pictures',
      indexed: true,
      completions: 1,
      args: ['--index=$(JOB_COMPLETION_INDEX)', '$(GREETING) $(NOBODY) $$(GREETING)'],
      env: [
        { name: 'GREETING', value: 'hello' },
        { name: 'POD', valueFrom: { fieldRef: { fieldPath: 'metadata.name' } } },
        { name: 'APP', valueFrom: { fieldRef: { fieldPath: "metadata.labels['app']" } } },
        { name: 'NODE', valueFrom: { fieldRef: { fieldPath: 'spec.nodeName' } } },
        { name: 'BOTH', value: '$(GREETING) from $(POD)' },
      ],
    });
    const name = expect.stringMatching(/^pictures-0-[a-z2-9]{5}$/);
    expect(seen).toEqual([
      {
        job: {
          name: 'pictures',
          namespace: 'default',
          uid,
          labels: { app: 'test' },
          annotations: {},
        },
        pod: { name, uid: expect.stringMatching(/^[0-9a-f-]{36}$/), number: 1 },
        index: 0,
        completions: 1,
        args: ['--index=0', 'hello $(NOBODY) $(GREETING)'],
        env: {
          GREETING: 'hello',
          POD: name,
          APP: 'test',
          NODE: 'node-1',
          BOTH: expect.stringMatching(/^hello from pictures-0-/),
          JOB_COMPLETION_INDEX: '0',
        },
        input: undefined,
      },
    ]);
  });

  test('has no index and no JOB_COMPLETION_INDEX when the Job is not Indexed', async () => {
    const { pod } = await runOne(
      defineHandler('look', ({ index, env, pod: { name } }) => ({ index, env, name })),
      { name: 'plain' },
    );
    const result = JSON.parse(pod.overlay!.result!) as { name: string };
    expect(result).toMatchObject({ index: null, env: {} });
    expect(result.name).toMatch(/^plain-[a-z2-9]{5}$/);
  });

  test('gets its input checked and typed', async () => {
    const resize = defineHandler('resize', widthSchema, ({ input }) => input.width * 2);
    const { pod } = await runOne(resize, { annotations: { 'drover.dev/input': '{"width": 21}' } });
    expect(pod.overlay).toEqual({ result: '42' });
  });

  test.each([
    {
      name: 'input that does not fit fails the pod with the reason',
      input: '{"width": "21"}',
      want: 'width: expected a number',
    },
    { name: 'input that is not JSON fails the pod', input: '{', want: 'it is not JSON' },
    { name: 'no input where one is needed fails the pod', input: undefined, want: 'there is none' },
  ])('$name', async ({ input, want }) => {
    const resize = defineHandler('resize', widthSchema, () => {
      throw new Error('must not be called');
    });
    const annotations = input === undefined ? undefined : { 'drover.dev/input': input };
    const { pod } = await runOne(resize, annotations === undefined ? {} : { annotations });
    expect(pod).toMatchObject({ outcome: 'Failed', reason: 'StartError', exitCode: 128 });
    expect(pod.overlay?.message).toContain('input of handler "resize"');
    expect(pod.overlay?.message).toContain(want);
  });

  test('a schema may check asynchronously', async () => {
    const later: Schema<number> = {
      '~standard': {
        version: 1,
        vendor: 'test',
        validate: async (value) => ({ value: Number(value) + 1 }),
      },
    };
    const { pod } = await runOne(
      defineHandler('later', later, ({ input }) => input),
      { annotations: { 'drover.dev/input': '1' } },
    );
    expect(pod.overlay).toEqual({ result: '2' });
  });

  test('that throws fails its pod: the message in the status, the stack in the log', async () => {
    const { pod, log, engine, uid } = await runOne(
      defineHandler('broken', async () => {
        throw new RangeError('no such picture');
      }),
    );
    expect(pod).toMatchObject({ outcome: 'Failed', reason: 'Error', exitCode: 1, hasLog: true });
    expect(pod.overlay).toEqual({ message: 'RangeError: no such picture' });
    expect(log).toContain('handlerRuntime.test.ts');
    expect((await engine.job(uid)).counters).toMatchObject({ active: 0, failed: 0, unjudged: 1 });
  });

  test('may throw without a promise, and what is not an Error', async () => {
    const { pod } = await runOne(
      defineHandler('broken', () => {
        // eslint-disable-next-line no-throw-literal
        throw Object.create(null);
      }),
    );
    expect(pod.overlay?.message).toContain('the handler threw');
  });

  test('a long message is cut to 4 KiB', async () => {
    const { pod } = await runOne(
      defineHandler('long', () => {
        throw new Error('ä'.repeat(10_000));
      }),
    );
    const message = pod.overlay!.message!;
    expect(Buffer.byteLength(message)).toBeLessThanOrEqual(4096);
    expect(message).toMatch(/^Error: ä+…$/);
  });

  test('a value of exactly the limit is kept', async () => {
    const value = 'x'.repeat(MAX_RESULT_BYTES - 2);
    const { pod } = await runOne(defineHandler('big', () => value));
    expect(JSON.parse(pod.overlay!.result!)).toBe(value);
  });

  test('a value above the limit fails the pod and says why', async () => {
    const value = 'x'.repeat(MAX_RESULT_BYTES - 1);
    const { pod } = await runOne(defineHandler('big', () => value));
    expect(pod.outcome).toBe('Failed');
    expect(pod.overlay?.message).toContain(`${MAX_RESULT_BYTES + 1} bytes`);
  });

  test('a value that is not JSON fails the pod and says why', async () => {
    const { pod } = await runOne(defineHandler('cycle', () => 1n));
    expect(pod.outcome).toBe('Failed');
    expect(pod.overlay?.message).toContain('return value is not JSON');
  });

  test('logs lines and structured entries to its pod', async () => {
    const { pod, log } = await runOne(
      defineHandler('talk', async ({ log: print, logger }) => {
        print('one line');
        logger.info({ picture: 7 }, 'resized');
      }),
    );
    expect(pod.hasLog).toBe(true);
    expect(log).toBe('one line\n{"level":"info","picture":7,"msg":"resized"}\n');
  });

  test('tells its progress while it runs, the last one, and none when it ended', async () => {
    const engine = await workers.engine();
    const [told, gate] = [new Gate(), new Gate()];
    const work = defineHandler('work', async ({ progress }) => {
      progress(0.1);
      for (let done = 1; done <= 1_000; done += 1) progress({ done, total: 4_000 });
      told.open();
      await gate.opened;
    });
    await workers.worker(engine, { handlers: [work] });
    const uid = await engine.createJob({ run: 'work' });
    await engine.offer(uid, 1);
    await told.opened;
    const shown = async (): Promise<string | undefined> =>
      (await engine.shard.podNotes(uid, [1, 2])).get(1)?.progress;
    await waitFor(async () => (await shown()) === '0.1');
    await waitFor(async () => (await shown()) === '1000/4000');
    gate.open();
    await waitFor(async () => (await engine.job(uid)).counters.succeeded === 1);
    await waitFor(async () => (await shown()) === undefined);
  });

  test.each([
    { name: 'a fraction above 1', give: 1.01 },
    { name: 'a negative fraction', give: -0.1 },
    { name: 'a total of 0', give: { done: 0, total: 0 } },
  ])('can not tell $name as its progress', async ({ give }) => {
    const { pod } = await runOne(defineHandler('wrong', ({ progress }) => progress(give)));
    expect(pod.overlay?.message).toContain('progress is a fraction from 0 to 1');
  });

  test('that writes nothing has no log', async () => {
    const { pod, engine, uid } = await runOne(defineHandler('silent', () => {}));
    expect(pod.hasLog).toBe(false);
    expect(await engine.redis.exists(engine.shard.podLogKey(uid, 1))).toBe(0);
  });

  test('is typed by its schema', () => {
    defineHandler('typed', widthSchema, (context) => {
      const width: number = context.input.width;
      // @ts-expect-error -- there is no height
      const height: unknown = context.input.height;
      return [width, height];
    });
    defineHandler('untyped', (context: HandlerContext) => context.input);
  });

  test.each([
    { name: 'a tag', give: 'resize:latest' },
    { name: 'nothing', give: '' },
    { name: 'a space', give: 're size' },
  ])('can not have $name in its name', ({ give }) => {
    expect(() => defineHandler(give, () => {})).toThrow('can not be the name of a handler');
  });
});
