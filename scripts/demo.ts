// `npm run demo`: an engine of its own in a temporary directory, two Jobs, and a worker that is
// killed while it runs some of their pods. Everything shown is what the commands themselves print.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { Drover, type Job, type Pod } from '@drover/sdk/client';

import { Board, indexOf } from './demo/board.ts';
import { Commands } from './demo/commands.ts';
import { piManifest } from './demo/pi.ts';
import { LiveLines, style } from './demo/screen.ts';

const COMPLETIONS = 10;
const INDEXED = 'mandelbrot';
/** The demo must end, whatever happens. */
const GIVE_UP_MS = 60_000;

const say = (text = ''): void => void process.stdout.write(`${text}\n`);
const command = (text: string): void => say(`\n${style('bold', `$ ${text}`)}`);
const good = (text: string): string => `  ${style('green', '✓')} ${text}`;
const bad = (text: string): string => `  ${style('red', '✗')} ${text}`;
const indent = (text: string): string => text.trimEnd().replace(/^/gm, '  ');
const plural = (count: number, noun: string): string => `${count} ${noun}${count === 1 ? '' : 's'}`;

async function demo(dir: string, commands: Commands): Promise<void> {
  const startedMs = Date.now();
  say(style('bold', 'Drover: Kubernetes Jobs without Kubernetes, on Redis and BullMQ'));

  command('drover dev --workers 2');
  const url = await commands.startDev(['--workers', '2', '--max-pods', '2']);
  const startSeconds = ((Date.now() - startedMs) / 1000).toFixed(1);
  say(good(`a private Redis, a controller and two workers run (${startSeconds} s)`));

  const pi = await piManifest(dir);
  const manifests = [pi.path, 'examples/indexed.yaml'];
  command(`drover apply ${manifests.map((path) => `-f ${path}`).join(' ')}`);
  say(
    style(
      'dim',
      `  pi: 1,000 digits of pi in ${pi.program}, as in the documentation of Kubernetes`,
    ),
  );
  say(
    style(
      'dim',
      `  ${INDEXED}: ${COMPLETIONS} pods, 3 at a time; each draws two rows of a picture`,
    ),
  );
  say();

  const drover = new Drover({ connection: url });
  try {
    await show(drover, commands, manifests);
  } finally {
    await drover.close();
  }
}

/** Runs both Jobs and shows what became of them. */
async function show(
  drover: Drover,
  commands: Commands,
  manifests: readonly string[],
): Promise<void> {
  const killed = await runJobs(drover, commands, manifests);

  command('drover logs job/pi');
  say(indent(wrap(await commands.drover('logs', 'job/pi'), 100)));

  command(`drover logs job/${INDEXED} --all-pods`);
  const rows = await pictureRows(drover);
  say(style('cyan', indent(rows.join('\n'))));

  const [jobs, pods] = await Promise.all([
    commands.drover('get', 'jobs'),
    commands.drover('get', 'pods', '-o', 'wide'),
  ]);
  command('drover get jobs');
  say(indent(jobs));
  command('drover get pods -o wide');
  say(indent(withoutEmptyColumns(pods)));

  const job = await drover.jobs.get(INDEXED);
  assertNothingLost(job, rows);
  const { succeeded, failed = 0, completedIndexes } = job.status;
  say();
  say(
    good(
      `nothing was lost: ${succeeded} of ${COMPLETIONS} indexes succeeded, each counted once (${completedIndexes})`,
    ),
  );
  say(
    good(
      `${plural(failed, 'pod')} died with worker ${killed}; what they drew ran again: ${await ranAgain(drover)}`,
    ),
  );
}

/** Follows both Jobs to their ends and kills a worker on the way; answers its name. */
async function runJobs(
  drover: Drover,
  commands: Commands,
  manifests: readonly string[],
): Promise<string> {
  const lines = new LiveLines();
  const board = new Board(lines, COMPLETIONS);
  const ending = new AbortController();
  const applied = await commands.drover('apply', ...manifests.flatMap((path) => ['-f', path]));
  say(indent(applied));
  say();
  let killed = '';
  const watchPi = async (): Promise<void> => {
    for await (const { job } of drover.jobs.watch({ name: 'pi', signal: ending.signal }))
      board.onPi(job);
  };
  const watchPods = async (): Promise<void> => {
    for await (const { pod } of drover.pods.watch({ job: INDEXED, signal: ending.signal })) {
      board.onPod(pod);
      const { node, running } = board.busiest();
      if (killed !== '' || board.done < 1 || running === 0) continue;
      killed = node;
      const pid = await killWorker(drover, node);
      // The watch may be behind: what the worker still reported before it died is not lost.
      for (const now of await drover.pods.list({ job: INDEXED })) board.onPod(now);
      const lost = board.onKilled(node);
      lines.print(
        bad(
          `kill -9 ${pid}: worker ${node} dies while it draws ${lost.length === 1 ? 'part' : 'parts'} ${lost.join(' and ')}`,
        ),
      );
      lines.print(
        style(
          'dim',
          '    its lease ends in at most 6 s; the others go on, and drover dev starts a new worker',
        ),
      );
    }
  };
  const watches = [watchPi(), watchPods()];
  await Promise.all([
    drover.jobs.wait('pi', { for: 'complete', timeoutMs: GIVE_UP_MS }),
    drover.jobs.wait(INDEXED, { for: 'complete', timeoutMs: GIVE_UP_MS }),
  ]);
  // The last events of the pods come at the same time as the Job's end.
  for (const pod of await drover.pods.list({ job: INDEXED })) board.onPod(pod);
  board.onPi(await drover.jobs.get('pi'));
  ending.abort();
  await Promise.all(watches);
  lines.close();
  return killed;
}

/** Where the indexes of failed pods succeeded in the end: `part 1 on dev-1, part 2 on dev-2`. */
async function ranAgain(drover: Drover): Promise<string> {
  const pods = await drover.pods.list({ job: INDEXED });
  const failed = new Set(pods.filter(({ status }) => status.phase === 'Failed').map(indexOf));
  return pods
    .filter((pod) => pod.status.phase === 'Succeeded' && failed.has(indexOf(pod)))
    .map((pod) => `part ${indexOf(pod)} on ${pod.spec.nodeName ?? ''}`)
    .join(', ');
}

async function killWorker(drover: Drover, name: string): Promise<number> {
  const node = await drover.nodes.get(name);
  const pid = Number(node.metadata.annotations?.['drover.dev/pid']);
  process.kill(pid, 'SIGKILL');
  return pid;
}

/** The rows that the pods which succeeded have drawn, in order. */
async function pictureRows(drover: Drover): Promise<string[]> {
  const drawn: Pod[] = [];
  for await (const pod of drover.pods.iterate({ job: INDEXED, phase: 'Succeeded' }))
    drawn.push(pod);
  const rows: string[] = [];
  for (const pod of drawn.toSorted((a, b) => indexOf(a) - indexOf(b))) {
    for await (const row of drover.pods.logs(pod)) rows.push(row.trimEnd());
  }
  return rows;
}

function assertNothingLost({ status }: Job, rows: readonly string[]): void {
  if (status.completedIndexes === `0-${COMPLETIONS - 1}` && rows.length === 2 * COMPLETIONS) return;
  throw new Error(`something was lost: ${JSON.stringify(status)}, ${rows.length} rows`);
}

function wrap(text: string, columns: number): string {
  return (text.trim().match(new RegExp(`.{1,${columns}}`, 'g')) ?? []).join('\n');
}

/** Columns of `-o wide` that say nothing here would only break the lines. */
function withoutEmptyColumns(table: string): string {
  return table.replace(/ +(NOMINATED NODE|<none>) +(READINESS GATES|<none>)$/gm, '');
}

async function main(): Promise<number> {
  const dir = await mkdtemp(join(tmpdir(), 'drover-demo-'));
  const commands = new Commands(dir);
  let interrupted = false;
  const onSignal = (): void => {
    interrupted = true;
    void commands.stop();
  };
  process.once('SIGINT', onSignal);
  process.once('SIGTERM', onSignal);
  // `npm run demo | head` closes our output: nobody looks on any more.
  process.stdout.on('error', onSignal);
  const startedMs = Date.now();
  try {
    await demo(dir, commands);
    await commands.stop();
    say(
      good(
        `everything is stopped and removed; the demo took ${((Date.now() - startedMs) / 1000).toFixed(0)} s`,
      ),
    );
    return 0;
  } catch (error) {
    if (interrupted) return 130;
    say(bad(error instanceof Error ? error.message : String(error)));
    say(style('dim', indent(await commands.lastLog())));
    return 1;
  } finally {
    await commands.stop();
    await rm(dir, { recursive: true, force: true });
  }
}

// Manifests are named as a reader would type them.
process.chdir(join(import.meta.dirname, '..'));
process.exitCode = await main();
