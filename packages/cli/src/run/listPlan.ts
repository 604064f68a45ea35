import { badInput } from '../errors.ts';
import { haltCount, type HaltRule } from './halt.ts';
import { readJoblog, type Joblog } from './joblog.ts';
import { hasReplacement, quoteForShell, Template, type ArgumentRow } from './template.ts';

/** One run of the command. */
export interface ListItem {
  /** Number of its arguments, from 1; with `--resume` some are left out. */
  readonly seq: number;
  readonly row: ArgumentRow;
}

/** A command with its arguments, as the user asked for it. */
export interface ListRequest {
  /** Words of the command; empty: the arguments are commands. */
  readonly command: readonly string[];
  readonly rows: readonly ArgumentRow[];
  readonly sourceCount: number;
  /** By a shell or not; null: only when the command is one word with something for a shell in it. */
  readonly shell: boolean | null;
  /** null: no tags. */
  readonly tagstring: string | null;
  readonly joblogPath: string | null;
  readonly resume: 'all' | 'failed' | null;
  readonly halt: HaltRule | null;
}

/** What is to be run. */
export interface ListPlan {
  readonly items: readonly ListItem[];
  /** `command` of the container; what an item adds follows it. */
  readonly command: readonly string[];
  /** `args` of the container for an item. */
  readonly argsOf: (item: ListItem) => string[];
  /** The command of an item as one line for a shell, for people and job logs. */
  readonly textOf: (item: ListItem) => string;
  /** What stands before each line of an item's output; '' = nothing. */
  readonly tagOf: (item: ListItem) => string;
  /** The job log that is gone on with; null: a new one. */
  readonly former: Joblog | null;
  readonly halt: { readonly rule: HaltRule; readonly count: number } | null;
}

/**
 * Decides what is run and how.
 *
 * @throws CliError for replacement strings without arguments, or a job log of another run.
 */
export function planList(request: ListRequest): ListPlan {
  const render = renderer(request);
  const all = request.rows.map((row, i) => ({ seq: i + 1, row }));
  const { joblogPath, resume } = request;
  const former = resume === null || joblogPath === null ? null : readJoblog(joblogPath);
  if (former !== null) checkSame(joblogPath ?? '', former, all, render.textOf);
  const items = all.filter(({ seq }) => {
    const run = former?.runs.get(seq);
    return run === undefined || (resume === 'failed' && run.hasFailed);
  });
  const { halt } = request;
  return {
    ...render,
    items,
    former,
    halt: halt === null ? null : { rule: halt, count: haltCount(halt, items.length) },
  };
}

/** Something in it is for a shell: white space, or what only a shell acts on. */
const FOR_SHELL = /[\s;&|<>()$`"'\\*?]/;

/** Whether a command is for a shell: one word that has something for a shell in it. */
export function isForShell(command: readonly string[]): boolean {
  return command.length === 1 && FOR_SHELL.test(command[0] ?? '');
}

function renderer(request: ListRequest): Pick<ListPlan, 'command' | 'argsOf' | 'textOf' | 'tagOf'> {
  const { command, sourceCount, tagstring } = request;
  const tag = tagstring === null ? null : new Template([tagstring], { appends: false });
  tag?.checkSources(sourceCount);
  const tagOf = ({ seq, row }: ListItem) => (tag === null ? '' : `${tag.text(row, seq)}\t`);
  if (command.length === 0) {
    const textOf = ({ row }: ListItem) => row.join(' ');
    return { command: ['sh', '-c'], argsOf: (item) => [textOf(item)], textOf, tagOf };
  }
  const template = new Template(command, { appends: true });
  template.checkSources(sourceCount);
  if (request.shell ?? isForShell(command)) {
    const textOf = ({ row, seq }: ListItem) => template.script(row, seq);
    return { command: ['sh', '-c'], argsOf: (item) => [textOf(item)], textOf, tagOf };
  }
  const wordsOf = ({ row, seq }: ListItem) => template.words(row, seq);
  const textOf = (item: ListItem) => wordsOf(item).map(quoteForShell).join(' ');
  const [program = ''] = command;
  if (!hasReplacement(program)) {
    return { command: [program], argsOf: (item) => wordsOf(item).slice(1), textOf, tagOf };
  }
  // A program that is an argument: exec makes it that, without reading the words again.
  return { command: ['sh', '-c', 'exec "$@"', 'sh'], argsOf: wordsOf, textOf, tagOf };
}

function checkSame(
  path: string,
  former: Joblog,
  items: readonly ListItem[],
  textOf: (item: ListItem) => string,
): void {
  const problems: string[] = [];
  for (const [seq, run] of former.runs) {
    const item = items[seq - 1];
    const now = item === undefined ? null : textOf(item);
    if (now === run.command) continue;
    const is = now === null ? `there are only ${items.length} arguments` : `it is now: ${now}`;
    problems.push(`  line ${run.line}: number ${seq} was: ${run.command}; ${is}`);
    if (problems.length === 5) break;
  }
  if (problems.length === 0) return;
  throw badInput(`--joblog ${path}: it is the log of another command or other arguments`, [
    ...problems,
    '  without --resume a new log takes its place',
  ]);
}
