/** Cuts passwords out of the addresses of Redis inside a text. */
export function withoutCredentials(text: string): string {
  return (
    text
      // Up to the last @ before the path: a password that is not encoded may have one, too.
      .replace(/(rediss?(?:\+[a-z]+)?:\/\/)[^/\s]*@/g, '$1***@')
      .replace(/([?&](?:sentinelP|p)assword=)[^&\s]*/g, '$1***')
  );
}

/** Deepest cause of a cause that is logged. */
const MOST_CAUSES = 5;

/**
 * An error as logs have it, without secrets. ioredis hangs the whole command on its errors: a script
 * with whatever data went with it, or a password.
 */
export function errorForLog(error: unknown, depth = 0): unknown {
  if (!(error instanceof Error)) {
    return typeof error === 'string' ? withoutCredentials(error) : error;
  }
  const details = Object.entries(error).flatMap(([name, value]: [string, unknown]) => {
    if (typeof value === 'string') return [[name, withoutCredentials(value)]];
    return typeof value === 'number' || typeof value === 'boolean' ? [[name, value]] : [];
  });
  return {
    ...(Object.fromEntries(details) as Record<string, unknown>),
    type: error.name === 'Error' ? error.constructor.name : error.name,
    message: withoutCredentials(error.message),
    stack: withoutCredentials(error.stack ?? ''),
    ...(error.cause === undefined || depth >= MOST_CAUSES
      ? {}
      : { cause: errorForLog(error.cause, depth + 1) }),
  };
}
