import type { Command, Option } from 'commander';

/** Something that the word at the cursor may become. */
export interface Candidate {
  readonly value: string;
  /** For shells that show one; may be empty. */
  readonly text: string;
}

/** What a shell is to do with a line that is typed. */
export interface Completion {
  /** `nospace`: the word is not at its end. `files`: the shell completes names of files. */
  readonly mode: 'words' | 'nospace' | 'files';
  readonly candidates: readonly Candidate[];
}

/** What an engine knows; nothing when it can't be reached. */
export interface Names {
  jobs(): Promise<readonly Candidate[]>;
  cronJobs(): Promise<readonly Candidate[]>;
  pods(): Promise<readonly Candidate[]>;
  nodes(): Promise<readonly Candidate[]>;
  configMaps(): Promise<readonly Candidate[]>;
  secrets(): Promise<readonly Candidate[]>;
  resourceQuotas(): Promise<readonly Candidate[]>;
  priorityClasses(): Promise<readonly Candidate[]>;
  workQueues(): Promise<readonly Candidate[]>;
  namespaces(): Promise<readonly Candidate[]>;
  pools(): Promise<readonly Candidate[]>;
}

/** A command line up to the word at the cursor. */
export interface Line {
  readonly command: Command;
  /** Arguments before the cursor, without options. */
  readonly positionals: readonly string[];
  /** Options with values that were given, by their attribute names. */
  readonly options: Readonly<Record<string, string>>;
  /** The option whose value is at the cursor. */
  readonly valueOf: Option | null;
  /** The rest belongs to a program that is run. */
  readonly isProgram: boolean;
  /** The word at the cursor, as far as it is typed. */
  readonly current: string;
}

/** Those that go on as the word begins. */
export function startingWith(
  current: string,
  completion: Completion | readonly Candidate[],
): Completion {
  const { mode, candidates } =
    'mode' in completion ? completion : { mode: 'words' as const, candidates: completion };
  return { mode, candidates: candidates.filter(({ value }) => value.startsWith(current)) };
}
