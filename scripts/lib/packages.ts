// Makes the packages as they are published: copied without what is not theirs, built and packed.
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { cp, mkdir, mkdtemp, readdir, readFile, realpath, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join, relative } from 'node:path';
import { promisify } from 'node:util';
import { PNPM, ROOT, toolEnvironment } from './toolchain.js';

/** A package that can be published. */
export interface PackedPackage {
  /** As in its package.json: `@drover/cli`. */
  readonly name: string;
  /** Its folder below packages/. */
  readonly folder: string;
  /** Path of the .tgz. */
  readonly tarball: string;
  /** Programs it should bring that could not be built here; it works without them. */
  readonly leftOut: readonly string[];
}

/** The compiler or pnpm failed; the message is what they said. */
export class PackError extends Error {}

/** What a package is built from beside its own folder; its `prepack` may use a script. */
const BESIDE = ['package.json', 'pnpm-workspace.yaml', 'tsconfig.base.json', 'LICENSE', 'scripts'];

/** What lies in a package's folder and has no part in it. */
const LEFT_OUT = new Set(['node_modules', 'dist', 'prebuilt', 'test']);

const runFile = promisify(execFile);

/**
 * Builds and packs every package that is not private.
 *
 * From a copy: what earlier builds left in dist/ must not be published, and who works in the
 * checkout meanwhile must not notice.
 *
 * @param destination - Folder for the tarballs; is made.
 * @param options - `isChecked`: the types were checked before, which takes most of the time.
 * @throws PackError when the compiler or pnpm fail.
 */
export async function packPackages(
  destination: string,
  { isChecked = false }: { readonly isChecked?: boolean } = {},
): Promise<PackedPackage[]> {
  const copy = await mkdtemp(join(tmpdir(), 'drover-pack-'));
  try {
    const folders = await copyPackages(copy);
    const published = await publishedOf(copy, folders);
    const projects = published.map(({ folder }) => join(copy, 'packages', folder));
    const flags = isChecked ? ['-b', '--noCheck'] : ['-b'];
    await run(join(ROOT, 'node_modules', '.bin', 'tsc'), [...flags, ...projects], copy);
    await mkdir(destination, { recursive: true });
    const packed: PackedPackage[] = [];
    // One by one: a package may build something for itself first.
    for (const { name, folder, version, publishConfig } of published) {
      const args = ['pack', '--pack-destination', destination];
      await run(PNPM, args, join(copy, 'packages', folder));
      const file = `${name.slice(1).replace('/', '-')}-${version}.tgz`;
      const programs = publishConfig.executableFiles ?? [];
      const leftOut = programs.filter((path) => !existsSync(join(copy, 'packages', folder, path)));
      packed.push({ name, folder, tarball: join(destination, file), leftOut });
    }
    return packed;
  } finally {
    await rm(copy, { recursive: true, force: true });
  }
}

/** Copies the sources of all packages and links what they depend on; answers their folders. */
async function copyPackages(copy: string): Promise<string[]> {
  for (const entry of BESIDE) {
    await cp(join(ROOT, entry), join(copy, entry), { recursive: true });
  }
  await linkModules(join(ROOT, 'node_modules', '@types'), join(copy, 'node_modules', '@types'));
  const folders = await readdir(join(ROOT, 'packages'));
  for (const folder of folders) {
    const from = join(ROOT, 'packages', folder);
    const to = join(copy, 'packages', folder);
    const filter = (path: string): boolean => !LEFT_OUT.has(relative(from, path));
    await cp(from, to, { recursive: true, filter });
    await linkModules(join(from, 'node_modules'), join(to, 'node_modules'));
  }
  return folders;
}

/** Links the modules of a node_modules folder: our own to their copies, others to where they are. */
async function linkModules(from: string, to: string): Promise<void> {
  await mkdir(to, { recursive: true });
  for (const entry of await readdir(from)) {
    if (entry.startsWith('.')) continue;
    if (entry.startsWith('@') && basename(from) === 'node_modules') {
      await linkModules(join(from, entry), join(to, entry));
    } else {
      const isOurs = basename(from) === '@drover';
      const target = isOurs ? join('../../..', entry) : await realpath(join(from, entry));
      await symlink(target, join(to, entry));
    }
  }
}

interface Manifest {
  readonly name: string;
  readonly version: string;
  readonly private?: boolean;
  readonly publishConfig: { readonly executableFiles?: readonly string[] };
}

/** Those of the packages that are not private. */
async function publishedOf(
  copy: string,
  folders: readonly string[],
): Promise<(Manifest & { folder: string })[]> {
  const manifests = await Promise.all(
    folders.map(async (folder) => {
      const text = await readFile(join(copy, 'packages', folder, 'package.json'), 'utf8');
      return { ...(JSON.parse(text) as Manifest), folder };
    }),
  );
  return manifests.filter((manifest) => manifest.private !== true);
}

async function run(command: string, args: readonly string[], cwd: string): Promise<void> {
  const env = { ...toolEnvironment(process.execPath), CI: 'true' };
  try {
    await runFile(command, args, { cwd, env });
  } catch (error) {
    const { stdout, stderr } = error as { stdout: string; stderr: string };
    const output = `${stdout}${stderr}`.trimEnd();
    throw new PackError(`${basename(command)} ${args[0]} failed:\n${output}`, { cause: error });
  }
}
