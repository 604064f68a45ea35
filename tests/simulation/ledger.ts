/** What really happened, written down apart from what Redis keeps: the end is compared with it. */

/** How pods of one Job left, other than by ending by themselves. */
interface Stopped {
  uncounted: number;
  failed: number;
  unjudged: number;
  /** Their indexes went. */
  cut: number;
}

/** See the top of the file. */
export class Ledger {
  /** `<uid>:<pod>` of pods whose user code ended so, heard of or not. */
  readonly ran = { Succeeded: new Set<string>(), Failed: new Set<string>() };
  readonly #stopped = new Map<string, Stopped>();

  /** Pods of a Job that were stopped. */
  stoppedOf(uid: string): Stopped {
    return this.#stopped.get(uid) ?? { uncounted: 0, failed: 0, unjudged: 0, cut: 0 };
  }

  /** A pod's user code came to its end. */
  ended(uid: string, podNumber: number, outcome: 'Succeeded' | 'Failed'): void {
    this.ran[outcome].add(`${uid}:${podNumber}`);
  }

  /** A script was carried out, whoever hears of its answer. */
  witness(script: string, args: readonly unknown[], reply: unknown): void {
    if (script !== 'stopPods') return;
    const argv = args.slice(1 + Number(args[0]));
    const [version, count] = (reply as unknown[]).map(Number);
    if (version! < 0 || count === 0) return;
    const uid = String(argv[2]);
    const stopped = this.stoppedOf(uid);
    stopped[String(argv[5]) as keyof Stopped] += count!;
    this.#stopped.set(uid, stopped);
  }
}
