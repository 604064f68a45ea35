import type { Applied, Drover } from '@drover/sdk/client';
import { InvalidSpecError, formatIssue, parseJob } from '@drover/shared';

import { withClient } from '../client.ts';
import { badInput } from '../errors.ts';
import { EXIT } from '../exitCodes.ts';
import { readManifests, type Manifest } from '../manifests.ts';
import type { ObjectOptions } from '../options.ts';
import { formatDocument } from '../print/printer.ts';
import { refText } from '../things.ts';

/** Options of `drover apply`. */
export interface ApplyOptions extends ObjectOptions {
  filename: string[];
  dryRun?: boolean;
  output?: 'name' | 'json' | 'yaml';
}

/** Creates or changes the Jobs of manifests; nothing is written when one of them is not valid. */
export async function applyCommand(options: ApplyOptions): Promise<number> {
  const manifests = await readManifests(options.filename);
  checkAll(manifests, options.namespace);
  return await withClient(options, async (drover) => {
    // Against what is stored too: a change that is not allowed in the last document must not
    // leave the first ones changed.
    for (const manifest of manifests) await applyOne(drover, manifest, true);
    const applied: Applied[] = [];
    for (const manifest of manifests) {
      const result = await applyOne(drover, manifest, options.dryRun === true);
      applied.push(result);
      if (options.output === undefined || options.output === 'name') {
        print(result, options);
      }
    }
    const { output } = options;
    if (output === 'json' || output === 'yaml') {
      const jobs = applied.map(({ job }) => job);
      process.stdout.write(await formatDocument(jobs, output, jobs.length === 1));
    }
    return EXIT.ok;
  });
}

function print({ job, action }: Applied, options: ApplyOptions): void {
  const ref = refText({ kind: 'job', name: job.metadata.name });
  const note = options.dryRun === true ? ' (dry run)' : '';
  process.stdout.write(options.output === 'name' ? `${ref}\n` : `${ref} ${action}${note}\n`);
}

async function applyOne(drover: Drover, manifest: Manifest, dryRun: boolean): Promise<Applied> {
  try {
    return await drover.jobs.apply(manifest.object, {
      dryRun,
      ...(dryRun
        ? {}
        : { onWarning: (text: string) => process.stderr.write(`Warning: ${text}\n`) }),
    });
  } catch (error) {
    if (!(error instanceof InvalidSpecError)) throw error;
    const [first = '', ...others] = issueLines(error, manifest);
    throw badInput(first, others);
  }
}

/** Checks every document and reports the problems of all of them at once. */
export function checkAll(manifests: readonly Manifest[], namespace: string | undefined): void {
  const problems: string[] = [];
  const places = new Map<string, string>();
  for (const manifest of manifests) {
    const kindProblems = checkKind(manifest);
    problems.push(...kindProblems);
    if (kindProblems.length > 0) continue;
    try {
      const { job } = parseJob(manifest.object, { namespace: namespace ?? 'default' });
      const { name, namespace: where } = job.metadata;
      if (namespace !== undefined && where !== namespace) {
        problems.push(
          `${manifest.locate('metadata.namespace')}: the namespace is "${where}", and -n says "${namespace}"`,
        );
      }
      const place = places.get(`${where}/${name}`);
      if (place !== undefined && name !== '') {
        problems.push(`${manifest.locate('metadata.name')}: "${name}" is also defined at ${place}`);
      }
      places.set(`${where}/${name}`, manifest.locate('metadata.name'));
    } catch (error) {
      if (!(error instanceof InvalidSpecError)) throw error;
      problems.push(...issueLines(error, manifest));
    }
  }
  if (problems.length > 0) throw badInput(problems[0] ?? '', problems.slice(1));
}

/** Of another kind nothing else is worth telling. */
function checkKind({ object, locate }: Manifest): string[] {
  return Object.entries({ apiVersion: 'batch/v1', kind: 'Job' }).flatMap(([field, wanted]) => {
    const value = object[field];
    if (value === wanted) return [];
    const what =
      value === undefined
        ? 'Required value'
        : `Unsupported value: ${JSON.stringify(value)}: supported values: "${wanted}"`;
    return [`${locate(field)}: ${field}: ${what}`];
  });
}

/** The issues of a manifest, each with its place in the file. */
export function issueLines(error: InvalidSpecError, manifest: Manifest): string[] {
  return error.issues.map((issue) => `${manifest.locate(issue.path)}: ${formatIssue(issue)}`);
}
