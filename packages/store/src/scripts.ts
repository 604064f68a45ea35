import { readdirSync, readFileSync } from 'node:fs';
import { Distribution, SHORT_TIME_BOUNDS } from '@drover/shared';
import type { RedisClient } from './redisClient.ts';

/** Lua sources lie beside `src` and, when published, beside `dist`. */
const LUA_DIRECTORY = new URL('../lua/', import.meta.url);

/** Names of the scripts: one file each in `lua/`. */
export const SCRIPT_NAMES = [
  'abandonItems',
  'acquire',
  'addItems',
  'addJobFields',
  'adoptPods',
  'awaitLanes',
  'changePod',
  'clearItems',
  'commitItems',
  'countQuota',
  'createJob',
  'createObject',
  'createWorkQueue',
  'deleteEvents',
  'deleteJob',
  'deleteObject',
  'deleteWorkQueue',
  'doneDue',
  'dropItems',
  'dropPods',
  'endLostPods',
  'expireSession',
  'finalizeJob',
  'heartbeat',
  'judge',
  'keepForFailures',
  'loseItems',
  'moveLayout',
  'observeCronJob',
  'observeJob',
  'offerLanes',
  'openSlots',
  'purgeJob',
  'recordEvents',
  'recordRestart',
  'registerSession',
  'releaseAdopted',
  'removePod',
  'resizeJob',
  'report',
  'reportSuccesses',
  'reserveItems',
  'runCronJob',
  'sealWorkQueue',
  'settleItems',
  'stopAdopted',
  'stopPods',
  'takeAndObserve',
  'takeDue',
  'tendAdopted',
  'trigger',
  'updateJob',
  'updateObject',
  'wakeQuota',
  'writeContainers',
  'writeEvent',
  'writeLog',
  'writeStatus',
] as const;
/** One of {@link SCRIPT_NAMES}. */
export type ScriptName = (typeof SCRIPT_NAMES)[number];

/**
 * The text of a script with its shared blocks in place of the lines `-- @include name`.
 *
 * @throws Error when a file is missing (a packaging fault).
 */
export function scriptSource(name: ScriptName): string {
  return withBlocks(readFileSync(new URL(`${name}.lua`, LUA_DIRECTORY), 'utf8'));
}

/** Blocks may ask for others. */
function withBlocks(text: string): string {
  return text.replaceAll(/^-- @include (\w+)$/gm, (_line, block: string) =>
    withBlocks(readFileSync(new URL(`include/${block}.lua`, LUA_DIRECTORY), 'utf8')),
  );
}

/** Script files that exist, for the test that compares them with {@link SCRIPT_NAMES}. */
export function scriptFiles(): string[] {
  return readdirSync(LUA_DIRECTORY)
    .filter((file) => file.endsWith('.lua'))
    .map((file) => file.slice(0, -'.lua'.length))
    .toSorted();
}

const sources = new Map<ScriptName, string>();

function commandName(name: ScriptName): string {
  return `drover_${name}`;
}

/** Makes the scripts known to a connection. ioredis sends EVALSHA and, after a SCRIPT FLUSH, EVAL. */
export function defineScripts(redis: RedisClient): void {
  if (Reflect.has(redis, commandName('report'))) return;
  for (const name of SCRIPT_NAMES) {
    let lua = sources.get(name);
    if (lua === undefined) {
      lua = scriptSource(name);
      sources.set(name, lua);
    }
    redis.defineCommand(commandName(name), { lua });
  }
}

/** What a script is given: strings and bytes as they are, numbers in decimal. */
export type ScriptArgument = string | number | Buffer;

/** What a script answers: strings are Buffers, since records are binary. */
export type ScriptReply = null | number | Buffer | ScriptReply[];

type BufferCommand = (
  this: RedisClient,
  keyCount: number,
  ...rest: ScriptArgument[]
) => Promise<ScriptReply>;

/** How the scripts fared that this process sent. */
export interface ScriptFigures {
  /** From the sending to the answer, seconds; of those that were answered without an error. */
  readonly times: Distribution;
  /** Those that failed, or whose connection broke. */
  failures: number;
}

const figures = new Map<ScriptName, ScriptFigures>();

/** By script, what this process sent to Redis so far; grows while it is held. */
export function scriptFigures(): ReadonlyMap<ScriptName, ScriptFigures> {
  return figures;
}

function figuresOf(name: ScriptName): ScriptFigures {
  let own = figures.get(name);
  if (own === undefined) {
    own = { times: new Distribution(SHORT_TIME_BOUNDS), failures: 0 };
    figures.set(name, own);
  }
  return own;
}

/** Runs a script on a connection that {@link defineScripts} was called for. */
export function runScript(
  redis: RedisClient,
  name: ScriptName,
  keys: readonly string[],
  args: readonly ScriptArgument[],
): Promise<ScriptReply> {
  const command = Reflect.get(redis, `${commandName(name)}Buffer`) as BufferCommand;
  const sentAtMs = performance.now();
  const answer = command.call(redis, keys.length, ...keys, ...args);
  const own = figuresOf(name);
  // Beside the caller's promise, not before it: what it waits for comes no later.
  answer.then(
    () => own.times.note((performance.now() - sentAtMs) / 1_000),
    () => (own.failures += 1),
  );
  return answer;
}
