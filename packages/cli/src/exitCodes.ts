/** What the command's exit code says; docs/cli.md has the table for users. */
export const EXIT = {
  /** It worked; for `run` and `wait`: the Job is Complete. */
  ok: 0,
  /** The Job failed, or the thing that was asked for does not exist. */
  failed: 1,
  /** A wrong argument, a broken manifest, a name that is taken, a sealed work queue. */
  badInput: 2,
  /** Redis can't be reached or can't be used. */
  noConnection: 3,
  /** A `--timeout` was reached, as with timeout(1). */
  timedOut: 124,
  /** Nobody reads what a run prints any more: 128 + SIGPIPE, as a shell would say it. */
  brokenPipe: 141,
  /** `run` with arguments, which counts those that failed, can't be done at all. */
  badList: 255,
  /** Ended by Ctrl-C, as a shell would say it. */
  interrupted: 130,
} as const;

/** One of {@link EXIT}. */
export type ExitCode = (typeof EXIT)[keyof typeof EXIT];
