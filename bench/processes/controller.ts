/** A controller process of the benchmark. argv: URL of Redis, prefix. */
import { createController } from '@drover/sdk';

const [, , connection, prefix] = process.argv;
const controller = createController({ connection: connection!, prefix: prefix! });
process.once('SIGTERM', () => void controller.close());
const running = controller.run();
console.log('ready');
await running;
