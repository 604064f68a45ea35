/**
 * Looks at what the lock file has us install: where it comes from, that it can not be changed unseen, what it
 * would run when it is installed, and its licence. With `--advisories` it also asks the registry what is
 * known against it; where that does not answer it says so, and passes.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';

import { parse } from 'yaml';

import { PNPM, ROOT } from './lib/toolchain.js';

/** What the packages that are published may depend on, so that whoever installs Drover gets nothing else. */
const LICENCES = new Set([
  '0BSD',
  'Apache-2.0',
  'BSD-2-Clause',
  'BSD-3-Clause',
  'BlueOak-1.0.0',
  'ISC',
  'MIT',
]);
/** Further ones of tools. */
const TOOL_LICENCES = new Set([...LICENCES, 'MPL-2.0', 'PSF-2.0', 'Python-2.0', 'Unlicense']);
const INSTALL_SCRIPTS = ['preinstall', 'install', 'postinstall'] as const;
const ADVISORIES_TIMEOUT_MS = 60_000;

/** What of pnpm's lock file is looked at. */
export interface Lockfile {
  readonly importers: Readonly<Record<string, { readonly dependencies?: Dependencies }>>;
  readonly packages: Readonly<
    Record<string, { readonly resolution?: Readonly<Record<string, unknown>> }>
  >;
  readonly snapshots: Readonly<
    Record<
      string,
      {
        readonly dependencies?: Readonly<Record<string, string>>;
        readonly optionalDependencies?: Readonly<Record<string, string>>;
      }
    >
  >;
}

type Dependencies = Readonly<Record<string, { readonly version: string }>>;

/** What is installed, as far as it is looked at. */
export interface Manifest {
  readonly name: string;
  readonly version: string;
  readonly licence: string;
  readonly installScripts: readonly string[];
}

/** Names and versions of all that the published packages bring along. */
export function runtimePackages(lock: Lockfile, published: readonly string[]): Set<string> {
  const found = new Set<string>();
  const wanted = published.flatMap((folder) =>
    Object.entries(lock.importers[folder]?.dependencies ?? {}).map(
      ([name, { version }]) => `${name}@${version}`,
    ),
  );
  for (const key of wanted) {
    // A package of ours is looked at by itself.
    if (key.includes('@link:') || found.has(key)) continue;
    found.add(key);
    const { dependencies = {}, optionalDependencies = {} } = lock.snapshots[key] ?? {};
    for (const [name, version] of Object.entries({ ...dependencies, ...optionalDependencies })) {
      wanted.push(`${name}@${version}`);
    }
  }
  return new Set([...found].map(withoutPeers));
}

/** What is wrong, in words. */
export function auditProblems(
  lock: Lockfile,
  installed: readonly Manifest[],
  runtime: ReadonlySet<string>,
  knownScripts: ReadonlySet<string>,
): string[] {
  const problems: string[] = [];
  for (const [key, { resolution = {} }] of Object.entries(lock.packages)) {
    const { integrity, ...elsewhere } = resolution;
    if (typeof integrity !== 'string' || !integrity.startsWith('sha512-')) {
      problems.push(`${key}: the lock file has no SHA-512 of it`);
    }
    if (Object.keys(elsewhere).length > 0) {
      problems.push(`${key}: does not come from the registry: ${JSON.stringify(elsewhere)}`);
    }
  }
  for (const { name, version, licence, installScripts } of installed) {
    const isRuntime = runtime.has(`${name}@${version}`);
    if (installScripts.length > 0 && !knownScripts.has(name)) {
      problems.push(
        `${name}@${version}: has ${installScripts.join(', ')}, and allowBuilds of pnpm-workspace.yaml says nothing of it`,
      );
    }
    const allowed = isRuntime ? LICENCES : TOOL_LICENCES;
    const words = licence.replaceAll(/[()]/g, '').split(/ OR /);
    if (!words.some((word) => allowed.has(word))) {
      const who = isRuntime ? 'what is published brings it along' : 'a tool';
      problems.push(`${name}@${version}: licence ${licence || 'not said'} (${who})`);
    }
  }
  return problems;
}

/** `a@1.0.0(b@2.0.0)` is what pnpm calls an `a` that sees this `b`. */
function withoutPeers(key: string): string {
  return key.replace(/\(.*$/, '');
}

function readInstalled(): Manifest[] {
  const store = join(ROOT, 'node_modules/.pnpm');
  const manifests = new Map<string, Manifest>();
  for (const entry of readdirSync(store)) {
    const modules = join(store, entry, 'node_modules');
    if (entry === 'node_modules' || !existsSync(modules)) continue;
    for (const name of readdirSync(modules).flatMap((one) =>
      one.startsWith('@') ? readdirSync(join(modules, one)).map((sub) => `${one}/${sub}`) : [one],
    )) {
      // Links lead to others in the store.
      const path = join(modules, name, 'package.json');
      if (!existsSync(path) || !statSync(path).isFile()) continue;
      const found = readManifest(path);
      manifests.set(`${found.name}@${found.version}`, found);
    }
  }
  return [...manifests.values()];
}

function readManifest(path: string): Manifest {
  const { name, version, license, licenses, scripts } = JSON.parse(readFileSync(path, 'utf8')) as {
    name: string;
    version: string;
    license?: string | { type: string };
    licenses?: { type: string }[];
    scripts?: Record<string, string>;
  };
  const licence = typeof license === 'object' ? license.type : license;
  return {
    name,
    version,
    licence: licence ?? licenses?.map(({ type }) => type).join(' OR ') ?? '',
    installScripts: INSTALL_SCRIPTS.filter((script) => scripts?.[script] !== undefined),
  };
}

/** Folders of the packages that are published. */
function publishedFolders(): string[] {
  return readdirSync(join(ROOT, 'packages'))
    .map((name) => `packages/${name}`)
    .filter((folder) => {
      const path = join(ROOT, folder, 'package.json');
      return (JSON.parse(readFileSync(path, 'utf8')) as { private?: boolean }).private !== true;
    });
}

/** Asks for what is known against the packages. @returns Whether there is something of weight. */
function hasAdvisories(): boolean {
  const { status, stdout, stderr } = spawnSync(PNPM, ['audit', '--audit-level', 'high'], {
    cwd: ROOT,
    encoding: 'utf8',
    timeout: ADVISORIES_TIMEOUT_MS,
  });
  const said = `${stdout}${stderr}`;
  if (status === 0) return false;
  if (/vulnerabilit/i.test(said)) {
    process.stderr.write(said);
    return true;
  }
  const why = /ERR_PNPM_\w+|responded with \d+/.exec(said)?.[0] ?? 'no answer';
  process.stdout.write(`audit: the registry says nothing of advisories here (${why})\n`);
  return false;
}

if (import.meta.main) {
  const lock = parse(readFileSync(join(ROOT, 'pnpm-lock.yaml'), 'utf8')) as Lockfile;
  const workspace = parse(readFileSync(join(ROOT, 'pnpm-workspace.yaml'), 'utf8')) as {
    allowBuilds: Record<string, boolean>;
  };
  const installed = readInstalled();
  const runtime = runtimePackages(lock, publishedFolders());
  const known = new Set(Object.keys(workspace.allowBuilds));
  const problems = auditProblems(lock, installed, runtime, known);
  for (const problem of problems) process.stderr.write(`audit: ${problem}\n`);
  const isBad = process.argv.includes('--advisories') && hasAdvisories();
  process.stdout.write(
    `audit: ${Object.keys(lock.packages).length} packages, ${runtime.size} of them at run time; ${problems.length} problems\n`,
  );
  if (process.argv.includes('--list'))
    process.stdout.write(`${[...runtime].toSorted().join('\n')}\n`);
  if (problems.length > 0 || isBad) process.exitCode = 1;
}
