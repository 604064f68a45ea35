import { Option, type Command } from 'commander';

import { badInput } from './errors.ts';
import { LOG_LEVELS, type LogLevel } from './logLevels.ts';
import type { ServerOptions } from './remote/address.ts';
import { parseDurationMs } from './text/duration.ts';

/**
 * Problems with the values of options, gathered while the arguments are read, so that all of them
 * are reported at once.
 */
export type Problems = string[];

/** Options that every command with an engine has. */
export interface EngineOptions {
  redis?: string;
  redisFile?: string;
  redisPasswordFile?: string;
  redisCacert?: string;
  redisCert?: string;
  redisKey?: string;
  redisServername?: string;
  prefix?: string;
}

/** Options that every command about objects has. */
export interface ObjectOptions extends EngineOptions, ServerOptions {
  namespace?: string;
}

/** Options of commands that need the data of Secrets. */
export interface SecretKeyOptions {
  secretKeyFile?: string;
}

/** Options of the commands that run until they are stopped. */
export interface ServiceOptions extends EngineOptions {
  logLevel: LogLevel;
  healthFile?: string;
  metricsPort?: number;
  metricsHost: string;
}

/** What stands above the options in help that say which engine is meant. */
const ENGINE_GROUP = 'Options of the engine:';

/** Adds the options of an engine, and refuses those of an API server: the command is about what is in Redis. */
export function withEngine(command: Command): Command {
  const own = new Set(command.options.map(({ long }) => long));
  for (const flags of SERVER_FLAGS.filter((one) => !own.has(longFlag(one)))) {
    const refuse = (): never => {
      throw badInput(
        `${longFlag(flags)}: \`drover ${command.name()}\` needs Redis itself, and does not work over the API server`,
        ['  say where its Redis is with --redis URL or DROVER_REDIS_URL'],
      );
    };
    command.addOption(new Option(flags).argParser(refuse).hideHelp());
  }
  return withRedis(command);
}

const SERVER_FLAGS = ['--server <url>', '--certificate-authority <path>', '--kubeconfig <path>'];

/** Adds the options of an engine, and those of an API server, which will do as well. */
export function withEngineOrServer(command: Command): Command {
  const options = [
    new Option(
      '--server <url>',
      'an API server of Drover instead of Redis, https://HOST:PORT (default: $DROVER_SERVER)',
    ),
    new Option(
      '--token-file <path>',
      'its token (default: $DROVER_TOKEN, or the file $DROVER_TOKEN_FILE)',
    ),
    new Option(
      '--certificate-authority <path>',
      'trust these certificate authorities for it (default: $DROVER_CERTIFICATE_AUTHORITY, or those of the system)',
    ),
    new Option('--kubeconfig <path>', 'all of this from a kubeconfig, and the namespace, too'),
    new Option('--context <name>', 'the context of it (default: its current one)'),
  ];
  withRedis(command);
  for (const option of options) command.addOption(option.helpGroup(SERVER_GROUP));
  return command;
}

const SERVER_GROUP = 'Options of the API server:';

/** Adds --redis and all that says how to reach it, and --prefix. */
function withRedis(command: Command): Command {
  const options = [
    new Option('--redis <url>', "the engine's Redis (default: $DROVER_REDIS_URL, or `drover dev`)"),
    new Option(
      '--redis-file <path>',
      'read that URL from a file, so that no process list shows it',
    ),
    new Option(
      '--redis-password-file <path>',
      'read the password for that URL from a file (default: $DROVER_REDIS_PASSWORD_FILE)',
    ),
    new Option(
      '--redis-cacert <path>',
      'trust these certificate authorities for rediss:// (default: $DROVER_REDIS_CACERT, or those of the system)',
    ),
    new Option(
      '--redis-cert <path>',
      'client certificate for rediss:// (default: $DROVER_REDIS_CERT)',
    ),
    new Option('--redis-key <path>', 'its key (default: $DROVER_REDIS_KEY)'),
    new Option(
      '--redis-servername <name>',
      "name in the server's certificate, when it is not the host's (default: $DROVER_REDIS_SERVERNAME)",
    ),
    new Option('--prefix <text>', 'key prefix of the installation').env('DROVER_PREFIX'),
  ];
  for (const option of options) command.addOption(option.helpGroup(ENGINE_GROUP));
  return command;
}

/** Adds --secret-key-file. */
export function withSecretKey(command: Command): Command {
  const option = new Option(
    '--secret-key-file <path>',
    'the key file of the installation, for Secrets (default: $DROVER_SECRET_KEY_FILE, or that of `drover dev`)',
  );
  return command.addOption(option.helpGroup(ENGINE_GROUP));
}

/** Adds -n. */
export function withNamespace(command: Command): Command {
  const option = new Option('-n, --namespace <name>', 'namespace (default: "default")');
  return command.addOption(option.env('DROVER_NAMESPACE').helpGroup(ENGINE_GROUP));
}

/** Adds --log-level. */
export function withLogLevel(command: Command, preset: LogLevel = 'info'): Command {
  return command.addOption(
    new Option('--log-level <level>', 'how much is logged')
      .choices(LOG_LEVELS)
      .default(preset)
      .env('DROVER_LOG_LEVEL'),
  );
}

/** Adds --health-file. */
export function withHealthFile(command: Command): Command {
  return command.addOption(
    new Option(
      '--health-file <path>',
      'say in this file every few seconds whether all is well, for `drover health`',
    ).env('DROVER_HEALTH_FILE'),
  );
}

/** Adds --metrics-port and --metrics-host. */
export function withMetrics(command: Command, problems: Problems): Command {
  return command
    .addOption(
      integerOption(
        problems,
        '--metrics-port <port>',
        'serve /metrics for Prometheus, /healthz and /readyz there by http; 0 = any port that is free (default: not at all)',
        { min: 0, max: 65_535 },
      ).env('DROVER_METRICS_PORT'),
    )
    .addOption(
      new Option('--metrics-host <address>', 'address for these')
        .default('127.0.0.1')
        .env('DROVER_METRICS_HOST'),
    );
}

/** An option with a whole number in a range. */
export function integerOption(
  problems: Problems,
  flags: string,
  description: string,
  range: { min: number; max?: number },
): Option {
  const { min, max = 2_147_483_647 } = range;
  return new Option(flags, description).argParser((text: string) => {
    const value = Number(text);
    if (/^-?\d+$/.test(text) && value >= min && value <= max) return value;
    const isOpen = max === 2_147_483_647 && !(value > max);
    const limit = isOpen ? `${min} or more` : `${min} to ${max}`;
    problems.push(`${longFlag(flags)} ${text}: a whole number of ${limit} is expected`);
    return min;
  });
}

/** An option with a duration; its value is in milliseconds. */
export function durationOption(problems: Problems, flags: string, description: string): Option {
  return new Option(flags, description).argParser((text: string) => {
    const value = parseDurationMs(text);
    if (value !== null) return value;
    problems.push(`${longFlag(flags)} ${text}: a duration such as 30s, 5m or 1h30m is expected`);
    return 0;
  });
}

/** An option with an amount of a resource, as Kubernetes writes them. */
export function quantityOption(
  problems: Problems,
  flags: string,
  description: string,
  example: string,
): Option {
  return new Option(flags, description).argParser((text: string) => {
    if (!/^\d+(\.\d+)?(m|k|M|G|T|Ki|Mi|Gi|Ti)?$/.test(text)) {
      problems.push(`${longFlag(flags)} ${text}: an amount such as ${example} is expected`);
    }
    return text;
  });
}

/** An option that may be given several times, or with several values separated by commas. */
export function listOption(flags: string, description: string): Option {
  return new Option(flags, description).argParser(
    (text: string, previous: string[] | undefined) => [
      ...(previous ?? []),
      ...text.split(',').filter((part) => part !== ''),
    ],
  );
}

function longFlag(flags: string): string {
  return /--[a-z-]+/.exec(flags)?.[0] ?? flags;
}
