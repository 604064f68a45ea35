import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { type BaseImages, findBaseImages } from '../../../scripts/containers/baseImages.ts';
import { lastLines, run, whyNoEngine } from '../../../scripts/containers/docker.ts';
import { findOnPath } from '../../../scripts/lib/toolchain.js';

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

/** Whether a build failed because it does not reach the packages of npm or Debian, or does not trust them. */
const UNREACHED =
  /ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ETIMEDOUT|ENETUNREACH|CERT|Failed to fetch|Unable to locate package/;

/** Finds an engine and builds the image under test; answers in words why tests have to be skipped. */
export async function findContainers(): Promise<Containers | string> {
  const none = await whyNoEngine();
  if (none !== null) return none;
  let images: BaseImages;
  try {
    images = await findBaseImages();
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
  const output = await buildImage(images.DROVER_NODE_IMAGE);
  if (output !== null && UNREACHED.test(output)) {
    return `the build of the image does not reach the packages it takes: ${lastLines(output, 3)}`;
  }
  if (output !== null) throw new Error(`the image was not built:\n${lastLines(output)}`);
  return { env: { ...images, DROVER_IMAGE, WORKER_IMAGE }, compose: await findCompose() };
}

/** Builds the image under test from this checkout; answers what was said when that failed. */
async function buildImage(node: string): Promise<string | null> {
  const args = ['--build-arg', `NODE_IMAGE=${node}`, '--tag', DROVER_IMAGE];
  // The network of the host reaches whatever registry this machine is set up for.
  const build = ['docker', 'build', '--network', 'host', ...args, ROOT];
  // One at a time: for the second test file that wants it, it is there.
  const lock = join(tmpdir(), 'drover-test-image.lock');
  const [command = '', ...rest] =
    findOnPath('flock') === null ? build : ['flock', '--no-fork', lock, ...build];
  let output = '';
  // BuildKit makes stages side by side, and keeps no image of each step; not every command has it.
  for (const DOCKER_BUILDKIT of ['1', '0']) {
    const env = { ...process.env, DOCKER_BUILDKIT };
    const { code, stdout, stderr } = await run(command, rest, { env, timeoutMs: 840_000 });
    if (code === 0) return null;
    output = stdout + stderr;
    if (!output.includes('buildx component is missing')) break;
  }
  return output;
}

async function findCompose(): Promise<readonly string[] | null> {
  for (const command of [['docker-compose'], ['docker', 'compose']]) {
    const [program = '', ...args] = command;
    const { code } = await run(program, [...args, 'version']);
    if (code === 0) return command;
  }
  return null;
}
