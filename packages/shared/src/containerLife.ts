/** What a container's own fields say of its restarts, and of what runs after its start and before its end. */

import * as z from 'zod';

import {
  duplicate,
  forbidden,
  invalid,
  required,
  tooMany,
  type ValidationIssue,
} from './issues.ts';

/** Which exit codes a rule is about. */
const RestartRuleOnExitCodes = z.strictObject({
  /** Whether the exit code must be one of the values, or none of them. */
  operator: z.enum(['In', 'NotIn']),
  /** Exit codes, each once, 1 to 255 of them. */
  values: z.array(z.int32()),
});

/** Starts a container again that ended with some exit code, whatever its restartPolicy. */
export const ContainerRestartRule = z.strictObject({
  /** Only `Restart`. */
  action: z.enum(['Restart']),
  /** Which exit codes; must be set. */
  exitCodes: RestartRuleOnExitCodes.optional(),
});
/** Starts a container again that ended with some exit code, whatever its restartPolicy. */
export type ContainerRestartRule = z.output<typeof ContainerRestartRule>;

/** What is done at a moment of a container's life: exactly one of these. */
const LifecycleHandler = z.strictObject({
  /** Runs a program with the container's environment, directory, volumes and user. */
  exec: z
    .strictObject({
      /** Program and arguments, no shell. */
      command: z.array(z.string()).optional(),
    })
    .optional(),
  /** Waits. */
  sleep: z
    .strictObject({
      /** How long, 0 to the pod's grace period. */
      seconds: z.int(),
    })
    .optional(),
  /** Refused. */
  httpGet: z.unknown().optional(),
  /** Refused. */
  tcpSocket: z.unknown().optional(),
});
/** What is done at a moment of a container's life: exactly one of these. */
export type LifecycleHandler = z.output<typeof LifecycleHandler>;

/** Hooks of a container. */
export const Lifecycle = z.strictObject({
  /** Right after its program was started; it is ready when this succeeded, and is stopped when it failed. */
  postStart: LifecycleHandler.optional(),
  /** Before its program is told to stop, within the grace period. Not when it ends by itself. */
  preStop: LifecycleHandler.optional(),
  /** Refused. */
  stopSignal: z.unknown().optional(),
});
/** Hooks of a container. */
export type Lifecycle = z.output<typeof Lifecycle>;

/** What of a container is checked here. */
interface ContainerLife {
  readonly restartPolicy?: string | undefined;
  readonly restartPolicyRules?: readonly ContainerRestartRule[] | undefined;
  readonly lifecycle?: Lifecycle | undefined;
}

const MAX_RULES = 20;
const MAX_EXIT_CODES = 255;

/** Whether one of the rules starts a container again that ended so. */
export function isRestartedByRule(
  rules: readonly ContainerRestartRule[],
  exitCode: number,
): boolean {
  return rules.some(({ exitCodes }) => {
    if (exitCodes === undefined) return false;
    return exitCodes.values.includes(exitCode) === (exitCodes.operator === 'In');
  });
}

/**
 * What is wrong with the restarts and hooks of a container.
 *
 * @param isInit - It is an initContainer.
 * @param graceSeconds - Grace period of its pod.
 */
export function containerLifeIssues(
  { restartPolicy, restartPolicyRules: rules = [], lifecycle }: ContainerLife,
  path: string,
  { isInit, graceSeconds }: { readonly isInit: boolean; readonly graceSeconds: number },
): ValidationIssue[] {
  const issues = restartRulesIssues(rules, `${path}.restartPolicyRules`);
  if (rules.length > 0 && restartPolicy === undefined) {
    const detail = 'must specify restartPolicy when restart rules are used';
    issues.push(required(`${path}.restartPolicy`, detail));
  }
  const isSidecar = isInit && restartPolicy === 'Always';
  if (isSidecar && rules.length > 0) {
    issues.push(forbidden(`${path}.restartPolicyRules`, 'a sidecar is started again in any case'));
  }
  if (lifecycle === undefined) return issues;
  const here = `${path}.lifecycle`;
  if (isInit && !isSidecar) {
    issues.push(forbidden(here, 'may not be set for init containers without restartPolicy=Always'));
  }
  for (const name of ['postStart', 'preStop'] as const) {
    const hook = lifecycle[name];
    if (hook !== undefined) issues.push(...hookIssues(hook, `${here}.${name}`, graceSeconds));
  }
  return issues;
}

function restartRulesIssues(
  rules: readonly ContainerRestartRule[],
  path: string,
): ValidationIssue[] {
  const issues: ValidationIssue[] = [];
  if (rules.length > MAX_RULES) issues.push(tooMany(path, rules.length, MAX_RULES));
  for (const [at, { exitCodes }] of rules.entries()) {
    const here = `${path}[${at}].exitCodes`;
    if (exitCodes === undefined) {
      issues.push(required(here));
      continue;
    }
    const { values } = exitCodes;
    if (values.length === 0) issues.push(required(`${here}.values`));
    if (values.length > MAX_EXIT_CODES) {
      issues.push(tooMany(`${here}.values`, values.length, MAX_EXIT_CODES));
    }
    const seen = new Set<number>();
    for (const [position, value] of values.entries()) {
      if (seen.has(value)) issues.push(duplicate(`${here}.values[${position}]`, value));
      seen.add(value);
    }
  }
  return issues;
}

function hookIssues(
  { exec, sleep, httpGet, tcpSocket }: LifecycleHandler,
  path: string,
  graceSeconds: number,
): ValidationIssue[] {
  const issues: ValidationIssue[] = [];
  const kinds = [exec, sleep, httpGet, tcpSocket].filter((kind) => kind !== undefined);
  if (kinds.length === 0) issues.push(required(path, 'must specify a handler type'));
  if (kinds.length > 1) {
    issues.push(forbidden(path, 'may not specify more than 1 handler type'));
  }
  const { command = [] } = exec ?? {};
  if (exec !== undefined && command.length === 0) issues.push(required(`${path}.exec.command`));
  if (sleep !== undefined && !(sleep.seconds >= 0 && sleep.seconds <= graceSeconds)) {
    const detail = `must be non-negative and less than terminationGracePeriodSeconds (${graceSeconds})`;
    issues.push(invalid(`${path}.sleep.seconds`, sleep.seconds, detail));
  }
  return issues;
}
