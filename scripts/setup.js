// `npm run setup`: brings Node, pnpm, the dependencies and redis-server where they are missing.
import { SetupError, setUp } from './lib/setup.js';

try {
  await setUp();
} catch (error) {
  if (!(error instanceof SetupError)) throw error;
  process.stderr.write(`set-up: ${error.message}\n`);
  process.exitCode = 1;
}
