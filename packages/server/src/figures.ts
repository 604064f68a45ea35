import { Distribution, SHORT_TIME_BOUNDS } from '@drover/shared';

/** What a request is about, as far as it is known. */
interface RequestAttributes {
  readonly verb: string;
  readonly resource: string;
  readonly subresource: string;
}

/** How many requests of one sort were answered. */
export interface RequestFigures {
  /** As in Kubernetes: `get`, `list`, `watch`, `create`, ...; '' = none of a resource. */
  readonly verb: string;
  /** Plural, with its subresource: `pods/log`; '' = another path, or one whose user was refused. */
  readonly resource: string;
  /** HTTP status. */
  readonly code: number;
  count: number;
}

/** What a server answered since it was made, kept in memory. The same object for good: it grows while it is held. */
export class ServerFigures {
  readonly #requests = new Map<string, RequestFigures>();
  readonly #times = new Map<string, Distribution>();
  /** Watches that are open. */
  watches = 0;

  /** By verb, resource and code. */
  get requests(): readonly RequestFigures[] {
    return [...this.#requests.values()];
  }

  /** By verb, how long requests took, seconds; without watches, which take as long as their client wants. */
  get times(): ReadonlyMap<string, Distribution> {
    return this.#times;
  }

  /** A request was answered to its end. @param tookMs - Since it came. */
  noteAnswer(attributes: RequestAttributes | null | undefined, code: number, tookMs: number): void {
    const verb = attributes?.verb ?? '';
    const { resource: plural = '', subresource = '' } = attributes ?? {};
    const resource = subresource === '' ? plural : `${plural}/${subresource}`;
    const key = `${verb} ${resource} ${code}`;
    const known = this.#requests.get(key);
    if (known === undefined) this.#requests.set(key, { verb, resource, code, count: 1 });
    else known.count += 1;
    if (verb === 'watch') return;
    let times = this.#times.get(verb);
    if (times === undefined) this.#times.set(verb, (times = new Distribution(SHORT_TIME_BOUNDS)));
    times.note(tookMs / 1_000);
  }

  /** Counts a watch while it is served. */
  async watched(serve: () => Promise<void>): Promise<void> {
    this.watches += 1;
    try {
      await serve();
    } finally {
      this.watches -= 1;
    }
  }
}
