import { execFile } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { existsSync, readdirSync } from 'node:fs';
import { access, constants, lstat, mkdir, readdir, readFile, rename, rm } from 'node:fs/promises';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

/** How long the compiler may take; it takes one second. */
const COMPILE_TIMEOUT_MS = 60_000;
/** Tried one after the other; the environment's CC comes first. */
const COMPILERS = ['cc', 'gcc', 'clang'];
const COMPILER_FLAGS = ['-std=c11', '-O2'];
/** Builds on Linux what other systems get. */
export const PORTABLE_FLAG = '-DDROVER_PORTABLE';

/**
 * The native helper that came with the package, if there is one for this system: made by
 * scripts/buildHelpers.js when the package is packed. It may turn out not to start here.
 */
export function prebuiltHelper(): string | null {
  // A checkout, whose sources may be newer than what was packed last.
  if (import.meta.url.endsWith('.ts')) return null;
  const platform = `${process.platform}-${process.arch}`;
  const path = fileURLToPath(new URL(`../../prebuilt/${platform}/process-helper`, import.meta.url));
  return existsSync(path) ? path : null;
}

/**
 * The native helper compiled on this machine: once, then kept in a cache of this user under a
 * hash of its source.
 *
 * @param flags - Further flags for the compiler.
 * @throws Error that says why there is none: no compiler, or no place to keep it.
 */
export async function compiledHelper(flags: readonly string[] = []): Promise<string> {
  const sources = await readSources();
  const allFlags = [...COMPILER_FLAGS, ...flags];
  const path = join(await privateCache(), `process-helper-${hashOf(sources, allFlags)}`);
  if (await isExecutable(path)) return path;
  // Under a name of its own until it is whole: several workers may start at once.
  const unfinished = `${path}.${randomBytes(4).toString('hex')}`;
  try {
    const files = sources.map((source) => source.path).filter((file) => file.endsWith('.c'));
    await compile([...allFlags, '-o', unfinished, ...files]);
    await rename(unfinished, path);
  } finally {
    await rm(unfinished, { force: true });
  }
  return path;
}

/** A file of the native helper's source. */
interface Source {
  readonly path: string;
  readonly text: string;
}

async function readSources(): Promise<Source[]> {
  const directory = fileURLToPath(new URL('../../native/', import.meta.url));
  const names = (await readdir(directory)).filter((name) => /\.[ch]$/.test(name)).toSorted();
  return Promise.all(
    names.map(async (name) => {
      const path = join(directory, name);
      return { path, text: await readFile(path, 'utf8') };
    }),
  );
}

function hashOf(sources: readonly Source[], flags: readonly string[]): string {
  const hash = createHash('sha256');
  // A home directory may be shared by machines of different kinds.
  hash.update([process.platform, process.arch, libc(), ...flags].join('\0'));
  for (const { text } of sources) hash.update('\0').update(text);
  return hash.digest('hex').slice(0, 16);
}

/** Programs linked with one C library do not start with another. */
function libc(): string {
  try {
    return readdirSync('/lib').some((name) => name.startsWith('ld-musl-')) ? 'musl' : 'default';
  } catch {
    return 'default';
  }
}

/** A directory into which nobody but this user can put a program. */
async function privateCache(): Promise<string> {
  const uid = process.getuid?.() ?? 0;
  const xdg = process.env['XDG_CACHE_HOME'];
  const parents = [xdg === undefined || xdg === '' ? join(homedir(), '.cache') : xdg];
  const candidates = [
    ...parents.map((parent) => join(parent, 'drover')),
    join(tmpdir(), `drover-cache-${uid}`),
  ];
  for (const directory of candidates) {
    try {
      await mkdir(directory, { recursive: true, mode: 0o700 });
      const status = await lstat(directory);
      const isPrivate = status.uid === uid && (status.mode & 0o022) === 0;
      if (!status.isDirectory() || !isPrivate) continue;
      await access(directory, constants.W_OK);
      return directory;
    } catch {
      // Read-only, or there is no home: the next one.
    }
  }
  throw new Error(`no private directory to keep it in; tried ${candidates.join(', ')}`);
}

async function isExecutable(path: string): Promise<boolean> {
  try {
    await access(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

async function compile(args: readonly string[]): Promise<void> {
  const own = process.env['CC'];
  const compilers = own === undefined || own === '' ? COMPILERS : [own, ...COMPILERS];
  for (const compiler of compilers) {
    try {
      await promisify(execFile)(compiler, args, { timeout: COMPILE_TIMEOUT_MS });
      return;
    } catch (cause) {
      const { code, stderr = '' } = cause as NodeJS.ErrnoException & { stderr?: string };
      if (code === 'ENOENT') continue;
      const [line = ''] = stderr.split('\n').filter((text) => /error/i.test(text));
      throw new Error(`${compiler} could not compile it: ${line || String(code)}`, { cause });
    }
  }
  throw new Error(`no C compiler (${COMPILERS.join(', ')})`);
}
