/** A worker process with handlers in two threads. argv: URL of Redis, prefix, threads. */
import { enableCompileCache } from 'node:module';
import { createWorker } from '@drover/sdk';
import { handlers } from './threadHandlers.ts';

// As the command drover does.
enableCompileCache();
const [, , connection, prefix, threads] = process.argv;
const worker = createWorker({
  connection: connection!,
  prefix: prefix!,
  handlers,
  threads: Number(threads),
});
process.once('SIGTERM', () => void worker.close({ force: true }));
const running = worker.run();
await worker.ready();
console.log('ready');
await running;
