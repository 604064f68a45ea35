import { Connection } from '@drover/sdk/internals';
import {
  isInUse,
  migrateLayout,
  otherConnections,
  planMigration,
  type Connections,
  type InUse,
  type MigrationPlan,
} from '@drover/store';
import { SingleBar } from 'cli-progress';

import { requireEngine } from '../engine/address.ts';
import { CliError } from '../errors.ts';
import { EXIT } from '../exitCodes.ts';
import type { EngineOptions } from '../options.ts';

/** Options of `drover migrate`. */
export interface MigrateOptions extends EngineOptions {
  dryRun?: boolean;
}

/** Brings the keys of an installation to the layout of this version. */
export async function migrateCommand(options: MigrateOptions): Promise<number> {
  const { url, prefix = 'drover' } = await requireEngine(options);
  const connection = new Connection(url);
  try {
    await connection.connect();
    return await connection.guard(async () => {
      const { redis } = connection;
      const plan = await planMigration(redis, prefix);
      process.stdout.write(planText(plan, prefix));
      if (plan.steps.length === 0) return EXIT.ok;
      process.stdout.write(connectionsText(await otherConnections(redis)));
      if (isInUse(plan.inUse)) throw inUseError(plan.inUse);
      if (options.dryRun === true) {
        process.stdout.write('nothing was changed: --dry-run\n');
        return EXIT.ok;
      }
      await migrate(connection, prefix);
      process.stdout.write(`the keys have layout version ${plan.to} now\n`);
      return EXIT.ok;
    });
  } finally {
    connection.close();
  }
}

async function migrate({ redis }: Connection, prefix: string): Promise<void> {
  const bar = new SingleBar({
    format: 'Jobs {bar} {percentage} % | {value}/{total}',
    stream: process.stderr,
    clearOnComplete: true,
    noTTYOutput: false,
  });
  bar.start(1, 0);
  const onProgress = (looked: number, total: number): void => {
    // Jobs may have been made since they were counted.
    bar.setTotal(Math.max(total, looked));
    bar.update(looked);
  };
  try {
    const result = await migrateLayout(redis, { prefix, onProgress });
    if (result.type === 'inUse') throw inUseError(result.inUse);
  } finally {
    bar.stop();
  }
}

function planText({ from, to, steps, isBegun, jobs }: MigrationPlan, prefix: string): string {
  if (steps.length === 0) {
    return `the keys under prefix ${prefix} have layout version ${to}, that of this drover: nothing is to be done\n`;
  }
  const begun = isBegun ? ', which was begun before' : '';
  const lines = [
    `layout version ${from} to ${to} of the keys under prefix ${prefix}${begun}; Jobs: ${jobs}`,
    ...steps.map((summary) => `  - ${summary}`),
  ];
  return `${lines.join('\n')}\n`;
}

function connectionsText(connections: Connections | null): string {
  if (connections?.count === 0) return '';
  const names = connections?.names ?? ['they can not be listed as this user'];
  const more = (connections?.count ?? 0) - names.length;
  const all = names.join(', ') + (more > 0 ? ` and ${more} more` : '');
  return `other connections to this Redis: ${all}\n  API servers and programs that submit Jobs can not be told from others: end those of the older version\n`;
}

function inUseError({ controllers, workers }: InUse): CliError {
  const details: string[] = [];
  if (controllers > 0) details.push(`controllers: ${controllers}`);
  if (workers.length > 0) {
    details.push(
      `workers: ${workers.join(', ')} (one that was killed counts for some seconds more)`,
    );
  }
  return new CliError(
    'the installation is in use, nothing was changed; stop these first:',
    EXIT.failed,
    details,
  );
}
