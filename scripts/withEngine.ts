// Runs a command with a Docker engine that has the base images of Drover's own:
//   node scripts/launch.js scripts/withEngine.ts COMMAND [args]
// Uses the engine that there is, else starts one as far as this machine lets it. Never fails because
// it could not: the command runs without, and its tests say that they were skipped.
import { findBaseImages, makeBaseImages, whyNotMade } from './containers/baseImages.ts';
import { whyNoEngine } from './containers/docker.ts';
import { bringCommands, type Engine, startEngine, whyNotStarted } from './containers/engine.ts';
import { runInPlace } from './lib/run.js';

const [command, ...args] = process.argv.slice(2);
if (command === undefined) {
  process.stderr.write('usage: node scripts/launch.js scripts/withEngine.ts COMMAND [args]\n');
  process.exit(2);
}

let engine: Engine | null = null;
try {
  engine = await provideEngine();
} catch (error) {
  say(`no containers: ${error instanceof Error ? error.message : String(error)}`);
}
process.exitCode = await runInPlace(command, args, { env: process.env });
await engine?.stop();

/** Puts what leads to an engine and its images into the environment. */
async function provideEngine(): Promise<Engine | null> {
  const none = await whyNoEngine();
  let started: Engine | null = null;
  if (none !== null) {
    const why = whyNotStarted();
    if (why !== null) throw new Error(`${none}, and ${why}`);
    await bringCommands('dockerd', 'docker-compose', 'mmdebstrap');
    await bringCommands('docker');
    started = await startEngine();
    process.env['DOCKER_HOST'] = started.DOCKER_HOST;
  }
  try {
    Object.assign(process.env, await provideImages());
  } catch (error) {
    await started?.stop();
    throw error;
  }
  return started;
}

async function provideImages(): Promise<Record<string, string>> {
  try {
    return { ...(await findBaseImages()) };
  } catch (error) {
    await bringCommands('mmdebstrap');
    const why = whyNotMade();
    if (why !== null) throw new Error(`${String(error)}; ${why}`, { cause: error });
  }
  const startedAtMs = Date.now();
  const images = await makeBaseImages();
  say(`base images made (${((Date.now() - startedAtMs) / 1000).toFixed(1)} s)`);
  // Nor can the helper image of testcontainers be pulled.
  return { ...images, TESTCONTAINERS_RYUK_DISABLED: 'true' };
}

function say(text: string): void {
  process.stderr.write(`containers: ${text}\n`);
}
