import { EXIT, type ExitCode } from './exitCodes.ts';

/** A mistake that the user can mend: printed in one line, never with a stack trace. */
export class CliError extends Error {
  /** What the process exits with. */
  readonly exitCode: ExitCode;
  /** Further lines, each printed on its own. */
  readonly details: readonly string[];

  constructor(message: string, exitCode: ExitCode, details: readonly string[] = []) {
    super(message);
    this.name = 'CliError';
    this.exitCode = exitCode;
    this.details = details;
  }
}

/** Wrong arguments; exits with 2. */
export function badInput(message: string, details: readonly string[] = []): CliError {
  return new CliError(message, EXIT.badInput, details);
}

/** What to print for an error, and what to exit with. */
export interface ErrorReport {
  readonly exitCode: ExitCode;
  readonly lines: readonly string[];
}

const EXIT_BY_CODE: Readonly<Record<string, ExitCode>> = {
  INVALID_SPEC: EXIT.badInput,
  INVALID_SELECTOR: EXIT.badInput,
  INVALID_HANDLERS: EXIT.badInput,
  ALREADY_EXISTS: EXIT.badInput,
  SEALED: EXIT.badInput,
  NOT_FOUND: EXIT.failed,
  CONFLICT: EXIT.failed,
  FORBIDDEN: EXIT.failed,
  CONNECTION: EXIT.noConnection,
  TIMEOUT: EXIT.timedOut,
  RESOURCE_EXHAUSTED: EXIT.failed,
  TERMINAL: EXIT.failed,
};

/** Of an UnsuitableRedisError: this Redis can't be used. */
function isUnsuitableRedis(error: Error): boolean {
  return 'problem' in error && error.problem !== 'INVALID_PREFIX';
}

/**
 * Turns whatever was thrown into lines for people. Errors of Drover are recognised by their stable
 * `code`; anything else is a fault of Drover and says how to see more.
 */
export function reportError(error: unknown): ErrorReport {
  if (error instanceof CliError) {
    return { exitCode: error.exitCode, lines: [error.message, ...error.details] };
  }
  if (error instanceof Error) {
    const code = 'code' in error && typeof error.code === 'string' ? error.code : '';
    let exitCode = EXIT_BY_CODE[code];
    if ('problem' in error) exitCode = isUnsuitableRedis(error) ? EXIT.noConnection : EXIT.badInput;
    if (exitCode !== undefined) return { exitCode, lines: error.message.split('\n') };
    return {
      exitCode: EXIT.failed,
      lines: [
        `unexpected error: ${error.message.split('\n')[0] ?? error.name}`,
        '  DROVER_DEBUG=1 shows where it came from',
      ],
    };
  }
  return { exitCode: EXIT.failed, lines: [`unexpected error: ${String(error)}`] };
}
