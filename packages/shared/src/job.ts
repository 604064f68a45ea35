import * as z from 'zod';

import { InvalidSpecError, TerminalError } from './errors.ts';
import { applyFieldRules, suggestField } from './fieldSupport.ts';
import { generatedLabelIssues } from './generated.ts';
import { invalid, type ValidationIssue } from './issues.ts';
import { jobIssues, newSelectorIssues } from './jobRules.ts';
import { JobSpec } from './jobSpec.ts';
import { JobStatus } from './jobStatus.ts';
import { ObjectMeta } from './meta.ts';
import { dnsLabelProblems } from './names.ts';
import { parseLenient, parseStructure, withoutNulls } from './structure.ts';

/** A batch/v1 Job. */
export const Job = z.strictObject({
  /** `batch/v1`. */
  apiVersion: z.literal('batch/v1').default('batch/v1'),
  /** `Job`. */
  kind: z.literal('Job').default('Job'),
  /** Name, labels and the like. */
  metadata: ObjectMeta,
  /** What is asked for. */
  spec: JobSpec,
  /** How far it has come. Users do not write it. */
  status: JobStatus.prefault({}),
});
/** A batch/v1 Job with every default filled in. */
export type Job = z.output<typeof Job>;

/** A Job as its user writes it. Its status, if any, is ignored. */
export type JobInput = Omit<z.input<typeof Job>, 'status'> & { readonly status?: unknown };

/** A valid Job, and what its user should know about it. */
export interface ParsedJob {
  /** With every default filled in. */
  readonly job: Job;
  /** One text for each field that has no effect, and for names that may surprise. */
  readonly warnings: readonly string[];
}

/** What a Job is read with. */
export interface ParseJobOptions {
  /** Namespace of the request. A Job that names another is not valid. Default `default`. */
  readonly namespace?: string;
}

/**
 * Reads a new Job that a user gave: fills in Kubernetes' defaults and checks everything. Its uid
 * may be empty, and its name when it has a generateName; `generateSelectorAndLabels` comes after
 * both are chosen.
 *
 * @throws {@link InvalidSpecError} with every problem that can be told at once.
 */
export function parseJob(input: unknown, options: ParseJobOptions = {}): ParsedJob {
  const raw = withoutNulls(input);
  const { job, warnings, issues } = checkJob(raw, options.namespace);
  issues.push(...newSelectorIssues(job), ...generatedLabelIssues(job));
  throwIfInvalid(job, issues);
  // A manifest that was read from a Job which was being deleted makes one that is not.
  const { deletionTimestamp: _at, deletionGracePeriodSeconds: _grace, ...metadata } = job.metadata;
  return { job: { ...job, metadata, status: {} }, warnings };
}

/** What {@link checkJob} found. */
export interface CheckedJob {
  readonly job: Job;
  readonly warnings: string[];
  readonly issues: ValidationIssue[];
}

/**
 * Parses and checks what new and changed Jobs have in common.
 *
 * @param raw - The Job as its user gave it, without nulls. Is changed on the way.
 * @param namespace - That of the request.
 * @param previous - The stored Job when it is a change.
 * @throws {@link InvalidSpecError} when it is not even an object.
 */
export function checkJob(raw: unknown, namespace?: string, previous?: Job): CheckedJob {
  if (typeof raw !== 'object' || raw === null || Array.isArray(raw)) {
    const issue = invalid('(root)', raw, 'must be an object with metadata and spec');
    throw new InvalidSpecError('Job.batch', '<unnamed>', [issue]);
  }
  const { warnings, issues: refusals } = applyFieldRules(raw, previous);
  if ('status' in raw) delete raw.status;
  const { value: parsed, issues, isSound } = parseStructure(Job, raw, suggestField);

  const wanted = namespace ?? (parsed.metadata.namespace || 'default');
  const job = inNamespace(parsed, parsed.metadata.namespace || wanted);
  const found = [...refusals, ...jobIssues(job, isSound)];
  if (job.metadata.namespace !== wanted) {
    const detail = `does not match the namespace of the request, "${wanted}"`;
    found.push(invalid('metadata.namespace', job.metadata.namespace, detail));
  }
  const { name } = job.metadata;
  const problems = name === '' ? [] : dnsLabelProblems(name);
  if (problems.length > 0) {
    const why = 'this is used in Pod names and hostnames, which can result in surprising behavior';
    warnings.push(`metadata.name: ${why}; a DNS label is recommended: [${problems.join(', ')}]`);
  }
  return { job, warnings, issues: [...issues, ...found.filter(({ path }) => isSound(path))] };
}

function inNamespace(job: Job, namespace: string): Job {
  return { ...job, metadata: { ...job.metadata, namespace } };
}

/** @throws {@link InvalidSpecError} when there is an issue. */
export function throwIfInvalid({ metadata }: Job, issues: readonly ValidationIssue[]): void {
  if (issues.length === 0) return;
  const name = metadata.name || metadata.generateName || '<unnamed>';
  throw new InvalidSpecError('Job.batch', name, issues);
}

/**
 * Reads a Job from storage. Fields that this version does not know are kept.
 *
 * @throws {@link TerminalError} when it is not a Job: the data is damaged, or of a later version.
 */
export function readJob(input: unknown): Job {
  const job = parseLenient(Job, input);
  if (job === null) throw new TerminalError('the stored Job can not be read by this version');
  return job;
}
