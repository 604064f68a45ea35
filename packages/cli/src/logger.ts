import { createRequire } from 'node:module';

import { errorForLog } from '@drover/shared';
import { pino, stdTimeFunctions, type Logger } from 'pino';
import type PinoPretty from 'pino-pretty';

import type { LogLevel } from './logLevels.ts';
import { openLogStream } from './logStream.ts';
import { wantsColours } from './text/colours.ts';

/** Field names whose value never appears in a log, at any of the depths where one is met. */
const SECRET_FIELDS = ['password', 'sentinelPassword', 'redisUrl', 'url', 'token', 'secret'];

/**
 * The log of a long-running command: to standard error, for people on a terminal and as JSON
 * otherwise. Secrets are cut out.
 */
export function createLogger(options: { level: LogLevel; name: string }): Logger {
  const { level, name } = options;
  const settings = {
    name,
    level,
    base: { pid: process.pid },
    timestamp: stdTimeFunctions.isoTime,
    redact: {
      paths: SECRET_FIELDS.flatMap((field) => [field, `*.${field}`, `*.*.${field}`]),
      censor: '[secret]',
    },
    serializers: { err: errorForLog },
  };
  if (!process.stderr.isTTY) return pino(settings, openLogStream(2));
  return pino(settings, prettyStream());
}

function prettyStream() {
  // Loaded only for a terminal: it takes longer to load than all the rest of a command.
  const require = createRequire(import.meta.url);
  const pretty = require('pino-pretty') as typeof PinoPretty;
  return pretty({
    destination: 2,
    sync: true,
    colorize: wantsColours(process.stderr, process.env),
    translateTime: 'SYS:HH:MM:ss.l',
    ignore: 'pid,hostname,name',
    singleLine: true,
  });
}
