import type { ReportAnswer, ReportEntry } from '@drover/store';
import { waitFor } from '@drover/testkit';
import { pino } from 'pino';
import { describe, expect, test } from 'vitest';

import { MAX_BATCH_ENTRIES, Reporter, type ReportSink } from '../src/reporter.ts';

const logger = pino({ level: 'silent' });
const RELEASED: ReportAnswer = { type: 'released' };

function entry(slot: number, message: string | null = null): ReportEntry {
  return {
    uid: 'job',
    queue: 'default.handler',
    slot,
    attemptsStarted: 1,
    podNumber: slot,
    outcome: 'Succeeded',
    exitCode: 0,
    reason: 'Completed',
    hasLog: false,
    leave: false,
    quantumOver: false,
    overlay: message === null ? null : { message },
  };
}

/** A Redis that answers when the test says so. */
class FakeTransport {
  readonly batches: (readonly ReportEntry[])[] = [];
  reconnects = 0;
  readonly #answers: PromiseWithResolvers<ReportAnswer[]>[] = [];

  send(_session: string, entries: readonly ReportEntry[]): Promise<ReportAnswer[]> {
    this.batches.push([...entries]);
    const answer = Promise.withResolvers<ReportAnswer[]>();
    this.#answers.push(answer);
    return answer.promise;
  }

  reconnect(): void {
    this.reconnects += 1;
  }

  /** Answers a batch by its number. */
  answer(batch: number, answers?: ReportAnswer[]): void {
    this.#answers[batch]!.resolve(answers ?? this.batches[batch]!.map(() => RELEASED));
  }

  fail(batch: number): void {
    this.#answers[batch]!.reject(new Error('Connection is closed.'));
  }
}

class Sink implements ReportSink {
  readonly answers: ReportAnswer[] = [];

  reportAnswered(answer: ReportAnswer): void {
    this.answers.push(answer);
  }
}

function setUp(answerTimeoutMs = 60_000): { transport: FakeTransport; reporter: Reporter } {
  const transport = new FakeTransport();
  return {
    transport,
    reporter: new Reporter({ session: 's', transport, logger, answerTimeoutMs }),
  };
}

function pushAll(reporter: Reporter, entries: readonly ReportEntry[]): Sink[] {
  return entries.map((one) => {
    const sink = new Sink();
    reporter.push(one, sink);
    return sink;
  });
}

function slots(count: number): ReportEntry[] {
  return Array.from({ length: count }, (_, slot) => entry(slot + 1));
}

describe('Reporter', () => {
  test('what ends together is one report', async () => {
    const { transport, reporter } = setUp();
    const sinks = pushAll(reporter, slots(3));
    await waitFor(() => transport.batches.length === 1);
    expect(transport.batches[0]).toHaveLength(3);

    transport.answer(0, [RELEASED, { type: 'yield' }, { type: 'stale' }]);

    await waitFor(() => reporter.outstanding === 0);
    expect(sinks.map((sink) => sink.answers)).toEqual([
      [RELEASED],
      [{ type: 'yield' }],
      [{ type: 'stale' }],
    ]);
  });

  test('what ends while a report is on its way goes into the next one', async () => {
    const { transport, reporter } = setUp();
    pushAll(reporter, slots(1));
    await waitFor(() => transport.batches.length === 1);
    pushAll(reporter, slots(5));
    await new Promise((resolve) => {
      setImmediate(resolve);
    });
    expect(transport.batches).toHaveLength(1);

    transport.answer(0);

    await waitFor(() => transport.batches.length === 2);
    expect(transport.batches[1]).toHaveLength(5);
  });

  test.each([
    { name: 'as many entries as fit are one report', count: MAX_BATCH_ENTRIES, sizes: [256] },
    { name: 'one more makes a second report', count: MAX_BATCH_ENTRIES + 1, sizes: [256, 1] },
  ])('$name', async ({ count, sizes }) => {
    const { transport, reporter } = setUp();
    pushAll(reporter, slots(count));
    for (let batch = 0; batch < sizes.length; batch += 1) {
      await waitFor(() => transport.batches.length === batch + 1);
      transport.answer(batch);
    }
    await waitFor(() => reporter.outstanding === 0);
    expect(transport.batches.map((batch) => batch.length)).toEqual(sizes);
  });

  test('long texts are spread over reports, and one that is too long goes alone', async () => {
    const { transport, reporter } = setUp();
    pushAll(reporter, [
      entry(1, 'x'.repeat(40_000)),
      entry(2, 'x'.repeat(20_000)),
      entry(3, 'x'.repeat(10_000)),
    ]);
    for (let batch = 0; batch < 2; batch += 1) {
      await waitFor(() => transport.batches.length === batch + 1);
      transport.answer(batch);
    }
    await waitFor(() => reporter.outstanding === 0);
    expect(transport.batches.map((batch) => batch.map(({ slot }) => slot))).toEqual([[1], [2, 3]]);
  });

  test('without an answer the same entries are sent again over a new connection', async () => {
    const { transport, reporter } = setUp(30);
    const [sink] = pushAll(reporter, slots(2));
    await waitFor(() => transport.batches.length === 2);
    expect(transport.reconnects).toBe(1);
    expect(transport.batches[1]).toEqual(transport.batches[0]);

    transport.answer(1);
    await waitFor(() => reporter.outstanding === 0);
    // The late answer to the first try is nobody's.
    transport.answer(0, [{ type: 'stale' }, { type: 'stale' }]);
    await new Promise((resolve) => {
      setImmediate(resolve);
    });
    expect(sink!.answers).toEqual([RELEASED]);
  });

  test('a failed report is sent again, and what came meanwhile waits', async () => {
    const { transport, reporter } = setUp();
    pushAll(reporter, slots(2));
    await waitFor(() => transport.batches.length === 1);
    pushAll(reporter, [entry(3)]);
    transport.fail(0);
    await waitFor(() => transport.batches.length === 2);
    expect(transport.batches[1]).toEqual(transport.batches[0]);
    transport.answer(1);
    await waitFor(() => transport.batches.length === 3);
    expect(transport.batches[2]!.map(({ slot }) => slot)).toEqual([3]);
  });

  test('closing tells everybody who waits, and whoever comes later, that the claim is void', async () => {
    const { transport, reporter } = setUp();
    const before = pushAll(reporter, slots(1));
    await waitFor(() => transport.batches.length === 1);
    before.push(...pushAll(reporter, [entry(2)]));
    reporter.close();
    const [after] = pushAll(reporter, [entry(3)]);
    await waitFor(() => after!.answers.length === 1);
    expect([...before, after!].map((sink) => sink.answers)).toEqual(
      Array.from({ length: 3 }, () => [{ type: 'stale' }]),
    );
  });
});
