import {
  formatTraceParent,
  TRACEPARENT_ANNOTATION,
  TRACESTATE_ANNOTATION,
  type ObjectMeta,
} from '@drover/shared';
import { isSpanContextValid, SpanKind, SpanStatusCode, trace, type Span } from '@opentelemetry/api';

/**
 * Runs the submission of a Job as a span. Without an OpenTelemetry SDK in this process it is only run.
 *
 * @param submit - Gets the span, for {@link withTrace}.
 */
export async function submitting<T>(submit: (span: Span) => Promise<T>): Promise<T> {
  const tracer = trace.getTracer('@drover/sdk');
  const options = { kind: SpanKind.PRODUCER };
  return await tracer.startActiveSpan('drover.submit', options, async (span) => {
    try {
      return await submit(span);
    } catch (error) {
      span.recordException(error instanceof Error ? error : String(error));
      span.setStatus({ code: SpanStatusCode.ERROR });
      throw error;
    } finally {
      span.end();
    }
  });
}

/** Has the pods of a Job continue the trace of a span, unless its annotations name another one. */
export function withTrace(metadata: ObjectMeta, span: Span): ObjectMeta {
  const context = span.spanContext();
  const { annotations = {}, namespace, name } = metadata;
  if (!isSpanContextValid(context)) return metadata;
  span.setAttributes({
    ...(namespace === undefined ? {} : { 'k8s.namespace.name': namespace }),
    ...(name === undefined || name === '' ? {} : { 'k8s.job.name': name }),
  });
  if (annotations[TRACEPARENT_ANNOTATION] !== undefined) return metadata;
  const state = context.traceState?.serialize() ?? '';
  const trail = state === '' ? {} : { [TRACESTATE_ANNOTATION]: state };
  const parent = { [TRACEPARENT_ANNOTATION]: formatTraceParent(context) };
  return { ...metadata, annotations: { ...annotations, ...parent, ...trail } };
}
