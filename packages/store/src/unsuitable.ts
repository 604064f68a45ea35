import { TerminalError } from '@drover/shared';

/** The Redis at hand can't hold Drover's state; the message says what to change. */
export class UnsuitableRedisError extends TerminalError {
  /** What is wrong with it; stable. */
  readonly problem: UnsuitableRedisProblem;

  constructor(problem: UnsuitableRedisProblem, message: string) {
    super(message);
    this.problem = problem;
  }
}

/** Why a Redis is refused. */
export type UnsuitableRedisProblem =
  | 'INVALID_PREFIX'
  | 'EVICTION_POLICY'
  | 'REDIS_TOO_OLD'
  | 'LAYOUT_VERSION'
  | 'SHARD_COUNT'
  | 'NOT_INSTALLED';
