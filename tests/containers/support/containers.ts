import { fileURLToPath } from 'node:url';

import { type BaseImages, findBaseImages } from '../../../scripts/containers/baseImages.ts';
import { docker, run, whyNoEngine } from '../../../scripts/containers/docker.ts';

/** Root of the checkout. */
export const ROOT = fileURLToPath(new URL('../../..', import.meta.url)).replace(/\/$/, '');

/** Not `drover`: the image of who runs the tests is left alone. */
export const DROVER_IMAGE = 'drover:test';
const WORKER_IMAGE = 'drover:test-worker';

/** What tests with containers need of this machine. */
export interface Containers {
  /** Images to start from, and the image under test, as docker-compose.yml takes them. */
  readonly env: BaseImages & { readonly DROVER_IMAGE: string; readonly WORKER_IMAGE: string };
  /** The command of compose: `docker compose`, or `docker-compose`; null when there is none. */
  readonly compose: readonly string[] | null;
}

/** Looks for an engine and images; answers in words why tests have to be skipped. */
export async function findContainers(): Promise<Containers | string> {
  const none = await whyNoEngine();
  if (none !== null) return none;
  try {
    const images = await findBaseImages();
    return { env: { ...images, DROVER_IMAGE, WORKER_IMAGE }, compose: await findCompose() };
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

/** Builds the image under test, from this checkout. */
export async function buildImage({ env }: Containers): Promise<void> {
  const args = ['--build-arg', `NODE_IMAGE=${env.DROVER_NODE_IMAGE}`, '--tag', DROVER_IMAGE];
  // The network of the host reaches whatever registry this machine is set up for.
  await docker(['build', '--network', 'host', ...args, ROOT], { timeoutMs: 540_000 });
}

async function findCompose(): Promise<readonly string[] | null> {
  for (const command of [['docker-compose'], ['docker', 'compose']]) {
    const [program = '', ...args] = command;
    const { code } = await run(program, [...args, 'version']);
    if (code === 0) return command;
  }
  return null;
}
