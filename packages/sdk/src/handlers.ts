/**
 * What a module of handlers needs, alone: it loads neither Redis' client nor BullMQ. For handlers with
 * `isolation: 'thread'`, whose module is loaded once more in each thread.
 */
export * from '@drover/worker/handlers';
