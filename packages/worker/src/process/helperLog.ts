import type { Logger } from 'pino';

/** Where it is told what becomes of process helpers. */
export type HelperLog = Pick<Logger, 'info' | 'error'>;
