/**
 * Preloaded into a process (`--import`), it makes its clock say something else: CHAOS_CLOCK_MS is added to it. The
 * monotonic clock, timers and `performance` stay right, as on a machine whose time of day is wrong.
 */
const offsetMs = Number(process.env['CHAOS_CLOCK_MS'] ?? 0);
const TrueDate = Date;

class WrongDate extends TrueDate {
  constructor(...args: [] | [string | number | Date]) {
    // What is given is taken as it is; only what the time is now is wrong.
    super(...((args.length === 0 ? [WrongDate.now()] : args) as [number]));
  }

  static override now(): number {
    return TrueDate.now() + offsetMs;
  }
}

if (offsetMs !== 0) globalThis.Date = WrongDate as DateConstructor;
