import { trueNowMs } from './records.ts';

/** Something that happened. */
export interface Moment {
  /** ms since the epoch by the clock of the machine. */
  readonly atMs: number;
  readonly text: string;
}

/** What was done in a run, in the order of time. */
export class History {
  readonly moments: Moment[] = [];

  /** Writes down what happens now. */
  note(text: string): void {
    this.moments.push({ atMs: trueNowMs(), text });
  }
}
