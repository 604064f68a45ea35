import type { ReportAnswer, ReportEntry, Shard } from '@drover/store';

/** What a {@link ReportRoute} asks of a shard. */
export interface ReportPort {
  /** See `Shard.report`. */
  report(session: string, entries: readonly ReportEntry[]): Promise<ReportAnswer[]>;
  /** See `Shard.reportSuccesses`. */
  reportSuccesses: Shard['reportSuccesses'];
}

/** After a refusal a Job's reports go the long way for so many: a vain try costs as much as it saves once. */
const PAUSE_REPORTS = 16;
/** Jobs that are remembered; those of pods that run are fewer. */
const MAX_JOBS = 4_096;

/**
 * Which script reports are sent to: `reportSuccesses` takes those that only say that pods succeeded, for a fraction of
 * the cost, but refuses Jobs of which more is to be done. So it gets those of Jobs whose last report was answered with a
 * next pod for every slot; what it refuses goes to `report`.
 */
export class ReportRoute {
  readonly #port: ReportPort;
  /** By uid of a Job, how many reports of it are to go to `report` before another try. */
  readonly #pauses = new Map<string, number>();

  constructor(port: ReportPort) {
    this.#port = port;
  }

  /** Sends a batch; may be called again with the same one when no answer came. */
  async send(session: string, entries: readonly ReportEntry[]): Promise<ReportAnswer[]> {
    if (!entries.every((entry) => this.#isPlain(entry))) return this.#report(session, entries);
    const answers = await this.#port.reportSuccesses(session, entries);
    const refused = entries.filter((_, i) => answers[i] === null);
    if (refused.length === 0) return answers as ReportAnswer[];
    for (const { uid } of refused) this.#pauses.set(uid, PAUSE_REPORTS);
    const others = (await this.#report(session, refused)).values();
    return answers.map((answer) => answer ?? others.next().value!);
  }

  #isPlain({ uid, outcome, overlay, leave }: ReportEntry): boolean {
    return outcome === 'Succeeded' && overlay === null && !leave && this.#pauses.get(uid) === 0;
  }

  async #report(session: string, entries: readonly ReportEntry[]): Promise<ReportAnswer[]> {
    const answers = await this.#port.report(session, entries);
    const ended = new Set<string>();
    const uids = new Set<string>();
    for (const [i, { uid }] of entries.entries()) {
      uids.add(uid);
      if (answers[i]?.type !== 'next') ended.add(uid);
    }
    if (this.#pauses.size > MAX_JOBS) this.#pauses.clear();
    for (const uid of uids) {
      if (ended.has(uid)) this.#pauses.delete(uid);
      else this.#pauses.set(uid, Math.max(0, (this.#pauses.get(uid) ?? 1) - 1));
    }
    return answers;
  }
}
