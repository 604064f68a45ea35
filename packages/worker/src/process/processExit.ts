import { constants } from 'node:os';
import type { StartStep } from './frames.ts';

/** How a container ended, in the words of Kubernetes' `state.terminated`. */
export interface ProcessExit {
  /** 0..255; 128 + N when signal N ended it. */
  readonly exitCode: number;
  /** Name of the signal that ended the main process, such as `SIGKILL`; null = it exited. */
  readonly signal: NodeJS.Signals | null;
  /**
   * `Completed` (exit code 0), `Error` (any other end), `OOMKilled` (by the kernel, for lack of
   * memory), `StartError` (it never ran), or `ContainerStatusUnknown` (the helper died, so how it ended is not known: a loss, not a
   * fault of the program).
   */
  readonly reason: 'Completed' | 'Error' | 'OOMKilled' | 'StartError' | 'ContainerStatusUnknown';
  /** Text for people; empty when exit code and reason say it all. */
  readonly message: string;
  /** When it started, or failed to. ms since the epoch. */
  readonly startedAtMs: number;
  /** When it ended. ms since the epoch. */
  readonly finishedAtMs: number;
}

/** Exit code of a program that could not be started for another reason than itself, as in Kubernetes. */
const START_ERROR_CODE = 128;
/** What a shell answers for a command that does not exist. */
const NOT_FOUND_CODE = 127;
/** What a shell answers for a command that can not be executed. */
const NOT_EXECUTABLE_CODE = 126;
/** What Kubernetes shows for a container that was gone when its node came back. */
const UNKNOWN_CODE = 137;

const signalNames = new Map(
  Object.entries(constants.signals).map(([name, number]) => [number, name as NodeJS.Signals]),
);

/** How a program ended, in a few words. */
export function exitText({ exitCode, message }: ProcessExit): string {
  return message === '' ? `exit code ${exitCode}` : message;
}

/** The number of a signal; null for none. */
export function signalNumberOf(name: NodeJS.Signals | null): number | null {
  return name === null ? null : constants.signals[name];
}

/** The end of a program that ran. `signalNumber` is null when it exited by itself. */
export function exitOf(end: {
  exitCode: number | null;
  signalNumber: number | null;
  startedAtMs: number;
  finishedAtMs: number;
}): ProcessExit {
  const { signalNumber, startedAtMs } = end;
  const finishedAtMs = Math.max(startedAtMs, end.finishedAtMs);
  if (signalNumber === null) {
    const exitCode = end.exitCode ?? 255;
    const reason = exitCode === 0 ? 'Completed' : 'Error';
    return { exitCode, signal: null, reason, message: '', startedAtMs, finishedAtMs };
  }
  const signal = signalNames.get(signalNumber) ?? null;
  return {
    exitCode: 128 + signalNumber,
    signal,
    reason: 'Error',
    message: `terminated by signal ${signal ?? signalNumber} (${signalNumber})`,
    startedAtMs,
    finishedAtMs,
  };
}

/** The end of a program that never ran. */
export function startFailure(failure: {
  /** Name of the system's error, such as `ENOENT`, or a text. */
  errorCode: string;
  step: StartStep;
  command: string;
  workingDir: string;
  nowMs: number;
}): ProcessExit {
  const { exitCode, message } = explainStartFailure(failure);
  return {
    exitCode,
    signal: null,
    reason: 'StartError',
    message,
    startedAtMs: failure.nowMs,
    finishedAtMs: failure.nowMs,
  };
}

/** The end of a program that could not be started for a reason of its pod, in words. */
export function preparationFailure(message: string, nowMs: number): ProcessExit {
  return {
    exitCode: START_ERROR_CODE,
    signal: null,
    reason: 'StartError',
    message,
    startedAtMs: nowMs,
    finishedAtMs: nowMs,
  };
}

/** The end of a pod that was told to stop before its containers were started. */
export function stoppedExit(nowMs: number): ProcessExit {
  const message = 'told to stop before all of its containers were started';
  return {
    exitCode: 128 + constants.signals.SIGTERM,
    signal: null,
    reason: 'Error',
    message,
    startedAtMs: nowMs,
    finishedAtMs: nowMs,
  };
}

/** The end of a program whose helper died: it was killed, but by whom and when is not known. */
export function lostExit(message: string, startedAtMs: number, nowMs: number): ProcessExit {
  return {
    exitCode: UNKNOWN_CODE,
    signal: null,
    reason: 'ContainerStatusUnknown',
    message,
    startedAtMs,
    finishedAtMs: Math.max(startedAtMs, nowMs),
  };
}

function explainStartFailure(failure: {
  errorCode: string;
  step: StartStep;
  command: string;
  workingDir: string;
}): { exitCode: number; message: string } {
  const { errorCode, step } = failure;
  const command = JSON.stringify(failure.command);
  if (step === 'directory') {
    const directory = JSON.stringify(failure.workingDir);
    return {
      exitCode: START_ERROR_CODE,
      message: `working directory ${directory} can not be entered: does it exist on the worker, and may its user use it?`,
    };
  }
  if (step === 'mounts') {
    return {
      exitCode: START_ERROR_CODE,
      message:
        `its volumes can not be mounted (${errorCode}), and the worker has something at a mountPath; ` +
        'use another mountPath, or DROVER_VOLUME_<NAME>',
    };
  }
  if (step === 'input') {
    return {
      exitCode: START_ERROR_CODE,
      message: `${command} could not be started: its input can not be read (${errorCode})`,
    };
  }
  if (step === 'user') {
    return {
      exitCode: START_ERROR_CODE,
      message: `its user or groups can not be had (${errorCode}): that takes a worker that runs as root${
        errorCode === 'ENOSYS' ? ' and has the native process helper' : ''
      }`,
    };
  }
  if (step === 'cgroup') {
    return {
      exitCode: START_ERROR_CODE,
      message: `${command} could not be started in the cgroup that holds its limits: ${errorCode}`,
    };
  }
  if (step === 'other') {
    return { exitCode: START_ERROR_CODE, message: `${command} could not be started: ${errorCode}` };
  }
  switch (errorCode) {
    case 'ENOENT': {
      const where = failure.command.includes('/')
        ? 'no such file, or its interpreter is missing'
        : 'not found in its PATH';
      return { exitCode: NOT_FOUND_CODE, message: `command ${command}: ${where}` };
    }
    case 'ENOTDIR':
    case 'ELOOP':
    case 'ENAMETOOLONG':
      return { exitCode: NOT_FOUND_CODE, message: `command ${command}: ${errorCode}` };
    case 'EACCES':
    case 'EPERM':
      return {
        exitCode: NOT_EXECUTABLE_CODE,
        message: `command ${command}: permission denied; is it an executable file?`,
      };
    case 'ENOEXEC':
      return {
        exitCode: NOT_EXECUTABLE_CODE,
        message: `command ${command}: not a program for this machine`,
      };
    case 'E2BIG':
      return {
        exitCode: NOT_EXECUTABLE_CODE,
        message: `command ${command}: arguments and environment are longer than the system allows`,
      };
    default:
      return {
        exitCode: START_ERROR_CODE,
        message: `command ${command} could not be started: ${errorCode}`,
      };
  }
}
