/** Annotation of a Job: the span that submitted it, as W3C Trace Context writes it (`00-<trace>-<span>-<flags>`). */
export const TRACEPARENT_ANNOTATION = 'drover.dev/traceparent';
/** Annotation of a Job: what tracing systems hand on with it, as W3C Trace Context writes it. */
export const TRACESTATE_ANNOTATION = 'drover.dev/tracestate';

/** A span that others may be children of. */
export interface TraceParent {
  /** 32 hex digits, not all 0. */
  readonly traceId: string;
  /** 16 hex digits, not all 0. */
  readonly spanId: string;
  /** Bits: 1 = the trace is sampled. */
  readonly traceFlags: number;
}

const TRACEPARENT =
  /^(?!ff)[\da-f]{2}-(?!0{32})([\da-f]{32})-(?!0{16})([\da-f]{16})-([\da-f]{2})(?:-.*)?$/;

/** Reads a `traceparent`; null when it is none, which W3C Trace Context wants to be as if there were none. */
export function parseTraceParent(text: string | undefined): TraceParent | null {
  const [, traceId, spanId, flags] = TRACEPARENT.exec(text ?? '') ?? [];
  if (traceId === undefined || spanId === undefined || flags === undefined) return null;
  return { traceId, spanId, traceFlags: Number.parseInt(flags, 16) };
}

/** Writes a `traceparent`. */
export function formatTraceParent({ traceId, spanId, traceFlags }: TraceParent): string {
  return `00-${traceId}-${spanId}-${(traceFlags & 0xff).toString(16).padStart(2, '0')}`;
}
