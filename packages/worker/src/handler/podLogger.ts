import { pino, type Logger } from 'pino';

import type { PodLog } from '../podLog.ts';

/**
 * A pino logger that writes to a pod's log. Without time, pid and host: the log's chunks have
 * their time, and the rest is the pod itself.
 */
export function createPodLogger(log: PodLog): Logger {
  return pino(
    {
      base: null,
      timestamp: false,
      level: 'trace',
      formatters: { level: (label) => ({ level: label }) },
    },
    { write: (line: string) => log.write('stdout', line) },
  );
}
