import type { Evidence, JobEvidence } from './evidence.ts';
import type { RunResult } from './run.ts';

/** Violations that are shown in full. */
const MOST_SHOWN = 20;
/** Lines of a history that are shown, the last ones. */
const MOST_LINES = 60;

/** The last line of a run. */
export function summaryOf({ evidence, faults, violations }: RunResult): string {
  const { jobs, queues } = evidence;
  const pods = jobs.reduce((sum, { runs }) => sum + runs.length, evidence.barePods.length);
  const items = queues.reduce((sum, { accepted }) => sum + accepted, 0);
  return `${jobs.length} Jobs, ${pods} pods, ${items} items, ${faults} faults, ${violations.length} violations`;
}

/** What is wrong, with the history of the first Job that is concerned. */
export function violationsText({ evidence, history, violations }: RunResult): string {
  const lines = violations
    .slice(0, MOST_SHOWN)
    .map(({ rule, about, message }) => `${about}: ${message} (${rule})`);
  if (violations.length > MOST_SHOWN) lines.push(`... and ${violations.length - MOST_SHOWN} more`);
  const first = violations.find(({ about }) =>
    evidence.jobs.some(({ plan }) => plan.name === about),
  );
  const job = evidence.jobs.find(({ plan }) => plan.name === first?.about);
  if (job === undefined) return `${lines.join('\n')}\n`;
  const moments = momentsOf(job, evidence).concat(
    history.moments.map(({ atMs, text }) => ({ atMs, text })),
  );
  const [fromMs, untilMs] = spanOf(job);
  const told = moments
    .filter(
      ({ atMs, text }) => atMs >= fromMs && atMs <= untilMs && !isOfAnother(text, job.plan.name),
    )
    .toSorted((a, b) => a.atMs - b.atMs)
    .map(({ atMs, text }) => `${((atMs - fromMs) / 1_000).toFixed(3).padStart(9)}  ${text}`);
  const cut = told.length > MOST_LINES ? ['      ...'] : [];
  lines.push(
    '',
    `${job.plan.name}: ${JSON.stringify(job.status)}`,
    ...cut,
    ...told.slice(-MOST_LINES),
  );
  return `${lines.join('\n')}\n`;
}

interface Told {
  readonly atMs: number;
  readonly text: string;
}

function momentsOf({ plan, runs, pods, seen }: JobEvidence, { queues }: Evidence): Told[] {
  const items = queues.find(({ name }) => name === plan.name)?.runs ?? [];
  return [
    ...runs.flatMap(({ pod, node, startMs, endMs, outcome }) => [
      { atMs: startMs, text: `pod ${pod} starts on ${node}` },
      ...(endMs === null ? [] : [{ atMs: endMs, text: `pod ${pod} ends on ${node}: ${outcome}` }]),
    ]),
    ...pods.flatMap(({ name, startMs, endMs, outcome, reason }) => [
      { atMs: startMs, text: `pod ${name} is claimed` },
      { atMs: endMs, text: `pod ${name} is ${outcome} (${reason})` },
    ]),
    ...items.map(({ id, node, startMs, outcome }) => ({
      atMs: startMs,
      text: `item ${id} runs on ${node}: ${outcome}`,
    })),
    ...seen.map(({ atMs, active, terminating, succeeded, failed, conditions }) => ({
      atMs,
      text: `seen: ${active} active, ${terminating} terminating, ${succeeded} succeeded, ${failed} failed ${conditions.join()}`,
    })),
  ];
}

/** When a Job was there. */
function spanOf({ limits, runs, pods, seen }: JobEvidence): [number, number] {
  const times = [
    ...limits.map(({ sentMs }) => sentMs),
    ...runs.map(({ startMs }) => startMs),
    ...pods.map(({ endMs }) => endMs),
    ...seen.map(({ atMs }) => atMs),
  ];
  return [Math.min(...times), Math.max(...times)];
}

function isOfAnother(text: string, name: string): boolean {
  const owner = /^(?:Job|pod|work queue) ([a-z]+-\d+)/.exec(text)?.[1];
  return owner !== undefined && owner !== name;
}
