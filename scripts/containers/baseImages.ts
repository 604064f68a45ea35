// The images that Drover's are made from: found, pulled, or made from the packages of Debian and npm
// where no image can be pulled.
import { createHash } from 'node:crypto';
import { cp, mkdtemp, readFile, realpath, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { findOnPath } from '../lib/toolchain.js';
import { docker, DockerError, lastLines, run } from './docker.ts';

/** Names of the images, as docker-compose.yml takes them from the environment. */
export interface BaseImages {
  /** Has Node and a user `node`, 1000. */
  readonly DROVER_NODE_IMAGE: string;
  /** Has a Redis server, redis-cli and a user `redis`. */
  readonly DROVER_REDIS_IMAGE: string;
}

/** The images that docker-compose.yml and the Dockerfile name. */
export const OFFICIAL: BaseImages = {
  DROVER_NODE_IMAGE: 'node:24-bookworm-slim',
  DROVER_REDIS_IMAGE: 'redis:8',
};

/** Where no registry is reached that is mostly known at once; a slow one gets this long. */
const PULL_TIMEOUT_MS = 180_000;

const PREFIX = 'localhost/drover';

/**
 * Finds the images that the environment names, else the official ones; those that the engine lacks
 * are pulled.
 *
 * @throws DockerError when they can not be pulled.
 */
export async function findBaseImages(): Promise<BaseImages> {
  const names = { ...OFFICIAL };
  for (const variable of ['DROVER_NODE_IMAGE', 'DROVER_REDIS_IMAGE'] as const) {
    const name = process.env[variable] || OFFICIAL[variable];
    if (!(await hasImage(name))) await docker(['pull', name], { timeoutMs: PULL_TIMEOUT_MS });
    names[variable] = name;
  }
  return names;
}

/**
 * Makes images that do for the official ones in tests, from the packages of this Debian, with the
 * Node that runs this, its npm, and their settings: registry and certificates.
 *
 * @throws DockerError
 */
export async function makeBaseImages(): Promise<BaseImages> {
  const folder = await mkdtemp(join(tmpdir(), 'drover-images-'));
  try {
    const base = await makeDebian(folder);
    const [node, redis] = await Promise.all([makeNode(folder, base), makeRedis(base)]);
    return { DROVER_NODE_IMAGE: node, DROVER_REDIS_IMAGE: redis };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Whether this machine has what makeBaseImages() takes, in words; null when it has. */
export function whyNotMade(): string | null {
  if (findOnPath('mmdebstrap') !== null) return null;
  return 'making them takes mmdebstrap, which is a package of Debian and Ubuntu';
}

async function hasImage(name: string): Promise<boolean> {
  const { code } = await run('docker', ['image', 'inspect', name]);
  return code === 0;
}

/** A small Debian, of the same release as this one. */
async function makeDebian(folder: string): Promise<string> {
  const { site, codename } = await debianSource();
  const name = `${PREFIX}/base:${codename}`;
  if (await hasImage(name)) return name;
  const tarball = join(folder, 'base.tar');
  const args = ['--variant=minbase', '--include=ca-certificates', '--dpkgopt=force-unsafe-io'];
  const made = await run('mmdebstrap', [...args, codename, tarball, site]);
  if (made.code !== 0) throw new DockerError(`mmdebstrap failed: ${lastLines(made.stderr)}`);
  await docker(['import', tarball, name]);
  await rm(tarball);
  return name;
}

/** Where this machine's own packages come from. */
async function debianSource(): Promise<{ site: string; codename: string }> {
  const release = await readFile('/etc/os-release', 'utf8');
  const codename = /^VERSION_CODENAME=(\S+)$/m.exec(release)?.[1] ?? '';
  const format = '$(SITE) $(CODENAME) $(COMPONENT)';
  const { stdout } = await run('apt-get', ['indextargets', '--format', format]);
  for (const line of stdout.split('\n')) {
    const [site = '', name, component] = line.split(' ');
    if (name === codename && component === 'main') return { site, codename };
  }
  throw new DockerError('apt-get does not say where the packages of this system come from');
}

async function makeNode(folder: string, base: string): Promise<string> {
  const context = join(folder, 'node');
  const npm = findOnPath('npm');
  if (npm === null) throw new DockerError('npm is not on PATH');
  const settings = await npmSettings();
  const version = `${process.version}-${createHash('sha256').update(settings.join()).digest('hex').slice(0, 8)}`;
  const name = `${PREFIX}/node:${version}`;
  if (await hasImage(name)) return name;
  await cp(await realpath(process.execPath), join(context, 'node'));
  // PATH leads to npm/bin/npm-cli.js.
  await cp(dirname(dirname(await realpath(npm))), join(context, 'npm'), { recursive: true });
  const [npmrc, certificates] = settings;
  await writeFile(join(context, 'npmrc'), npmrc);
  await writeFile(join(context, 'extra.crt'), certificates);
  await docker(['build', '--quiet', '--network', 'none', '--tag', name, '--file', '-', context], {
    input: nodeDockerfile(base, certificates !== ''),
  });
  return name;
}

function nodeDockerfile(base: string, hasCertificates: boolean): string {
  return `
FROM ${base}
COPY node /usr/local/bin/node
COPY npm /usr/local/lib/node_modules/npm
COPY npmrc /root/.npmrc
COPY extra.crt /usr/local/share/extra.crt
${hasCertificates ? 'ENV NODE_EXTRA_CA_CERTS=/usr/local/share/extra.crt' : ''}
RUN ln -s ../lib/node_modules/npm/bin/npm-cli.js /usr/local/bin/npm \\
  && groupadd --gid 1000 node \\
  && useradd --uid 1000 --gid node --shell /bin/bash --create-home node \\
  && npm --version
`;
}

/** The registry of this machine and what it needs to be believed: an npmrc and certificates. */
async function npmSettings(): Promise<[npmrc: string, certificates: string]> {
  const { stdout } = await run('npm', ['config', 'get', 'registry']);
  const cafile = (await run('npm', ['config', 'get', 'cafile'])).stdout.trim();
  const path = process.env['NODE_EXTRA_CA_CERTS'] || (cafile === 'null' ? '' : cafile);
  const certificates = path === '' ? '' : await readFile(path, 'utf8');
  const npmrc = `registry=${stdout.trim()}\n`;
  if (certificates === '') return [npmrc, certificates];
  return [`${npmrc}cafile=/usr/local/share/extra.crt\n`, certificates];
}

async function makeRedis(base: string): Promise<string> {
  const name = `${PREFIX}/redis:${base.split(':')[1]}`;
  if (await hasImage(name)) return name;
  // Of the official image: the working directory is that of the data, and the server is open.
  const dockerfile = `
FROM ${base}
RUN apt-get update && apt-get install --yes --no-install-recommends redis-server
RUN mkdir /data && chown redis:redis /data
WORKDIR /data
CMD ["redis-server", "--bind", "*", "--protected-mode", "no"]
`;
  await docker(['build', '--quiet', '--network', 'host', '--tag', name, '-'], {
    input: dockerfile,
  });
  return name;
}
