/** The rules for a CronJob that its types alone do not say. */

import type { CronJob, CronJobSpec } from './cronJob.ts';
import { readCronPolicy } from './cron/annotations.ts';
import { readCronSchedule } from './cron/schedule.ts';
import { isTimeZone } from './cron/timeZone.ts';
import { applyFieldRules } from './fieldSupport.ts';
import { invalid, nonNegative, notSupported, required, type ValidationIssue } from './issues.ts';
import type { Job } from './job.ts';
import { jobIssues } from './jobRules.ts';
import { withJobDefaults } from './jobSpec.ts';
import { dnsLabelProblems } from './names.ts';
import type { IsSound } from './podTemplateRules.ts';
import { SUFFIX_CHARS } from './podNames.ts';

/** Longest name of a CronJob: its Jobs add a time to it, and theirs have 63 characters at most. */
export const MAX_CRON_JOB_NAME_CHARS = 52;

const TEMPLATE = 'spec.jobTemplate';
/** What is left out of the metadata of a template: the Jobs have their own. */
const NOT_COPIED = ['name', 'generateName', 'namespace', 'ownerReferences', 'finalizers'] as const;

/** What is wrong with a CronJob. */
export function cronJobIssues(cronJob: CronJob, isSound: IsSound): ValidationIssue[] {
  const { spec } = cronJob;
  return [
    ...nameIssues(cronJob),
    ...scheduleIssues(spec),
    ...(spec.timeZone === undefined ? [] : timeZoneIssues(spec.timeZone)),
    ...nonNegative('spec.startingDeadlineSeconds', spec.startingDeadlineSeconds),
    ...nonNegative('spec.successfulJobsHistoryLimit', spec.successfulJobsHistoryLimit),
    ...nonNegative('spec.failedJobsHistoryLimit', spec.failedJobsHistoryLimit),
    ...policyIssues(cronJob),
    ...templateIssues(cronJob, isSound),
  ];
}

/** Everything of a CronJob may change, but for what no object may change. */
export function cronJobChangeIssues(): ValidationIssue[] {
  return [];
}

/** What its user should know: fields of the template without effect, and a name that may surprise. */
export function cronJobWarnings(cronJob: CronJob, stored: CronJob | null): string[] {
  const { jobTemplate } = cronJob.spec;
  const { warnings } = applyFieldRules(jobTemplate, stored?.spec.jobTemplate);
  const found = warnings.map((warning) => `${TEMPLATE}.${warning}`);
  for (const field of NOT_COPIED) {
    const value = jobTemplate.metadata[field] ?? '';
    if (value.length === 0 || stored?.spec.jobTemplate.metadata[field] !== undefined) continue;
    found.push(
      `${TEMPLATE}.metadata.${field}: no effect: Jobs get their labels and annotations alone`,
    );
  }
  const { name } = cronJob.metadata;
  const problems = name === '' || stored !== null ? [] : dnsLabelProblems(name);
  if (problems.length > 0) {
    const why = 'this is used in Pod names and hostnames, which can result in surprising behavior';
    found.push(`metadata.name: ${why}; a DNS label is recommended: [${problems.join(', ')}]`);
  }
  return found;
}

function nameIssues({ metadata }: CronJob): ValidationIssue[] {
  const { name, generateName = '' } = metadata;
  const detail = `must be no more than ${MAX_CRON_JOB_NAME_CHARS} characters`;
  if (name.length > MAX_CRON_JOB_NAME_CHARS) return [invalid('metadata.name', name, detail)];
  const made = generateName.length + SUFFIX_CHARS;
  if (name !== '' || made <= MAX_CRON_JOB_NAME_CHARS) return [];
  return [
    invalid(
      'metadata.generateName',
      generateName,
      `${detail} with the ${SUFFIX_CHARS} that are added`,
    ),
  ];
}

function scheduleIssues({ schedule }: CronJobSpec): ValidationIssue[] {
  const path = 'spec.schedule';
  if (schedule === '') return [required(path)];
  if (schedule.includes('TZ')) {
    const detail = 'cannot use TZ or CRON_TZ in schedule, use timeZone field instead';
    return [invalid(path, schedule, detail)];
  }
  const reading = readCronSchedule(schedule);
  if (reading.ok) return [];
  return reading.problems.map(({ reason, field, offset }) => {
    const where = `at character ${offset + 1}`;
    return invalid(path, schedule, `${reason} (${field === null ? '' : `${field}, `}${where})`);
  });
}

const ZONE_PART = /^[A-Za-z._0-9+-]{1,14}$/;

function timeZoneIssues(timeZone: string): ValidationIssue[] {
  const path = 'spec.timeZone';
  if (timeZone === '') {
    return [invalid(path, timeZone, 'timeZone must be nil or non-empty string')];
  }
  if (timeZone.toLowerCase() === 'local') {
    const detail =
      'timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones';
    return [invalid(path, timeZone, detail)];
  }
  const isWellFormed = timeZone
    .split('/')
    .every(
      (part) => ZONE_PART.test(part) && part !== '.' && part !== '..' && !part.startsWith('-'),
    );
  if (isWellFormed && isTimeZone(timeZone)) return [];
  return [invalid(path, timeZone, `unknown time zone ${timeZone}`)];
}

function policyIssues({ metadata }: CronJob): readonly ValidationIssue[] {
  const reading = readCronPolicy(metadata.annotations);
  return reading.ok ? [] : reading.issues;
}

/** The rules of Jobs, for a Job as the CronJob makes it. */
function templateIssues({ metadata, spec }: CronJob, isSound: IsSound): ValidationIssue[] {
  const { jobTemplate } = spec;
  const { selector, manualSelector } = jobTemplate.spec;
  const issues: ValidationIssue[] = [];
  if (selector !== undefined) {
    const detail = '`selector` will be auto-generated';
    issues.push(invalid(`${TEMPLATE}.spec.selector`, selector, detail));
  }
  if (manualSelector) {
    issues.push(notSupported(`${TEMPLATE}.spec.manualSelector`, true, ['nil', 'false']));
  }
  const { labels, annotations } = jobTemplate.metadata;
  const name = (metadata.name || metadata.generateName || 'a').slice(0, MAX_CRON_JOB_NAME_CHARS);
  // As long as any that it makes: minutes since the epoch, or seconds.
  const time = spec.schedule.startsWith('@every') ? '-1000000000' : '-10000000';
  const job: Job = {
    apiVersion: 'batch/v1',
    kind: 'Job',
    metadata: { name: name + time, namespace: metadata.namespace, uid: '', labels, annotations },
    spec: withJobDefaults(jobTemplate.spec),
    status: {},
  };
  const found = [
    ...applyFieldRules(jobTemplate).issues,
    ...jobIssues(job, (path) => isSound(`${TEMPLATE}.${path}`)),
  ];
  for (const issue of found) {
    const isName = issue.path === 'metadata.name';
    // Of an Indexed Job the hostnames of its pods are too long; all else is said of the CronJob's own name.
    if (isName && issue.detail.includes('pod')) issues.push({ ...issue, value: name });
    if (isName || issue.path === 'metadata.namespace') continue;
    issues.push({ ...issue, path: `${TEMPLATE}.${issue.path}` });
  }
  return issues;
}
