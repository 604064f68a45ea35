import { withoutCredentials } from '@drover/shared';
import type { Command } from 'commander';

import { environmentOf } from '../define/environment.ts';
import { findEngine } from '../engine/address.ts';
import { contextPath } from '../engine/context.ts';
import { PASSWORD_FILE_VARIABLE } from '../engine/passwordFile.ts';
import { findTls, TLS_PARAMETERS, tlsVariable } from '../engine/tlsFiles.ts';
import { EXIT } from '../exitCodes.ts';
import type { ObjectOptions } from '../options.ts';
import { formatTable } from '../text/table.ts';

/** Options of `drover config view`. */
export interface ConfigViewOptions extends ObjectOptions {
  json?: boolean;
}

/** A setting as it is shown. */
interface Setting {
  readonly name: string;
  /** Without passwords; null when it has none. */
  readonly value: string | null;
  readonly source: 'option' | 'environment' | 'dev' | 'default' | 'none';
  /** Which option, variable or file. */
  readonly from: string;
}

/** Variables of the pod that this may run in. */
const OF_PODS = /^DROVER_(VOLUME_|TERMINATION_LOG$)/;

/** Shows every setting and where it comes from. */
export async function configViewCommand(
  view: Command,
  options: ConfigViewOptions,
): Promise<number> {
  const { env } = process;
  const fromEnv = (name: string) => view.getOptionValueSource(name) === 'env';
  const settings = await engineSettings(options, fromEnv('prefix'));
  settings.push(namespaceSetting(options, fromEnv('namespace')));
  const variables = environmentOf(rootOf(view));
  const isEngine = new Set([
    'DROVER_REDIS_URL',
    PASSWORD_FILE_VARIABLE,
    ...TLS_PARAMETERS.map(tlsVariable),
    'DROVER_PREFIX',
    'DROVER_NAMESPACE',
  ]);
  for (const { name: from, option: name = from } of variables) {
    const value = env[from];
    if (isEngine.has(from) || value === undefined) continue;
    settings.push({ name, value: withoutCredentials(value), source: 'environment', from });
  }
  const known = new Set(variables.map(({ name }) => name));
  const unknown = Object.keys(env).filter(
    (name) => name.startsWith('DROVER_') && !OF_PODS.test(name) && !known.has(name),
  );
  if (options.json === true) {
    process.stdout.write(`${JSON.stringify({ settings, unknownVariables: unknown }, null, 2)}\n`);
  } else {
    const rows = settings.map(({ name, value, from }) => [name, value ?? '<none>', from]);
    process.stdout.write(`${formatTable(['setting', 'value', 'from'], rows).join('\n')}\n`);
  }
  for (const name of unknown) {
    process.stderr.write(`Warning: ${name} means nothing to drover: is it misspelt?\n`);
  }
  return EXIT.ok;
}

function rootOf(command: Command): Command {
  return command.parent === null ? command : rootOf(command.parent);
}

async function engineSettings(
  options: ConfigViewOptions,
  isPrefixFromEnv: boolean,
): Promise<Setting[]> {
  const address = await findEngine(options);
  if (address === null) {
    const from = 'no option, no DROVER_REDIS_URL, no running `drover dev`';
    const redis: Setting = { name: 'redis', value: null, source: 'none', from };
    return [redis, prefixSetting(options, isPrefixFromEnv, undefined)];
  }
  const settings: Setting[] = [];
  const { url, prefix } = address;
  const value = withoutCredentials(url);
  switch (address.source) {
    case 'flag': {
      const from = options.redis === undefined ? `--redis-file ${options.redisFile}` : '--redis';
      settings.push({ name: 'redis', value, source: 'option', from });
      break;
    }
    case 'env':
      settings.push({ name: 'redis', value, source: 'environment', from: 'DROVER_REDIS_URL' });
      break;
    case 'dev':
      settings.push({ name: 'redis', value, source: 'dev', from: `drover dev, ${contextPath()}` });
      break;
  }
  const passwordFile = options.redisPasswordFile ?? process.env[PASSWORD_FILE_VARIABLE] ?? '';
  if (address.source !== 'dev' && passwordFile !== '') {
    settings.push({
      name: 'redis password',
      value: '***',
      ...(options.redisPasswordFile === undefined
        ? { source: 'environment', from: `${PASSWORD_FILE_VARIABLE}=${passwordFile}` }
        : { source: 'option', from: `--redis-password-file ${passwordFile}` }),
    });
  }
  if (address.source !== 'dev') {
    for (const { parameter, value: given, source, saidAs: from } of findTls(options)) {
      settings.push({ name: `redis ${parameter}`, value: given, source, from });
    }
  }
  settings.push(
    prefixSetting(options, isPrefixFromEnv, address.source === 'dev' ? prefix : undefined),
  );
  return settings;
}

/** @param ofDev - What a running `drover dev` says. */
function prefixSetting(
  { prefix }: ConfigViewOptions,
  isFromEnv: boolean,
  ofDev: string | undefined,
): Setting {
  const name = 'prefix';
  if (prefix !== undefined) {
    return { name, value: prefix, ...optionOr(isFromEnv, '--prefix', 'DROVER_PREFIX') };
  }
  if (ofDev !== undefined) return { name, value: ofDev, source: 'dev', from: 'drover dev' };
  return { name, value: 'drover', source: 'default', from: 'default' };
}

function namespaceSetting({ namespace }: ConfigViewOptions, isFromEnv: boolean): Setting {
  const name = 'namespace';
  if (namespace === undefined) {
    return { name, value: 'default', source: 'default', from: 'default' };
  }
  return { name, value: namespace, ...optionOr(isFromEnv, '--namespace', 'DROVER_NAMESPACE') };
}

function optionOr(
  isFromEnv: boolean,
  option: string,
  variable: string,
): Pick<Setting, 'source' | 'from'> {
  return isFromEnv ? { source: 'environment', from: variable } : { source: 'option', from: option };
}
