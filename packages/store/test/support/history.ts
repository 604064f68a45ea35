/** One random history of the scripts beside the model, for the model test. */
import * as fc from 'fast-check';
import type {
  DecisionGuard,
  Gate,
  JobUpdate,
  Judgement,
  PodReason,
  ReportAnswer,
  ReportEntry,
  StopInput,
} from '../../src/api.ts';
import { newSessionId } from '../../src/session.ts';
import { LANE, LEASE_MS, newJob, QUEUE, type StoreBed } from './bed.ts';
import { takeAdopt, takeAdopted } from './historyAdoption.ts';
import { actualState, expectedState, same } from './compare.ts';
import { checkGrowth, violations } from './invariants.ts';
import { Model, ModelJob } from './model.ts';
import type { RawShard } from './rawState.ts';

/** One thing that is done; numbers choose among what there is at that time. */
export const step = fc.record({
  kind: fc.oneof(
    ...(
      [
        ['open', 6],
        ['acquire', 10],
        ['report', 14],
        ['judge', 6],
        ['gate', 4],
        ['stop', 4],
        ['resize', 1],
        ['restart', 2],
        ['expire', 2],
        ['endLost', 4],
        ['heartbeat', 2],
        ['register', 1],
        ['advance', 3],
        ['update', 1],
        ['status', 2],
        ['settle', 3],
        ['contend', 1],
        ['repeat', 8],
        ['delete', 0.3],
        ['purge', 0.3],
        ['release', 2],
        ['adopt', 4],
        ['adopted', 5],
      ] as const
    ).map(([kind, weight]) => ({ weight: weight * 10, arbitrary: fc.constant(kind) })),
  ),
  a: fc.nat({ max: 999 }),
  b: fc.nat({ max: 999 }),
  c: fc.nat({ max: 999 }),
  /** Sent again at once. */
  twice: fc.integer({ min: 0, max: 3 }).map((n) => n === 0),
});
/** See {@link step}. */
export type Step = { kind: string; a: number; b: number; c: number; twice: boolean };

/** A Job to make. */
export const shape = fc.record({
  completions: fc.constantFrom(null, 1, 2, 4, 9, 40),
  indexed: fc.boolean(),
  /** Failures are counted for each index, of an Indexed Job. */
  perIndex: fc.boolean(),
});

/** See {@link shape}. */
export interface Shape {
  readonly completions: number | null;
  readonly indexed: boolean;
  readonly perIndex: boolean;
}

/** A call with fixed arguments, so that it can be made again, at once or much later. */
export interface Call {
  readonly name: string;
  readonly send: () => Promise<unknown>;
  /** The same on the model; what it must answer. */
  readonly model: () => unknown;
  /** Made twice at once it may do more than made once. */
  readonly mayDoMore?: boolean;
}

/** What a worker believes to hold. */
interface Belief {
  readonly uid: string;
  readonly slot: number;
  readonly session: string;
  readonly attemptsStarted: number;
  podNumber: number;
}

/** Makes calls, sends each to Redis and to the model, and compares. */
export class History {
  readonly bed: StoreBed;
  readonly model = new Model();
  readonly log: string[] = [];
  readonly calls: Call[] = [];
  readonly beliefs: Belief[] = [];
  /** QueueJobs by `<uid>:<slot>`: deliveries so far. */
  readonly deliveries = new Map<string, number>();
  readonly guards: DecisionGuard[] = [];
  before: RawShard | null = null;
  /** Entries that `reportSuccesses` did not refuse. */
  shortReports = 0;

  constructor(bed: StoreBed) {
    this.bed = bed;
  }

  get nowMs(): number {
    return this.bed.clock.now();
  }

  async begin(shapes: readonly Shape[]): Promise<void> {
    for (const { completions, indexed, perIndex } of shapes) {
      const uid = `job${this.model.jobs.size}`;
      const isIndexed = indexed && completions !== null;
      await this.bed.shard.createJob({ ...newJob(uid), completions, indexed: isIndexed });
      this.model.jobs.set(uid, new ModelJob(uid, completions, isIndexed, this.nowMs));
      this.guards.push({ uid, generation: 1, decisionVersion: 1 });
      const gate: Gate = {
        limit: 3,
        notBeforeMs: 0,
        deadlineMs: 0,
        holdOnFailure: true,
        ...(isIndexed && perIndex && { perIndex }),
      };
      await this.setGate(uid, gate, []);
    }
    for (let i = 0; i < 2; i++) await this.register();
  }

  async take(one: Step): Promise<void> {
    const jobs = [...this.model.jobs.values()];
    const job = jobs[one.a % jobs.length]!;
    const sessions = [...this.model.sessions.keys()];
    const session = sessions[one.b % sessions.length]!;
    switch (one.kind) {
      case 'open':
        return this.openSlots(this.guardOf(job, one.c), 1 + (one.b % 3), one.twice);
      case 'acquire':
        return this.acquire(job, session, one);
      case 'report':
        return this.report(one);
      case 'judge':
        return this.judge(job, one);
      case 'gate':
        return this.setGate(job.uid, this.gateOf(job, one), [], this.guardOf(job, one.c));
      case 'stop':
        return this.stop(job, one);
      case 'resize':
        return this.resize(job, one);
      case 'restart':
        return this.restart(one);
      case 'expire':
        return this.expire(session, one.c % 3 === 0, one.twice);
      case 'endLost':
        return this.endLost(session, one.c, one.twice);
      case 'heartbeat':
        return this.heartbeat(session);
      case 'register':
        return this.model.sessions.size < 5 ? this.register() : undefined;
      case 'advance':
        this.bed.clock.advance([1, 300, 1_500, 7_000][one.c % 4]!);
        return;
      case 'update':
        return this.update(job, one);
      case 'status':
        return this.writeStatus(job, one);
      case 'settle':
        return this.settle();
      case 'contend':
        this.model.contendedUntilMs = this.nowMs + 10_000;
        return this.bed.shard.markContended(QUEUE, this.model.contendedUntilMs);
      case 'repeat':
        return this.calls.length === 0
          ? undefined
          : this.send(this.calls[(one.a * 31 + one.b) % this.calls.length]!);
      case 'delete':
        return this.delete(job, one.twice);
      case 'purge':
        return this.purge(job);
      case 'release':
        return this.release(job, one);
      case 'adopt':
        return takeAdopt(this, job, one);
      case 'adopted':
        return takeAdopted(this, job, one);
      default:
        throw new Error(one.kind);
    }
  }

  /** The present guard, or now and then one of an older decision. */
  guardOf(job: ModelJob, pick: number): DecisionGuard {
    const { uid, generation, decisionVersion } = job;
    const present = { uid, generation, decisionVersion };
    const older = this.guards.filter((guard) => guard.uid === uid);
    this.guards.push(present);
    return pick % 6 === 0 ? older[pick % older.length]! : present;
  }

  gateOf(job: ModelJob, { a, b, c }: Step): Gate {
    const soon = this.nowMs + 200 + (c % 7) * 500;
    return {
      limit: b % 5,
      notBeforeMs: c % 5 === 0 ? soon : 0,
      deadlineMs: a % 9 === 0 ? soon : 0,
      holdOnFailure: a % 4 !== 0,
      ...(job.gate.perIndex === true && { perIndex: true }),
      ...((a + b) % 3 === 0 && { replaceEnded: true }),
      ...((b + c) % 4 === 0 && { lookAtSuccesses: true }),
    };
  }

  async send(call: Call): Promise<void> {
    this.log.push(call.name);
    const want = call.model();
    const got = await call.send();
    same(call.name, got, want);
  }

  async make(call: Call, twice = false): Promise<void> {
    this.calls.push(call);
    await this.send(call);
    if (!twice) return;
    const before = expectedState(this.model);
    await this.send(call);
    if (call.mayDoMore !== true) same(`${call.name}, twice`, expectedState(this.model), before);
  }

  async register(): Promise<void> {
    const id = newSessionId();
    const info = { id, node: 'node', lanes: { [LANE]: 2 }, leaseTtlMs: LEASE_MS };
    await this.make({
      name: `register ${id}`,
      send: () => this.bed.shard.registerSession(info),
      model: () => {
        if (!this.model.sessions.has(id)) {
          this.model.sessions.set(id, { leaseEndMs: this.nowMs + LEASE_MS, ended: false });
        }
      },
    });
  }

  async openSlots(guard: DecisionGuard, count: number, twice: boolean): Promise<void> {
    const job = this.model.jobs.get(guard.uid)!;
    const call = {
      name: `openSlots ${JSON.stringify(guard)} ${count}`,
      send: async () => {
        const perIndex = job.gate.perIndex === true;
        const reply = await this.bed.shard.openSlots(guard, count, { perIndex });
        return reply.type === 'opened' ? reply.slots : reply.type;
      },
      model: () => job.openSlots(guard, count, this.nowMs),
      // It counts active pods itself: a second run fills what the gate still allows.
      mayDoMore: true,
    };
    await this.make(call, twice);
  }

  async acquire(job: ModelJob, session: string, { c, twice }: Step): Promise<void> {
    // Mostly a slot that waits; at times one that is held, or closed long ago.
    const waiting = [...job.slots]
      .filter(([, held]) => held.phase === 'Pending')
      .map(([slot]) => slot);
    const slot =
      c % 5 !== 0 && waiting.length > 0
        ? waiting[c % waiting.length]!
        : 1 + (c % Math.max(1, job.nextSlot));
    const key = `${job.uid}:${slot}`;
    const attemptsStarted = Math.max(1, (this.deliveries.get(key) ?? 0) + (c % 11 === 0 ? 0 : 1));
    this.deliveries.set(key, attemptsStarted);
    const request = { uid: job.uid, slot, attemptsStarted, session, knownGeneration: 1 };
    await this.make(
      {
        name: `acquire ${JSON.stringify(request)}`,
        send: async () => {
          const reply = await this.bed.shard.acquire(request);
          if (reply.type === 'run') {
            const { podNumber } = reply.claim;
            this.believe({ uid: job.uid, slot, session, attemptsStarted, podNumber });
            return ['run', reply.claim];
          }
          return 'untilMs' in reply ? [reply.type, reply.untilMs] : reply.type;
        },
        model: () => this.model.acquire(request, LEASE_MS, this.nowMs),
      },
      twice,
    );
  }

  believe(belief: Belief): void {
    this.beliefs.push(belief);
  }

  async report({ a, b, c, twice }: Step): Promise<void> {
    if (this.beliefs.length === 0) return;
    // Mostly about what is held last; at times about long ago.
    const anchor =
      this.beliefs[
        a % 4 === 0
          ? b % this.beliefs.length
          : this.beliefs.length - 1 - (b % Math.min(4, this.beliefs.length))
      ]!;
    const mates = this.beliefs.filter((one) => one.session === anchor.session && one !== anchor);
    const entries = new Map<string, ReportEntry>();
    for (const [i, belief] of [anchor, ...mates.toReversed().slice(0, c % 5)].entries()) {
      entries.set(`${belief.uid}:${belief.slot}`, this.entryOf(belief, a * 7 + b * 3 + c + i * 13));
    }
    const batch = [...entries.values()];
    const { session } = anchor;
    await this.make(
      {
        name: `report ${session} ${JSON.stringify(batch)}`,
        send: async () => {
          const answers = await this.sendReport(session, batch, b % 4 > 0);
          for (const [i, answer] of answers.entries()) {
            if (answer.type !== 'next') continue;
            const { uid, slot, attemptsStarted } = batch[i]!;
            this.believe({
              uid,
              slot,
              session,
              attemptsStarted,
              podNumber: answer.claim.podNumber,
            });
          }
          return answers;
        },
        model: () => this.model.report(session, batch, this.nowMs),
      },
      twice,
    );
  }

  /** The short way where it is open, if wanted. */
  async sendReport(
    session: string,
    batch: readonly ReportEntry[],
    isShort: boolean,
  ): Promise<ReportAnswer[]> {
    const { shard } = this.bed;
    const isPlain = ({ outcome, overlay, leave }: ReportEntry): boolean =>
      outcome === 'Succeeded' && overlay === null && !leave;
    if (!isShort || !batch.every((entry) => isPlain(entry))) return shard.report(session, batch);
    const answers = await shard.reportSuccesses(session, batch);
    const refused = batch.filter((_, i) => answers[i] === null);
    this.shortReports += batch.length - refused.length;
    if (refused.length === 0) return answers as ReportAnswer[];
    const others = (await shard.report(session, refused)).values();
    return answers.map((answer) => answer ?? others.next().value!);
  }

  entryOf(belief: Belief, pick: number): ReportEntry {
    const failed = pick % 5 === 0;
    const reasons: PodReason[] = ['Error', 'Drained', 'DeadlineExceeded'];
    const { uid, slot, attemptsStarted, podNumber } = belief;
    return {
      uid,
      slot,
      attemptsStarted,
      // Now and then a pod that Redis does not know of, as after a failover.
      podNumber: pick % 41 === 0 ? podNumber + 1 : podNumber,
      queue: QUEUE,
      outcome: failed ? 'Failed' : 'Succeeded',
      exitCode: failed ? 1 : 0,
      reason: failed ? reasons[pick % 3]! : 'Completed',
      hasLog: pick % 2 === 0,
      leave: pick % 11 === 0,
      quantumOver: pick % 3 === 0,
      overlay: pick % 7 === 0 ? { message: `pod ${podNumber}` } : null,
    };
  }

  async judge(job: ModelJob, one: Step): Promise<void> {
    const judgements = [...job.unjudged.keys()]
      .filter((_, i) => (one.b >> i) % 4 !== 0)
      .map((podNumber, i) => this.judgementOf(job, podNumber, one.b + i, one.c + i));
    await this.setGate(
      job.uid,
      { ...job.gate, limit: Math.max(1, job.gate.limit) },
      judgements,
      this.guardOf(job, one.c),
      one.twice,
    );
  }

  judgementOf(job: ModelJob, podNumber: number, b: number, c: number): Judgement {
    const countsToLimit = b % 2 === 0;
    const verdict = (['failed', 'failed', 'ignored'] as const)[c % 3]!;
    if (job.gate.perIndex !== true) return { podNumber, verdict, countsToLimit };
    if (c % 4 === 3) return { podNumber, verdict: 'indexFailed', countsToLimit };
    return {
      podNumber,
      verdict,
      countsToLimit,
      ...(b % 3 === 0 && { retryAtMs: this.nowMs + (c % 3) * 400 }),
      ...(c % 5 !== 0 && { failures: { counted: c % 7, ignored: b % 2 } }),
    };
  }

  async setGate(
    uid: string,
    gate: Gate,
    judgements: Judgement[],
    guard?: DecisionGuard,
    twice = false,
  ): Promise<void> {
    const job = this.model.jobs.get(uid)!;
    const { generation, decisionVersion } = guard ?? job;
    const row = { failuresInRow: judgements.length, lastFailureMs: this.nowMs };
    const input = { uid, generation, decisionVersion, judgements, gate, ...row };
    await this.make(
      {
        name: `judge ${JSON.stringify(input)}`,
        send: async () => {
          const reply = await this.bed.shard.judge(input);
          return reply.type === 'judged' ? ['judged', reply.decisionVersion] : reply.type;
        },
        model: () => {
          const reply = job.judge(input, judgements, gate, row, this.nowMs);
          return reply === 'judged' ? ['judged', job.decisionVersion] : reply;
        },
      },
      twice,
    );
  }

  async stop(job: ModelJob, { b, c, twice }: Step): Promise<void> {
    const guarded = c % 3 !== 0;
    const guard = guarded ? this.guardOf(job, b) : null;
    const pods = (await this.bed.shard.allSlots(job.uid)).filter((_, i) => (b >> i) % 2 === 0);
    const countAs = guarded ? (['uncounted', 'failed'] as const)[c % 2]! : 'unjudged';
    const input: StopInput = { uid: job.uid, guard, pods, countAs };
    await this.make(
      {
        name: `stopPods ${JSON.stringify(input)}`,
        send: async () => {
          const reply = await this.bed.shard.stopPods(input);
          return reply.type === 'stopped' ? [reply.count, reply.decisionVersion] : reply.type;
        },
        model: () => {
          const reply = job.stopPods(input, this.nowMs);
          return typeof reply === 'number' ? [reply, job.decisionVersion] : reply;
        },
      },
      twice,
    );
  }

  /** As the controller does it: nothing may be given out, and what goes is stopped and judged before. */
  async resize(job: ModelJob, { b, c, twice }: Step): Promise<void> {
    if (!job.indexed || job.finished || job.deleted) return;
    const completions = b % 12;
    await this.setGate(job.uid, { ...job.gate, limit: 0 }, []);
    const pods = (await this.bed.shard.allSlots(job.uid)).filter(
      ({ index, phase, countsByEnd, owesIndex }) =>
        index >= completions && (phase !== 'Stopping' || countsByEnd || owesIndex),
    );
    const { uid } = job;
    const stop: StopInput = { uid, guard: this.guardOf(job, 1), pods, countAs: 'cut' };
    await this.make({
      name: `stopPods ${JSON.stringify(stop)}`,
      send: async () => {
        const reply = await this.bed.shard.stopPods(stop);
        return reply.type === 'stopped' ? [reply.count, reply.decisionVersion] : reply.type;
      },
      model: () => {
        const reply = job.stopPods(stop, this.nowMs);
        return typeof reply === 'number' ? [reply, job.decisionVersion] : reply;
      },
    });
    // The controller stops those first, too; here it waits until they are over.
    const isInTheWay = [...job.adopted.values()].some(
      ({ index, state }) => job.indexed && state !== 'ended' && index >= completions,
    );
    if (isInTheWay) return;
    const input = { ...this.guardOf(job, c), completions, status: '{}' };
    await this.make(
      {
        name: `resizeJob ${JSON.stringify(input)}`,
        send: async () => (await this.bed.shard.resizeJob(input)).type,
        model: () => job.resize(input, completions),
      },
      twice,
    );
  }

  async restart({ a, b, twice }: Step): Promise<void> {
    const belief = this.beliefs[a % Math.max(1, this.beliefs.length)];
    if (belief === undefined) return;
    const { uid, slot, podNumber, session } = belief;
    const input = { uid, slot, podNumber, session, restarts: 1 + (b % 3) };
    const job = this.model.jobs.get(uid)!;
    // Only for those who look: no other answer may change by it.
    const note = { uid, slot, podNumber, session, details: { containers: [] }, ttlMs: 60_000 };
    await this.make(
      {
        name: `writeContainers ${JSON.stringify(note)}`,
        send: () => this.bed.shard.writeContainers(note),
        model: () => (job.isClaimed(slot, podNumber, session) ? 'written' : 'stale'),
      },
      twice,
    );
    await this.make(
      {
        name: `recordRestart ${JSON.stringify(input)}`,
        send: () => this.bed.shard.recordRestart(input),
        model: () => job.recordRestart(slot, podNumber, session, input.restarts, this.nowMs),
      },
      twice,
    );
  }

  async expire(id: string, force: boolean, twice: boolean): Promise<void> {
    await this.make(
      {
        name: `expireSession ${id} ${force}`,
        send: async () => {
          const reply = await this.bed.shard.expireSession(id, { force });
          if (reply.type === 'alive') return ['alive', reply.untilMs];
          return ['ended', reply.claims.map(({ uid, slot }) => `${uid}:${slot}`).toSorted()];
        },
        model: () => {
          const session = this.model.sessions.get(id)!;
          if (!session.ended && !force && session.leaseEndMs > this.nowMs)
            return ['alive', session.leaseEndMs];
          session.ended = true;
          return ['ended', this.model.claimsOf(id)];
        },
      },
      twice,
    );
  }

  async endLost(session: string, pick: number, twice: boolean): Promise<void> {
    for (const job of this.model.jobs.values()) {
      // Also slots of others: their claims are not its business.
      const held = this.model.heldBy(session, job);
      const others = [...job.slots.keys()].filter((slot) => !held.includes(slot));
      const slots = [...held, ...others.slice(0, pick % 3)];
      if (slots.length === 0) continue;
      await this.make(
        {
          name: `endLostPods ${session} ${job.uid} ${slots.join(' ')}`,
          send: () => this.bed.shard.endLostPods(session, job.uid, slots),
          model: () => this.model.endLostPods(session, job.uid, slots, this.nowMs),
        },
        false,
      );
      if (twice) same('again', await this.bed.shard.endLostPods(session, job.uid, slots), 0);
    }
  }

  async heartbeat(id: string): Promise<void> {
    await this.make({
      name: `heartbeat ${id}`,
      send: async () => {
        const reply = await this.bed.shard.heartbeat(id);
        if (reply.type === 'ended') return 'ended';
        return reply.orders
          .map(({ uid, slot, podNumber }) => `${uid}:${slot}:${podNumber}`)
          .toSorted();
      },
      model: () => {
        const session = this.model.sessions.get(id)!;
        if (session.ended) return 'ended';
        session.leaseEndMs = Math.max(session.leaseEndMs, this.nowMs + LEASE_MS);
        return this.model.ordersOf(id).map(([claim, pod]) => `${claim}:${pod}`);
      },
    });
  }

  async update(job: ModelJob, { c, twice }: Step): Promise<void> {
    const stored = await this.bed.redis.hget(this.bed.shard.keys.job(job.uid).job, 'rv');
    const update: JobUpdate = {
      uid: job.uid,
      expectedResourceVersion: Number(stored ?? 1) - (c % 4 === 0 ? 1 : 0),
      object: '{"metadata":{},"spec":{}}',
      specChanged: c % 3 !== 0,
      completions: job.completions,
      queue: QUEUE,
      fittingKey: LANE,
    };
    // Nothing else says whether the version is still the present one.
    let want: string | null = null;
    await this.make(
      {
        name: `updateJob ${JSON.stringify(update)}`,
        send: async () => {
          const reply = await this.bed.shard.updateJob(update);
          want = reply;
          return job.deleted
            ? reply === 'notFound'
              ? null
              : reply
            : reply === 'notFound'
              ? reply
              : null;
        },
        model: () => null,
      },
      false,
    );
    const apply = (): void => {
      if (want !== 'updated') return;
      if (update.specChanged) {
        job.generation++;
        job.decisionVersion++;
      }
      job.trigger(this.nowMs);
    };
    apply();
    // A repeat of an applied update is refused; it must not reach the model a second time.
    this.calls.pop();
    if (want === 'updated' || (twice && !job.deleted)) {
      same('updateJob, twice', await this.bed.shard.updateJob(update), 'conflict');
    }
  }

  async writeStatus(job: ModelJob, { b, c }: Step): Promise<void> {
    const ends = [null, null, null, null, 'Complete', 'CompleteEarly', 'Failed'] as const;
    const finish = ends[b % ends.length]!;
    const critical = finish !== null || c % 2 === 0;
    const guard = this.guardOf(job, c);
    await this.make({
      name: `writeStatus ${JSON.stringify(guard)} ${finish} ${critical}`,
      send: async () => {
        const reply = await this.bed.shard.writeStatus({
          ...guard,
          status: '{}',
          finish,
          critical,
        });
        return reply.type === 'written' ? ['written', reply.decisionVersion] : reply.type;
      },
      model: () => {
        const reply = job.writeStatus(guard, finish, critical);
        return reply === 'written' ? ['written', job.decisionVersion] : reply;
      },
    });
  }

  async settle(): Promise<void> {
    this.log.push('settle');
    await this.bed.settleDue();
    for (const job of this.model.jobs.values()) {
      if (job.dueAtMs !== null && job.dueAtMs <= this.nowMs) job.dueAtMs = null;
    }
  }

  async delete(job: ModelJob, twice: boolean): Promise<void> {
    await this.make(
      {
        name: `deleteJob ${job.uid}`,
        send: () => this.bed.shard.deleteJob(job.uid),
        model: () => {
          if (job.deleted) return 'notFound';
          job.deleted = true;
          job.gate = { ...job.gate, limit: 0 };
          job.decisionVersion++;
          job.trigger(this.nowMs);
          return 'deleted';
        },
      },
      // The second answer differs, the state does not.
      twice,
    );
  }

  async purge(job: ModelJob): Promise<void> {
    this.log.push(`purgeJob ${job.uid}`);
    let reply = await this.bed.shard.purgeJob(job.uid);
    if (!job.deleted && reply === 'more') return;
    while (reply === 'more') reply = await this.bed.shard.purgeJob(job.uid);
    const isKept = job.orphaned && job.records.size > 0;
    if (!job.deleted || job.active + job.terminating > 0 || isKept) {
      same('purgeJob', reply, 'notEmpty');
      return;
    }
    if (job.leaveFree()) {
      same('purgeJob', reply, 'left');
      return;
    }
    same('purgeJob', reply, 'purged');
    job.purged = true;
    const { retry, delayed, failures, failedIndexes, unjudged, losses, done, records } = job;
    for (const part of [job.adopted, job.adopters, job.freeRecords, job.changes]) part.clear();
    for (const part of [retry, delayed, failures, failedIndexes, unjudged]) part.clear();
    for (const part of [losses, done, records]) part.clear();
    // A createJob that comes late does not bring it back.
    same('late createJob', await this.bed.shard.createJob(newJob(job.uid)), { type: 'replayed' });
  }

  async release(job: ModelJob, { b, c, twice }: Step): Promise<void> {
    const held = [...job.slots].map(([slot, { pod }]) => ({ slot, podNumber: pod }));
    const ended = [...job.records.keys()].map((podNumber) => ({ slot: 0, podNumber }));
    const all = [...held, ...held, ...ended];
    if (all.length === 0) return;
    const { slot, podNumber } = all[b % all.length]!;
    const change = {
      uid: job.uid,
      podNumber,
      // At times as it was seen long ago.
      slot: c % 7 === 0 ? 1 + (c % job.nextSlot) : slot,
      expectedResourceVersion: null,
      change: { labels: { at: String(c) } },
      isSelected: false,
    };
    await this.make(
      {
        name: `changePod ${JSON.stringify(change)}`,
        send: () => this.bed.shard.changePod(change),
        model: () => job.release(change.slot, podNumber, this.nowMs),
      },
      twice,
    );
  }

  async check(): Promise<void> {
    const after = await this.bed.raw([...this.model.jobs.keys()], [...this.model.sessions.keys()]);
    same('violations', violations(after), []);
    if (this.before !== null) same('violations', checkGrowth(this.before, after), []);
    this.before = after;
    same('stored state', actualState(after), expectedState(this.model));
  }

  /** The kept records are those of the pods that ended by themselves, whatever the page size. */
  async checkPods(): Promise<void> {
    for (const job of this.model.jobs.values()) {
      if (job.purged) continue;
      const seen: [podNumber: number, state: string][] = [];
      let after = 0;
      for (;;) {
        const { pods, next } = await this.bed.shard.listPods(job.uid, { after, limit: 3 });
        same('page size', pods.length <= 3, true);
        for (const pod of pods) {
          seen.push([pod.podNumber, pod.kind === 'record' ? pod.outcome : pod.phase]);
        }
        if (next === null) break;
        same('pages go on', next > after, true);
        after = next;
      }
      const want = new Map<number, string>([...job.records, ...job.freeRecords]);
      for (const slot of job.slots.values()) want.set(slot.pod, shownPhase(slot.phase));
      if (job.deleted && !job.orphaned && job.free.size > 0) {
        for (const pod of want.keys()) if (!job.free.has(pod)) want.delete(pod);
      }
      same(
        'pods',
        seen,
        [...want].toSorted((a, b) => a[0] - b[0]),
      );
    }
  }
}

/** However its end counts, a pod that was told to stop is shown as stopping. */
function shownPhase(phase: string): string {
  if (phase === 'Free') return 'Running';
  return ['Returning', 'Leaving', 'FreeStopping'].includes(phase) ? 'Stopping' : phase;
}
