import { Connection } from '@drover/sdk/internals';
import {
  addressOf,
  findOrphanKeys,
  inspectInstallation,
  inspectServer,
  serversOf,
} from '@drover/store';
import { SingleBar } from 'cli-progress';

import { judgeInstallation, judgeKeys, judgeServer, type Finding } from '../doctor/findings.ts';
import { requireEngine } from '../engine/address.ts';
import { EXIT } from '../exitCodes.ts';
import type { EngineOptions } from '../options.ts';
import { coloursFor } from '../text/colours.ts';
import { wrap } from '../text/wrap.ts';

/** Options of `drover doctor`. */
export interface DoctorOptions extends EngineOptions {
  quick?: boolean;
  json?: boolean;
}

/** Columns of the text, where the terminal does not say. */
const COLUMNS = 100;
/** Before each text: the widest level and two spaces. */
const INDENT = 'warning'.length + 2;

/** Looks at Redis and the installation in it, and says what is wrong and what to do. Changes nothing. */
export async function doctorCommand(options: DoctorOptions): Promise<number> {
  const { url, prefix = 'drover' } = await requireEngine(options);
  const connection = new Connection(url);
  try {
    await connection.connect();
    const findings = await connection.guard(() =>
      examine(connection, prefix, options.quick === true),
    );
    const isHealthy = findings.every(({ level }) => level !== 'problem');
    if (options.json === true) {
      process.stdout.write(`${JSON.stringify({ healthy: isHealthy, findings }, null, 2)}\n`);
    } else {
      process.stdout.write(findings.map((finding) => findingText(finding)).join(''));
    }
    return isHealthy ? EXIT.ok : EXIT.failed;
  } finally {
    connection.close();
  }
}

async function examine(
  { redis, address }: Connection,
  prefix: string,
  isQuick: boolean,
): Promise<Finding[]> {
  const servers = await serversOf(redis);
  const findings: Finding[] = [];
  for (const server of servers) {
    // Of a single Redis its address may say more, such as by whom its master is known.
    const isOfCluster = server !== redis;
    const visit = { address: isOfCluster ? addressOf(server) : address, isOfCluster };
    findings.push(...judgeServer(await inspectServer(server), visit));
  }
  const installation = await inspectInstallation(redis, prefix);
  findings.push(...judgeInstallation(installation, prefix));
  if (isQuick || installation.layoutVersion === null) return findings;
  const bar = new SingleBar({
    format: 'keys {bar} {percentage} %',
    stream: process.stderr,
    clearOnComplete: true,
    noTTYOutput: false,
  });
  bar.start(1, 0);
  const onProgress = (looked: number, total: number): void => {
    bar.setTotal(Math.max(total, 1));
    bar.update(looked);
  };
  try {
    findings.push(...judgeKeys(await findOrphanKeys(redis, { prefix, onProgress })));
  } finally {
    bar.stop();
  }
  return findings;
}

function findingText({ level, message, advice }: Finding): string {
  const colours = coloursFor(process.stdout);
  const paint = { ok: colours.green, warning: colours.yellow, problem: colours.red }[level];
  const columns = Math.max(40, (process.stdout.columns ?? COLUMNS) - INDENT);
  const [first = '', ...rest] = wrap(message, columns);
  const lines = [paint(level) + ' '.repeat(INDENT - level.length) + first];
  const further = [...rest, ...advice.flatMap((text) => wrap(`-> ${text}`, columns))];
  for (const line of further) lines.push(' '.repeat(INDENT) + line);
  return `${lines.join('\n')}\n`;
}
