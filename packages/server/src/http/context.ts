import assert from 'node:assert/strict';

import type { FastifyReply, FastifyRequest } from 'fastify';

import type { User } from '../access/user.ts';
import { isJsonObject, textOf, type ApiObject, type JsonObject } from '../api/object.ts';
import type { Resource } from '../api/resource.ts';
import { jsonOf, metadataJsonOf } from '../api/json.ts';
import { rowJson, tableJson, type IncludeObject, type TableDefinition } from '../api/table.ts';
import { negotiateForm } from './accept.ts';
import type { RawBody } from './bodies.ts';
import { param, type Query } from './query.ts';
import { badRequest, methodNotAllowed } from './status.ts';

/** Parameters in the paths of resources. */
export interface PathParams {
  readonly namespace?: string;
  readonly name?: string;
}

/** Refuses an object that may not come into its namespace. */
export type Admission = (object: {
  /** Group and name of its kind, as in `jobs.batch`. */
  readonly resource: string;
  readonly name: string;
  readonly namespace: string;
}) => Promise<void>;

/** A request about a resource, with what answers it. */
export class Context {
  readonly resource: Resource;
  readonly request: FastifyRequest;
  readonly reply: FastifyReply;
  /** Aborted when the server ends. */
  readonly closing: AbortSignal;
  readonly #admission: Admission;
  readonly #warnings = new Set<string>();

  constructor(
    resource: Resource,
    request: FastifyRequest,
    reply: FastifyReply,
    { closing, admission }: { readonly closing: AbortSignal; readonly admission: Admission },
  ) {
    this.resource = resource;
    this.request = request;
    this.reply = reply;
    this.closing = closing;
    this.#admission = admission;
  }

  /** The namespace in the path; null for a request about all of them. */
  get namespace(): string | null {
    return (this.request.params as PathParams).namespace ?? null;
  }

  /** The name in the path; empty for a request about many. */
  get name(): string {
    return (this.request.params as PathParams).name ?? '';
  }

  /** Who sent it. */
  get user(): User {
    const { user } = this.request;
    assert(user !== null, 'what is about objects is never open to everybody');
    return user;
  }

  get query(): Query {
    return this.request.query as Query;
  }

  get body(): RawBody {
    const bytes = this.request.body instanceof Buffer ? this.request.body : Buffer.alloc(0);
    return { contentType: this.request.headers['content-type'], bytes };
  }

  /** Tells the client something beside the answer. */
  readonly warn = (text: string): void => {
    this.#warnings.add(text);
  };

  /** Asks whether a new object may come into its namespace. @throws NotFoundError, ApiError */
  async admit(object: JsonObject): Promise<void> {
    const { namespace, resource } = this;
    if (namespace === null) return;
    const { name, generateName } = isJsonObject(object['metadata']) ? object['metadata'] : {};
    const { plural, group } = resource;
    await this.#admission({
      resource: group === '' ? plural : `${plural}.${group}`,
      name: textOf(name || generateName || ''),
      namespace,
    });
  }

  /** Notes the name that an object was given. */
  noteName(name: string): void {
    const { audited } = this.request;
    if (audited !== null) this.request.audited = { ...audited, name };
  }

  /** Answers with an object, in the form that the client wants. */
  async sendObject(code: number, object: ApiObject): Promise<void> {
    switch (negotiateForm(this.request.headers.accept)) {
      case 'Object':
        return await this.sendText(code, jsonOf(object));
      case 'PartialObjectMetadata':
        return await this.sendText(code, metadataJsonOf(object));
      case 'Table': {
        const { resourceVersion = '' } = object.metadata;
        return await this.sendText(code, this.table([object], { resourceVersion }));
      }
    }
  }

  /** Answers with JSON, and the warnings that there were. */
  async send(code: number, body: unknown): Promise<void> {
    await this.sendText(code, JSON.stringify(body));
  }

  /** As {@link send}, of what is JSON already. */
  async sendText(code: number, json: string): Promise<void> {
    this.#addWarnings();
    await this.reply.code(code).type('application/json').send(json);
  }

  /** The table of some objects, as JSON. */
  table(objects: readonly ApiObject[], metadata: object): string {
    const definition = this.resource.table as TableDefinition<ApiObject>;
    const include = this.includeObject();
    const nowMs = Date.now();
    const rows = objects.map((object) => rowJson(definition, object, include, nowMs));
    return tableJson(definition, rows, { metadata, withColumns: true });
  }

  /** How much of each object the rows of a table carry. */
  includeObject(): IncludeObject {
    const value = param(this.query, 'includeObject') ?? '';
    if (value === '') return 'Metadata';
    if (value === 'None' || value === 'Metadata' || value === 'Object') return value;
    throw badRequest(`unrecognized includeObject value: "${value}"`);
  }

  /** What is asked for is not done with objects of this kind. */
  notDone(): Error {
    return methodNotAllowed('the server does not allow this method on the requested resource');
  }

  #addWarnings(): void {
    if (this.#warnings.size === 0) return;
    // 299: a warning that is not about the answer itself. Control characters would end the header.
    const texts = [...this.#warnings].map((text) => {
      const plain = text.replace(/[^\x20-\x7e]+/g, ' ').replace(/["\\]/g, '\\$&');
      return `299 - "${plain}"`;
    });
    void this.reply.header('warning', texts);
  }
}
