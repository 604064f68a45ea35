import {
  formatTraceParent,
  parseTraceParent,
  TRACEPARENT_ANNOTATION,
  TRACESTATE_ANNOTATION,
  type TraceParent,
} from '@drover/shared';
import type { Claim } from '@drover/store';
import {
  context,
  createTraceState,
  ROOT_CONTEXT,
  SpanKind,
  SpanStatusCode,
  trace,
  type Context,
  type Span,
  type Tracer,
} from '@opentelemetry/api';

import type { DeliveredItem } from './items/deliveredItem.ts';
import type { JobFacts } from './jobPlan.ts';
import type { PodEnd } from './runtime.ts';

const tracer = (): Tracer => trace.getTracer('@drover/worker');

/** A pod that is traced. */
export interface TracedPod {
  readonly name: string;
  readonly uid: string;
  /** null: its Job is not Indexed. */
  readonly index: number | null;
}

/**
 * The trace that a Job was submitted in: its pods' attempts are spans of it. Jobs without one are not traced, so that
 * tracing costs nothing where nobody asked for it.
 */
export class JobTrace {
  readonly #parent: Context;
  readonly #facts: JobFacts;
  readonly #createdMs: number;
  /** Of the pods that run, by number. */
  readonly #parents = new Map<number, string>();

  private constructor(parent: TraceParent, facts: JobFacts, createdMs: number) {
    const state = facts.annotations[TRACESTATE_ANNOTATION];
    this.#parent = trace.setSpanContext(ROOT_CONTEXT, {
      ...parent,
      isRemote: true,
      ...(state === undefined ? {} : { traceState: createTraceState(state) }),
    });
    this.#facts = facts;
    this.#createdMs = createdMs;
  }

  /** That of a Job; null when it was submitted without one. */
  static of(facts: JobFacts, createdMs: number): JobTrace | null {
    const parent = parseTraceParent(facts.annotations[TRACEPARENT_ANNOTATION]);
    return parent === null ? null : new JobTrace(parent, facts, createdMs);
  }

  /** What a program finds as TRACEPARENT: its pod's attempt. */
  traceParentOf(podNumber: number): string | undefined {
    return this.#parents.get(podNumber);
  }

  /** A pod starts. */
  begin({ podNumber }: Claim, { name, uid, index }: TracedPod): PodAttempt {
    // That the first one starts ends the waiting of the Job; what later ones waited for is not known here.
    if (podNumber === 1) this.#noteWait();
    const attributes = {
      'k8s.namespace.name': this.#facts.namespace,
      'k8s.job.name': this.#facts.name,
      'k8s.job.uid': this.#facts.uid,
      'k8s.pod.name': name,
      'k8s.pod.uid': uid,
      ...(index === null ? {} : { 'drover.completion_index': index }),
    };
    const options = { kind: SpanKind.CONSUMER, attributes };
    const span = tracer().startSpan('drover.attempt', options, this.#parent);
    this.#parents.set(podNumber, formatTraceParent(span.spanContext()));
    return new PodAttempt(span, this.#parent, () => this.#parents.delete(podNumber));
  }

  #noteWait(): void {
    const nowMs = Date.now();
    // The clock of Redis may be ahead of this one.
    const startTime = Math.min(this.#createdMs, nowMs);
    tracer().startSpan('drover.wait', { startTime }, this.#parent).end(nowMs);
  }
}

/** One attempt of a pod, as a span. */
export class PodAttempt {
  readonly #span: Span;
  readonly #context: Context;
  readonly #onEnd: () => void;

  constructor(span: Span, parent: Context, onEnd: () => void) {
    this.#span = span;
    this.#context = trace.setSpan(parent, span);
    this.#onEnd = onEnd;
  }

  /** Calls with the span as the active one: what is begun in it is a child. */
  run(start: () => void): void {
    context.with(this.#context, start);
  }

  /** The pod ended. */
  end({ outcome, exitCode, reason }: Pick<PodEnd, 'outcome' | 'exitCode' | 'reason'>): void {
    this.#onEnd();
    this.#span.setAttributes({ 'drover.exit_code': exitCode, 'drover.reason': reason });
    if (outcome === 'Failed') this.#span.setStatus({ code: SpanStatusCode.ERROR, message: reason });
    this.#span.end();
  }
}

/** How an item left its pod's hands. */
export type ItemSpanEnd = 'completed' | 'failed' | 'given back';

/** An item in the hands of a pod, as a span. */
export class ItemSpan {
  readonly #span: Span;

  private constructor(span: Span) {
    this.#span = span;
  }

  /** @param parent - Where the pod asked for its items. @returns null when that is in no span. */
  static of(parent: Context, { id, attemptsMade }: DeliveredItem): ItemSpan | null {
    if (trace.getSpan(parent) === undefined) return null;
    const attributes = { 'drover.item.id': id, 'drover.item.attempt': attemptsMade + 1 };
    return new ItemSpan(tracer().startSpan('drover.item', { attributes }, parent));
  }

  /** It was said what became of it, or the pod has it no more. */
  end(how: ItemSpanEnd): void {
    this.#span.setAttribute('drover.item.end', how);
    if (how === 'failed') this.#span.setStatus({ code: SpanStatusCode.ERROR });
    this.#span.end();
  }
}
