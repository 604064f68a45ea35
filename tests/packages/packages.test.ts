/**
 * What is published: the tarballs as `npm run pack` makes them, looked at from outside, then
 * installed into an empty folder and used as the README says.
 */
import { cp, mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { homedir, tmpdir } from 'node:os';
import { delimiter, dirname, join, normalize } from 'node:path';
import { hostProblem } from '@drover/shared';
import { startRedis, type TestRedis } from '@drover/testkit';
import { publint } from 'publint';
import { formatMessage } from 'publint/utils';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { packPackages, type PackedPackage } from '../../scripts/lib/packages.ts';
import { isNodeNewEnough, NODE_MIN, ROOT } from '../../scripts/lib/toolchain.js';
import { type Ended, filesBelow, UserFolder } from './support.ts';

/** What of a package.json is looked at here. */
interface Manifest {
  readonly name: string;
  readonly version: string;
  readonly bin?: Readonly<Record<string, string>>;
  readonly exports: Readonly<Record<string, string | Readonly<Record<string, string>>>>;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly engines: Readonly<Record<string, string>>;
  readonly os?: readonly string[];
}

const NAMES = ['cli', 'controller', 'sdk', 'server', 'shared', 'store', 'worker'].map(
  (name) => `@drover/${name}`,
);

/** Far above what anything takes here; a busy machine waits for the registry first. */
const TIMEOUT_MS = 120_000;

/** How npm says that it reached no registry: an empty folder can not be filled then. */
const UNREACHABLE =
  /\b(ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ENETUNREACH|ETIMEDOUT|ERR_SOCKET_TIMEOUT|SELF_SIGNED_CERT_IN_CHAIN|E50[234])\b/;
/** A registry that is away for a moment is asked again. */
const INSTALL_TRIES = 3;

let user: UserFolder;
let packed: Map<string, PackedPackage>;
let installing: Promise<Ended>;

beforeAll(async () => {
  user = await UserFolder.make();
  const tarballs = join(user.temporary, 'tarballs');
  // What `npm run types` is for; the types of the tarballs are checked below, by those who use them.
  const packages = await packPackages(tarballs, { isChecked: true });
  packed = new Map(packages.map((one) => [one.name, one]));
  // Meanwhile the tarballs are looked at: npm waits for the network.
  const paths = packages.map(({ tarball }) => tarball);
  const { version } = await manifestAt(join(ROOT, 'node_modules', '@types', 'node'));
  const flags = ['--no-audit', '--no-fund', '--ignore-scripts', '--loglevel=error'];
  installing = install([...flags, ...paths, `@types/node@${version}`]);
}, TIMEOUT_MS);

afterAll(async () => {
  await installing;
  await user.remove();
}, TIMEOUT_MS);

test('every package that is not private is one of those that are documented', () => {
  expect([...packed.keys()].toSorted()).toEqual(NAMES);
});

describe.each(NAMES)('%s', (name) => {
  let folder: string;
  let files: string[];
  let manifest: Manifest;

  beforeAll(async () => {
    folder = join(user.temporary, 'unpacked', name);
    await mkdir(folder, { recursive: true });
    await user.run('tar', ['-xzf', packedOf(name).tarball, '-C', folder, '--strip-components=1']);
    files = await filesBelow(folder);
    manifest = await manifestAt(folder);
  });

  test('holds what it needs, and neither tests nor traces of the build', () => {
    expect(files).toContain('LICENSE');
    expect(files).toContain('README.md');
    expect(files).toContain('dist/index.js');
    expect(files).toContain('dist/index.d.ts');
    const strange = files.filter(
      (file) => !/^(bin|dist|lua|native|prebuilt|src|[^/]+$)/.test(file),
    );
    expect(strange).toEqual([]);
    const unwanted = /(^|\/)(test|node_modules)\/|\.test\.|tsbuildinfo|tsconfig|\.log$/;
    expect(files.filter((file) => unwanted.test(file))).toEqual([]);
  });

  test('exports files that exist, for every name with its types', () => {
    for (const [path, target] of Object.entries(manifest.exports)) {
      if (path === './package.json') continue;
      const { types = '', default: code = '' } = target as Readonly<Record<string, string>>;
      expect(types).toMatch(/^\.\/dist\/.*\.d\.ts$/);
      expect(files).toContain(normalize(types));
      expect(code).toMatch(/^\.\/dist\/.*\.js$/);
      expect(files).toContain(normalize(code));
    }
  });

  test('says which versions, systems and Node it needs', () => {
    for (const [dependency, range] of Object.entries(manifest.dependencies ?? {})) {
      // Those of Drover are made for each other; of others a fix may come later, or be shared.
      const isOurs = dependency.startsWith('@drover/');
      expect(range, dependency).toMatch(isOurs ? /^\d+\.\d+\.\d+$/ : /^[~^]\d+\.\d+\.\d+$/);
    }
    expect(manifest.engines).toEqual({ node: `>=${NODE_MIN.join('.')}` });
    // The types and their checks are pure: a browser on Windows may use them.
    expect(manifest.os).toEqual(name === '@drover/shared' ? undefined : ['linux', 'darwin']);
  });

  test('has maps that lead to sources in the package, and no path of the machine', async () => {
    const known = new Set(files);
    const problems: string[] = [];
    for (const file of files) {
      const text = await readFile(join(folder, file), 'latin1');
      for (const path of [`${ROOT}/`, `${homedir()}/`, join(tmpdir(), 'drover-')]) {
        if (text.includes(path)) problems.push(`${file} has ${path}`);
      }
      if (!file.endsWith('.map')) continue;
      for (const source of (JSON.parse(text) as { sources: string[] }).sources) {
        const path = join(dirname(file), source);
        if (!known.has(path)) problems.push(`${file} leads to ${path}, which is not there`);
      }
    }
    expect(problems).toEqual([]);
  });

  test('has commands that can be executed', async () => {
    for (const path of Object.values(manifest.bin ?? {})) {
      const { mode } = await stat(join(folder, path));
      expect(mode & 0o111).toBe(0o111);
      expect(await readFile(join(folder, path), 'utf8')).toMatch(/^#!\/usr\/bin\/env node\n/);
    }
  });

  test('pleases publint', async () => {
    const bytes = await readFile(packedOf(name).tarball);
    const tarball = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength);
    const { messages, pkg } = await publint({ pack: { tarball }, strict: true });
    expect(messages.map((message) => formatMessage(message, pkg))).toEqual([]);
  });

  test(
    'has types that resolve for every kind of ESM project',
    async () => {
      const attw = join(ROOT, 'node_modules', '.bin', 'attw');
      const args = [packedOf(name).tarball, '--profile', 'esm-only', '--no-emoji', '--no-color'];
      const { code, stdout } = await user.run(attw, args);
      expect(code, stdout).toBe(0);
    },
    TIMEOUT_MS,
  );
});

test('the worker brings its process helper: as source, and where a compiler was found built', async () => {
  const folder = join(user.temporary, 'unpacked', '@drover/worker');
  const files = await filesBelow(folder);
  for (const source of await readdir(join(ROOT, 'packages/worker/native'))) {
    expect(files).toContain(`native/${source}`);
  }
  const built = files.filter((file) => file.startsWith('prebuilt/'));
  for (const file of built) {
    expect(file).toMatch(/^prebuilt\/linux-(x64|arm64)\/process-helper$/);
    expect((await stat(join(folder, file))).mode & 0o111).toBe(0o111);
  }
});

describe('in an empty folder', () => {
  let redis: TestRedis;

  beforeAll(async () => {
    redis = await startRedis();
  });

  afterAll(async () => {
    await redis.stop();
  });

  test(
    'npm installs the tarballs',
    async ({ skip }) => {
      await installed(skip);
      const lock = await readFile(join(user.dir, 'package-lock.json'), 'utf8');
      const { packages } = JSON.parse(lock) as { packages: Record<string, { resolved?: string }> };
      const ours = Object.entries(packages).filter(([path]) => path.includes('@drover/'));
      // None came from elsewhere, none twice.
      expect(ours.map(([path]) => path).toSorted()).toEqual(
        NAMES.map((name) => `node_modules/${name}`),
      );
      for (const [, { resolved }] of ours) expect(resolved).toMatch(/^file:.*\.tgz$/);
    },
    TIMEOUT_MS,
  );

  test(
    'npx drover --version works without the sources',
    async ({ skip }) => {
      await installed(skip);
      for (const name of NAMES) {
        await rm(join(user.dir, 'node_modules', name, 'src'), { recursive: true });
      }
      const { version } = await manifestAt(join(ROOT, 'packages', 'cli'));
      const ended = await user.run('npx', ['--no-install', 'drover', '--version']);
      expect(ended).toMatchObject({ code: 0, stdout: `${version}\n` });
    },
    TIMEOUT_MS,
  );

  test(
    'an old Node is told so, by the command and by the SDK',
    async ({ skip }) => {
      await installed(skip);
      const old = await oldNode();
      if (old === null) return skip('there is no Node older than 22.18 on PATH');
      const problem = hostProblem(process.platform, old.version);
      const command = await user.run(old.path, ['node_modules/.bin/drover', 'get', 'jobs']);
      expect(command).toEqual({ code: 1, stdout: '', stderr: `${problem}\n` });
      const script = `
      import { createController, createWorker, Drover } from '@drover/sdk';
      for (const call of [() => new Drover(), () => createController({}), () => createWorker({})]) {
        try { call(); } catch (error) { console.log(error.message); }
      }
    `;
      const sdk = await user.run(old.path, ['--input-type=module', '--eval', script]);
      expect(sdk).toEqual({ code: 0, stdout: `${problem}\n`.repeat(3), stderr: '' });
    },
    TIMEOUT_MS,
  );

  test(
    'the examples are right by their types: of every README, and in examples/',
    async ({ skip }) => {
      await installed(skip);
      const readmes = NAMES.map((name) => join(user.dir, 'node_modules', name, 'README.md'));
      for (const [place, readme] of [join(ROOT, 'README.md'), ...readmes].entries()) {
        for (const [number, code] of (await codeOf(readme)).entries()) {
          await writeFile(join(user.dir, `readme${place}-${number}.ts`), code);
        }
      }
      await cp(join(ROOT, 'examples'), join(user.dir, 'examples'), { recursive: true });
      // As the README says: the example waits at its top level.
      const type = await user.run('npm', ['pkg', 'set', 'type=module']);
      expect(type.code).toBe(0);
      const compilerOptions = {
        target: 'es2023',
        module: 'nodenext',
        noEmit: true,
        strict: true,
        exactOptionalPropertyTypes: true,
        noUncheckedIndexedAccess: true,
        skipLibCheck: false,
      };
      const config = { compilerOptions, include: ['*.ts', 'examples'] };
      await writeFile(join(user.dir, 'tsconfig.json'), JSON.stringify(config));
      const tsc = join(ROOT, 'node_modules', '.bin', 'tsc');
      expect(await user.run(tsc, ['--project', '.'])).toEqual({ code: 0, stdout: '', stderr: '' });
    },
    TIMEOUT_MS,
  );

  test(
    'the example of the README does what it says',
    async ({ skip }) => {
      await installed(skip);
      const example = user.start('node', ['readme0-0.ts'], { DROVER_REDIS_URL: redis.url });
      expect(await example.exited, example.output()).toEqual({ code: 0, signal: null });
      expect(example.output('stdout')).toBe('completed: 0-4\n0\n1\n4\n9\n16\n');
    },
    TIMEOUT_MS,
  );

  test(
    'drover dev runs handlers, programs and items',
    async ({ skip }) => {
      await installed(skip);
      const drover = join(user.dir, 'node_modules', '.bin', 'drover');
      const handlers = ['--handlers', 'examples/handlers.ts'];
      const dev = user.start(drover, ['dev', ...handlers, '--log-level', 'warn']);
      try {
        await dev.waitForLine(/drover dev is ready/, 30_000);
        const applied = await user.run(drover, ['apply', '-f', 'examples/handler.yaml']);
        expect(applied).toMatchObject({ code: 0, stderr: '' });
        const waited = await user.run(drover, ['wait', 'job/primes', '--timeout', '30s']);
        expect(waited).toMatchObject({ code: 0, stderr: '' });
        const ran = await user.run(drover, ['run', '--', 'echo', 'hello']);
        expect(ran).toMatchObject({ code: 0, stdout: 'hello\n' });
        // Its pods find the command `drover` of this installation.
        const lines = ['--items', 'examples/handler.yaml', '--lines'];
        const items = await user.run(drover, ['run', ...lines, '--', 'cat']);
        expect(items).toMatchObject({ code: 0 });
        expect(items.stdout).toMatch(/^kind: Job$/m);
      } finally {
        await dev.kill('SIGTERM');
      }
      expect(await dev.exited).toEqual({ code: 0, signal: null });
    },
    TIMEOUT_MS,
  );
});

/** A Node on PATH that is too old for Drover. */
async function oldNode(): Promise<{ path: string; version: string } | null> {
  for (const folder of (process.env['PATH'] ?? '').split(delimiter)) {
    const path = join(folder, 'node');
    const { code, stdout } = await user.run(path, ['--version']);
    const version = stdout.trim().slice(1);
    if (code === 0 && !isNodeNewEnough(version)) return { path, version };
  }
  return null;
}

/** The TypeScript of a README, block by block. */
async function codeOf(readme: string): Promise<string[]> {
  const text = await readFile(readme, 'utf8');
  return [...text.matchAll(/```ts\n([\s\S]*?)```/g)].map(([, code = '']) => code);
}

function packedOf(name: string): PackedPackage {
  const found = packed.get(name);
  if (found === undefined) throw new Error(`${name} was not packed`);
  return found;
}

async function manifestAt(folder: string): Promise<Manifest> {
  return JSON.parse(await readFile(join(folder, 'package.json'), 'utf8')) as Manifest;
}

async function install(args: readonly string[]): Promise<Ended> {
  for (let tries = 1; ; tries++) {
    const ended = await user.run('npm', ['install', ...args]);
    if (ended.code === 0 || tries === INSTALL_TRIES || !UNREACHABLE.test(ended.stderr))
      return ended;
  }
}

/** Waits for `npm install`; skips the test where there is no registry to install from. */
async function installed(skip: (note: string) => void): Promise<void> {
  const { code, stderr } = await installing;
  if (code !== 0 && UNREACHABLE.test(stderr)) skip('npm reaches no registry');
  expect(code, stderr).toBe(0);
}
