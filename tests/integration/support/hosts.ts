import { type ChildProcess, execFile, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { promisify } from 'node:util';

import { guardProcess } from '@drover/testkit';

const runFile = promisify(execFile);

/** What this machine lets hosts do: null, or in words why not. */
export interface HostAbilities {
  /** To be there, and to lose what comes to them. */
  readonly hosts: string | null;
  /** To get packets late. */
  readonly delay: string | null;
}

/** Looks what hosts can be made to do here. */
export function hostAbilities(): HostAbilities {
  const hosts =
    whyNotRun('network namespaces', ['ip', 'link', 'add', 'type', 'veth']) ??
    whyNotRun('iptables', ['iptables', ...dropping(0.5)]);
  return { hosts, delay: hosts ?? whyNotRun('tc netem', ['tc', ...delaying('lo', 1)]) };
}

/** Runs a command in a network namespace that ends with it. */
function whyNotRun(what: string, command: readonly string[]): string | null {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) {
    return `${what}: that takes root on Linux`;
  }
  const { status, stderr } = spawnSync('unshare', ['--net', ...command], { encoding: 'utf8' });
  return status === 0 ? null : `${what}: ${stderr?.trim().split('\n')[0] || 'there is none'}`;
}

function dropping(share: number): string[] {
  const random = ['-m', 'statistic', '--mode', 'random', '--probability', String(share)];
  return ['-A', 'INPUT', ...(share === 1 ? [] : random), '-j', 'DROP'];
}

function delaying(device: string, ms: number): string[] {
  return ['qdisc', 'add', 'dev', device, 'root', 'netem', 'delay', `${ms}ms`];
}

/**
 * A network namespace, and the process that holds it. It has no name that could be left behind: it is gone with the
 * last process in it, and none of them outlives the test process.
 */
class Namespace {
  /** What starts a program in it. */
  readonly within: readonly string[];
  readonly pid: number;
  readonly #holder: ChildProcess;

  private constructor(holder: ChildProcess, pid: number) {
    this.#holder = holder;
    this.pid = pid;
    this.within = ['nsenter', `--net=/proc/${pid}/ns/net`];
  }

  static async make(): Promise<Namespace> {
    const holder = spawn('unshare', ['--net', 'sh', '-c', 'echo ready; exec cat'], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    guardProcess(holder);
    await once(holder.stdout, 'data');
    if (holder.pid === undefined) throw new Error('no network namespace was made');
    return new Namespace(holder, holder.pid);
  }

  async run(...command: readonly string[]): Promise<void> {
    const [first = '', ...rest] = [...this.within, ...command];
    await runFile(first, rest);
  }

  async remove(): Promise<void> {
    const ended = once(this.#holder, 'exit');
    this.#holder.kill('SIGKILL');
    await ended;
  }
}

/** A host: an address, and a cable to the switch that joins all of them. */
export class Host {
  /** Where the others reach it. */
  readonly address: string;
  /** What starts a program on it. */
  readonly within: readonly string[];
  readonly #own: Namespace;
  readonly #switch: Namespace;
  readonly #port: string;
  #isDelayed = false;

  /** Use {@link Hosts.make}. */
  constructor(own: Namespace, toSwitch: Namespace, number: number) {
    this.#own = own;
    this.#switch = toSwitch;
    this.#port = `port${number}`;
    this.address = `10.0.0.${number}`;
    this.within = own.within;
  }

  /** Plugs it in. */
  async join(): Promise<void> {
    const peer = ['peer', 'name', 'eth0', 'netns', String(this.#own.pid)];
    await this.#switch.run('ip', 'link', 'add', this.#port, 'type', 'veth', ...peer);
    await this.#switch.run('ip', 'link', 'set', this.#port, 'master', 'switch', 'up');
    await this.#own.run('ip', 'link', 'set', 'lo', 'up');
    await this.#own.run('ip', 'address', 'add', `${this.address}/24`, 'dev', 'eth0');
    await this.#own.run('ip', 'link', 'set', 'eth0', 'up');
  }

  /** Pulls its cable, until {@link heal}. */
  async cut(): Promise<void> {
    await this.#switch.run('ip', 'link', 'set', this.#port, 'down');
  }

  /** Loses this share of what comes to it, 0 to 1, until {@link heal}: with 1 it is heard, and hears nothing. */
  async lose(share: number): Promise<void> {
    await this.#own.run('iptables', ...dropping(share));
  }

  /** Each packet from and to it takes `ms` longer, until {@link heal}. */
  async delay(ms: number): Promise<void> {
    this.#isDelayed = true;
    await this.#own.run('tc', ...delaying('eth0', ms));
    await this.#switch.run('tc', ...delaying(this.#port, ms));
  }

  /** Ends all that was done to its network. */
  async heal(): Promise<void> {
    await this.#switch.run('ip', 'link', 'set', this.#port, 'up');
    await this.#own.run('iptables', '-F', 'INPUT');
    if (!this.#isDelayed) return;
    this.#isDelayed = false;
    await this.#own.run('tc', 'qdisc', 'del', 'dev', 'eth0', 'root');
    await this.#switch.run('tc', 'qdisc', 'del', 'dev', this.#port, 'root');
  }
}

/** Hosts on a network of their own, which this machine's own network knows nothing of. */
export class Hosts {
  readonly #namespaces: readonly Namespace[];
  readonly all: readonly Host[];

  private constructor(namespaces: readonly Namespace[], all: readonly Host[]) {
    this.#namespaces = namespaces;
    this.all = all;
  }

  /** Makes so many hosts, at most 254. */
  static async make(count: number): Promise<Hosts> {
    const made = Array.from({ length: count + 1 }, () => Namespace.make());
    const [joint, ...others] = await Promise.all(made);
    if (joint === undefined) throw new Error('there is always a namespace for the switch');
    await joint.run('ip', 'link', 'add', 'switch', 'type', 'bridge');
    await joint.run('ip', 'link', 'set', 'switch', 'up');
    const hosts = others.map((own, index) => new Host(own, joint, index + 1));
    await Promise.all(hosts.map((host) => host.join()));
    return new Hosts([joint, ...others], hosts);
  }

  /** Removes them; what runs on them has ended before. */
  async remove(): Promise<void> {
    await Promise.all(this.#namespaces.map((namespace) => namespace.remove()));
  }
}
