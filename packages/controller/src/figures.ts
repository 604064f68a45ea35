import { Distribution, type JobConditionReason, SHORT_TIME_BOUNDS } from '@drover/shared';

/** What a controller looks at, as the members of the due set name it. */
export const MEMBER_KINDS = [
  'job',
  'session',
  'kept',
  'gc',
  'cron',
  'quota',
  'wq',
  'items',
] as const;
/** One of {@link MEMBER_KINDS}. */
export type MemberKind = (typeof MEMBER_KINDS)[number];

/**
 * How Jobs end. Known from the beginning: a figure that is there with its first Job only is none of which one could tell
 * that it grew.
 */
const ENDINGS: readonly (readonly [condition: string, reasons: readonly JobConditionReason[]])[] = [
  ['Complete', ['CompletionsReached', 'SuccessPolicy']],
  [
    'Failed',
    [
      'BackoffLimitExceeded',
      'DeadlineExceeded',
      'PodFailurePolicy',
      'MaxFailedIndexesExceeded',
      'FailedIndexes',
    ],
  ],
];

/** How the looks at one kind of member went. */
export interface ReconcileFigures {
  /** How long each took, seconds; failed ones too. */
  readonly times: Distribution;
  /** Those that failed; most are tried again. */
  failures: number;
}

/** How many Jobs got a final condition. */
export interface FinishedFigures {
  readonly condition: string;
  readonly reason: string;
  count: number;
}

/** What a controller did since it was made, kept in memory. The same objects for good: they grow while they are held. */
export class ControllerFigures {
  readonly reconciles: Readonly<Record<MemberKind, ReconcileFigures>>;
  readonly #finished = new Map<string, FinishedFigures>();
  /** Pods that were ended because the session of their worker was over. */
  lostPods = 0;
  /** Events that could not be written, or were too many. */
  lostEvents = 0;

  constructor() {
    const entries = MEMBER_KINDS.map((kind) => [
      kind,
      { times: new Distribution(SHORT_TIME_BOUNDS), failures: 0 },
    ]);
    this.reconciles = Object.fromEntries(entries) as Record<MemberKind, ReconcileFigures>;
    for (const [condition, reasons] of ENDINGS) {
      for (const reason of reasons) this.#figuresOf(condition, reason);
    }
  }

  /** Jobs that got their final condition here. */
  get finished(): readonly FinishedFigures[] {
    return [...this.#finished.values()];
  }

  /** Runs a look and notes how it went. */
  async timed<T>(kind: MemberKind, look: () => Promise<T>): Promise<T> {
    const figures = this.reconciles[kind];
    const beganMs = performance.now();
    try {
      return await look();
    } catch (error) {
      figures.failures += 1;
      throw error;
    } finally {
      figures.times.note((performance.now() - beganMs) / 1_000);
    }
  }

  /** A Job got its final condition. */
  noteFinished(condition: string, reason: string): void {
    this.#figuresOf(condition, reason).count += 1;
  }

  #figuresOf(condition: string, reason: string): FinishedFigures {
    const key = `${condition} ${reason}`;
    const known = this.#finished.get(key);
    if (known !== undefined) return known;
    const figures = { condition, reason, count: 0 };
    this.#finished.set(key, figures);
    return figures;
  }
}
