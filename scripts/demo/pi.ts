import { spawnSync } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';

/** Machin's formula in integers; for machines without perl or its bignum. */
const PROGRAM = `
const digits = 1000n, one = 10n ** (digits + 10n);
const arctan = (x) => {
  let sum = 0n, power = one / x, n = 1n;
  for (let sign = 1n; power > 0n; sign = -sign, n += 2n, power /= x * x) sum += sign * (power / n);
  return sum;
};
const pi = String((16n * arctan(5n) - 4n * arctan(239n)) / 10n ** 11n);
console.log(pi[0] + '.' + pi.slice(1));
`;

/**
 * The manifest of the pi Job: that of Kubernetes' documentation where perl has bignum, else the
 * same Job with another program.
 */
export async function piManifest(dir: string): Promise<{ path: string; program: string }> {
  const perl = spawnSync('perl', ['-Mbignum=bpi', '-e', '1'], { stdio: 'ignore' });
  if (perl.status === 0) return { path: 'examples/pi.yaml', program: 'perl' };
  const path = join(dir, 'pi.json');
  const container = { name: 'pi', command: [process.execPath, '-e', PROGRAM] };
  const job = {
    apiVersion: 'batch/v1',
    kind: 'Job',
    metadata: { name: 'pi' },
    spec: {
      backoffLimit: 4,
      template: { spec: { containers: [container], restartPolicy: 'Never' } },
    },
  };
  await writeFile(path, JSON.stringify(job, null, 2));
  return { path, program: 'node (this perl has no bignum)' };
}
