/** A worker of the chaos runner: `node workerProcess.ts CONFIG`, see ChaosWorkerConfig. */
import { createWorker } from '@drover/sdk';
import { pino } from 'pino';

import { Recorder } from '../records.ts';
import { createHandlers } from './handlers.ts';

/** JSON in the only argument. */
export interface ChaosWorkerConfig {
  readonly url: string;
  readonly prefix: string;
  readonly name: string;
  /** Where pods write down what they do. */
  readonly folder: string;
  readonly maxPods: number;
  /** Where volumes lie. */
  readonly volumeDirectory: string;
}

const config = JSON.parse(process.argv[2] ?? '') as ChaosWorkerConfig;
const worker = createWorker({
  connection: config.url,
  prefix: config.prefix,
  name: config.name,
  runtimes: ['handler', 'process'],
  handlers: createHandlers(new Recorder(config.folder, config.name)),
  maxPods: config.maxPods,
  crashLoop: { baseMs: 50, capMs: 50 },
  volumes: { directory: config.volumeDirectory },
  logger: pino({ level: 'info', base: null }),
});
process.on('SIGTERM', () => void worker.close());
const running = worker.run();
await worker.ready();
process.stdout.write('worker is ready\n');
await running;
