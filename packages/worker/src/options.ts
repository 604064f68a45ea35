import type { Logger } from 'pino';

import type { LaneFigures, WorkerFigures } from './figures.ts';
import type { HandlerDefinition } from './handler/defineHandler.ts';
import type { Connection } from './link.ts';
import type { CrashLoopPolicy } from './process/crashLoop.ts';
import type { HelperChoice } from './process/helperProgram.ts';
import type { SandboxOptions } from './process/sandbox.ts';
import type { RuntimeName } from './runtime.ts';

/** Options of {@link createWorker}. */
export interface WorkerOptions {
  /** Redis: a URL, ioredis' options, or a connection, which is copied and stays the caller's. */
  readonly connection: Connection;
  /** Prefix of all keys. Default `drover`. */
  readonly prefix?: string | undefined;
  /** Name of the node. Default: the host's name and five random characters. */
  readonly name?: string | undefined;
  /** Pool the worker belongs to; pods choose one by the nodeSelector `drover.dev/pool`. Default `default`. */
  readonly pool?: string | undefined;
  /** What it runs. Default: `handler` if there are handlers, else `process`. */
  readonly runtimes?: readonly RuntimeName[] | undefined;
  /** Functions for the runtime `handler`. */
  readonly handlers?: readonly HandlerDefinition[] | undefined;
  /** Pods at a time in each runtime. Default 50 for `handler`, the number of CPUs for `process`. */
  readonly maxPods?: number | undefined;
  /** CPUs that its pods may request together, as a Kubernetes quantity. Default: those that this process may use. */
  readonly cpu?: string | number | undefined;
  /** Memory that they may, in the same way. Default: that of the machine, or of its container. */
  readonly memory?: string | number | undefined;
  /** Threads for handlers with `isolation: 'thread'`: so many of their pods run at a time. Default: the number of CPUs. */
  readonly threads?: number | undefined;
  /**
   * Most memory of such a thread, heap and buffers, MiB, at least 32; a pod that takes more fails as OOMKilled. Default: three
   * quarters of the machine's memory shared among the threads, at most 4096.
   */
  readonly threadMemoryMiB?: number | undefined;
  /** How long a slot stays with its Job while other Jobs wait, ms. Default 100. */
  readonly quantumMs?: number | undefined;
  /**
   * Longest time that `close` lets pods go on, ms. Each pod has its own grace period within it.
   * Default 30000.
   */
  readonly drainTimeoutMs?: number | undefined;
  /** Waits between the restarts of a failing program (restartPolicy OnFailure). Default as in Kubernetes: 10 s to 5 min. */
  readonly crashLoop?: Partial<CrashLoopPolicy> | undefined;
  /** Bytes kept of a pod's log. Default 256 KiB. */
  readonly logTailBytes?: number | undefined;
  /** Where emptyDir volumes lie, and how they are measured. */
  readonly volumes?:
    | {
        /** Default: the directory for temporary files (TMPDIR). */
        readonly directory?: string | undefined;
        /** Time between two looks at how much is in those with a limit, ms. Default 10000, as kubelet's. */
        readonly checkMs?: number | undefined;
      }
    | undefined;
  /**
   * Words that start the command `drover`, of Drover's own: pods that take items of a work queue find it in their PATH. Default: they do not.
   */
  readonly launcher?: readonly string[] | undefined;
  /**
   * The key file of the installation, for Secrets. Default: what the environment variable DROVER_SECRET_KEY_FILE says, else
   * there is none, and pods that need a Secret wait.
   */
  readonly secretKeyFile?: string | undefined;
  /**
   * User that all programs run as, and no pod may ask for another: a name, its number, or numbers of user and group as in
   * `1000:1000`. Takes a worker that runs as root. Default: the worker's user, or whom a pod asks for.
   */
  readonly runAs?: string | undefined;
  /** Keeps programs apart from the machine and from each other, see docs/security.md. Default: they see what this process does. */
  readonly sandbox?: SandboxOptions | undefined;
  /** Directory where programs without workingDir start. Default: that of this process; with `runAs` the user's home. */
  readonly workingDir?: string | undefined;
  /**
   * What starts the programs: `native` is faster and leaves no stray, `auto` is the native one where it works, else that
   * in JavaScript. Default: what the environment variable DROVER_PROCESS_HELPER says, else `auto`.
   */
  readonly processHelper?: HelperChoice | undefined;
  /** Default: none. */
  readonly logger?: Logger | undefined;
}

/** Options of a worker's `close`. */
export interface CloseOptions {
  /** Ends at once; pods are not waited for. */
  readonly force?: boolean;
  /** Lets the pods that run take as long as they need: for a worker that another one replaces. A second call ends that. */
  readonly waitForPods?: boolean;
}

/** A worker: a node that runs pods. */
export interface DroverWorker {
  /** Name of the node. */
  readonly name: string;
  /** What it did so far. */
  readonly figures: WorkerFigures;
  /** How the lanes of its runtimes are used right now; none before it takes slots. */
  readonly lanes: readonly LaneFigures[];
  /** Why it takes no pods right now, for people; null = it does, as far as it knows. One that is cordoned does. */
  readonly hindrance: string | null;
  /** Runs pods until `close`; resolves when everything is closed. Rejects when it can't begin. */
  run(): Promise<void>;
  /** Resolves when slots are being taken: after this a Job that fits is run. */
  ready(): Promise<void>;
  /**
   * Drains: takes no new slots, lets the pods that run end within their grace period, stops and hands over the
   * rest, and resolves when all is closed. A second call, or `force`, does not wait for pods.
   */
  close(options?: CloseOptions): Promise<void>;
}
