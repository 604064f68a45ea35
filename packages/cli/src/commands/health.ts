import { badInput } from '../errors.ts';
import { EXIT } from '../exitCodes.ts';
import { readHealth } from '../health.ts';

/** Options of `drover health`. */
export interface HealthCommandOptions {
  healthFile?: string;
}

/** Prints what a service says of itself. */
export async function healthCommand({ healthFile }: HealthCommandOptions): Promise<number> {
  if (healthFile === undefined) {
    throw badInput(
      'which service? --health-file PATH, as it was given to the controller, worker or server',
    );
  }
  const { healthy, message } = await readHealth(healthFile, Date.now());
  process.stdout.write(`${healthy ? 'healthy' : 'unhealthy'}: ${message}\n`);
  return healthy ? EXIT.ok : EXIT.failed;
}
