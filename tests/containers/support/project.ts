import { randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { guardFolder, waitFor } from '@drover/testkit';

import { docker, type Ended, run } from '../../../scripts/containers/docker.ts';
import { type Containers, ROOT } from './containers.ts';

/** What `drover get job -o json` prints, as far as tests look. */
export interface SeenJob {
  readonly status: {
    readonly succeeded?: number;
    readonly failed?: number;
    readonly active?: number;
    readonly completedIndexes?: string;
    readonly conditions?: readonly { readonly type: string; readonly status: string }[];
  };
}

/** What `drover get pods -o json` prints, as far as tests look. */
export interface SeenPod {
  readonly metadata: { readonly name: string; readonly annotations?: Record<string, string> };
  readonly spec: { readonly nodeName?: string };
  readonly status: {
    readonly phase: string;
    readonly conditions?: readonly { readonly type: string; readonly reason?: string }[];
  };
}

/** docker-compose.yml, running under a name of its own. */
export class Project {
  /** Every container and network of it has this in its name. */
  readonly name = `drover-test-${randomBytes(4).toString('hex')}`;
  readonly #command: readonly string[];
  readonly #env: NodeJS.ProcessEnv;
  readonly #files: string[] = [];
  /** A temporary folder for files that containers are given. */
  readonly folder: string;

  private constructor(containers: Containers, folder: string) {
    const { compose, env } = containers;
    this.#command = compose ?? [];
    this.#env = {
      ...process.env,
      ...env,
      REDIS_PASSWORD_FILE: join(folder, 'password'),
      DROVER_SERVER_PUBLISH: '127.0.0.1:0',
    };
    this.folder = folder;
    this.use('docker-compose.yml');
  }

  /** Prepares it; nothing runs yet. Without a password there is a directory in place of its file. */
  static async make(containers: Containers, password: string | null): Promise<Project> {
    const folder = await mkdtemp(join(tmpdir(), 'drover-compose-'));
    guardFolder(folder);
    const path = join(folder, 'password');
    // As docs/containers.md says: the folder keeps others out, the file can be read by containers.
    await (password === null ? mkdir(path) : writeFile(path, `${password}\n`, { mode: 0o644 }));
    return new Project(containers, folder);
  }

  /** Adds a file for compose, a path from the root of the checkout. */
  use(file: string): void {
    this.#files.push('--file', join(ROOT, file));
  }

  /** Runs a command of compose. */
  compose(args: readonly string[], input?: string): Promise<Ended> {
    const [program = '', ...command] = this.#command;
    const all = [...command, '--project-name', this.name, ...this.#files, ...args];
    return run(program, all, {
      cwd: ROOT,
      env: this.#env,
      timeoutMs: 240_000,
      ...(input === undefined ? {} : { input }),
    });
  }

  /** Builds the image of a service. */
  async build(service: string): Promise<void> {
    const ended = await this.compose(['build', service]);
    if (ended.code !== 0) throw new Error(`build failed: ${ended.stdout}${ended.stderr}`);
  }

  /** Starts what is missing, with so many workers. */
  async up(workers: number): Promise<void> {
    const flags = ['--detach', '--no-build', '--scale', `worker=${workers}`];
    const ended = await this.compose(['up', ...flags]);
    if (ended.code !== 0) throw new Error(`up failed: ${ended.stdout}${ended.stderr}`);
  }

  /** Waits until so many containers run and all of them are healthy. */
  async healthy(count: number): Promise<void> {
    let seen = '';
    const isHealthy = async (): Promise<boolean> => {
      const args = ['ps', '--filter', `label=com.docker.compose.project=${this.name}`];
      seen = await docker([...args, '--format', '{{.Names}} {{.Status}}']);
      const lines = seen.split('\n').filter((line) => line !== '');
      return lines.length === count && lines.every((line) => line.includes('(healthy)'));
    };
    await waitFor(isHealthy, { timeoutMs: 120_000, intervalMs: 500, describe: () => seen });
  }

  /** Ids of the containers of a service that run. */
  async containers(service: string): Promise<string[]> {
    const filters = [`project=${this.name}`, `service=${service}`].flatMap((filter) => [
      '--filter',
      `label=com.docker.compose.${filter}`,
    ]);
    const ids = await docker(['ps', '--quiet', '--no-trunc', ...filters]);
    return ids.split('\n').filter((id) => id !== '');
  }

  /** Runs `drover` beside the controller; throws when it fails. */
  async drover(args: readonly string[], input?: string): Promise<string> {
    const ended = await this.compose(['exec', '-T', 'controller', 'drover', ...args], input);
    if (ended.code === 0) return ended.stdout;
    throw new Error(`drover ${args.join(' ')} ended with ${ended.code}: ${ended.stderr}`);
  }

  /** Creates a Job of programs; each of its pods runs the shell script. */
  async submit(name: string, script: string, spec: object): Promise<void> {
    const containers = [{ name: 'main', command: ['sh', '-c', script] }];
    const manifest = {
      apiVersion: 'batch/v1',
      kind: 'Job',
      metadata: { name },
      spec: { ...spec, template: { spec: { restartPolicy: 'Never', containers } } },
    };
    await this.drover(['apply', '-f', '-'], JSON.stringify(manifest));
  }

  /** Reads a Job. */
  async job(name: string): Promise<SeenJob> {
    return JSON.parse(await this.drover(['get', `job/${name}`, '-o', 'json'])) as SeenJob;
  }

  /** Reads the pods of a Job. */
  async pods(name: string): Promise<SeenPod[]> {
    const text = await this.drover(['get', 'pods', '-l', `job-name=${name}`, '-o', 'json']);
    return (JSON.parse(text) as { items: SeenPod[] }).items;
  }

  /** Waits until a Job is Complete. */
  async complete(name: string): Promise<void> {
    await this.drover(['wait', `job/${name}`, '--for', 'complete', '--timeout', '90s']);
  }

  /** Ends everything and removes what it had. */
  async down(): Promise<void> {
    await this.compose(['down', '--volumes', '--timeout', '1']);
    await rm(this.folder, { recursive: true, force: true });
  }
}
