import type { ZodType } from 'zod';
import { z } from 'zod';
import { failureSchema } from '../src/protocol/api.ts';
import { CODES, type Code } from '../src/protocol/codes.ts';
import { clientFrameSchema, serverFrameSchema } from '../src/protocol/wire.ts';
import { COMPONENTS, ROUTES, type Route } from './routes.ts';

type Schema = Record<string, unknown>;

/** Codes that every route may answer. */
const COMMON: readonly Code[] = ['BAD_REQUEST', 'TOO_MANY_REQUESTS', 'INTERNAL'];

/** The OpenAPI 3.1 document of the gateway, from the schemas that it parses with. */
export function openApiDocument(): Schema {
  const paths: Record<string, Schema> = {};
  for (const route of ROUTES) {
    const path = templated(route.path);
    paths[path] = { ...paths[path], [route.method]: operation(route) };
  }
  paths['/v1/events'] = { get: eventsOperation() };
  return {
    openapi: '3.1.1',
    info: {
      title: 'GRAIL verifier',
      version: '1',
      description:
        'Everything that a verifier decides stands in its ledger; this is how to read it and how miners add to it. ' +
        'Every failure is {error: {code, message, details}} under the code’s own status.',
      license: { name: 'GPL-3.0-or-later', identifier: 'GPL-3.0-or-later' },
    },
    paths,
    components: { schemas: components() },
  };
}

/** Express's `/a/:b` as OpenAPI's `/a/{b}`. */
export function templated(path: string): string {
  return path.replaceAll(/:([a-z]+)/gi, '{$1}');
}

function operation(route: Route): Schema {
  return {
    operationId: operationId(route),
    summary: route.summary,
    parameters: [...parameters('path', route.params), ...parameters('query', route.query)],
    ...(route.body === undefined
      ? {}
      : {
          requestBody: { required: true, content: { 'application/json': { schema: reference(route.body) } } },
        }),
    responses: { 200: success(route.answer), ...failures([...COMMON, ...route.codes]) },
  };
}

function operationId({ method, path }: Route): string {
  const words = path.split('/').filter((word) => word !== '' && word !== 'v1');
  return [method, ...words.map((word) => (word.startsWith(':') ? `by-${word.slice(1)}` : word))].join('-');
}

function success(answer: string): Schema {
  if (answer === 'blob') {
    return {
      description: 'the bytes',
      content: { 'application/octet-stream': { schema: { type: 'string', format: 'binary' } } },
    };
  }
  if (answer === 'metrics') {
    return { description: 'the metrics', content: { 'text/plain': { schema: { type: 'string' } } } };
  }
  const schema = answer === 'openapi' ? { type: 'object' } : reference(answer);
  return { description: 'success', content: { 'application/json': { schema } } };
}

/** One response for each status, which lists its codes. */
function failures(codes: readonly Code[]): Record<string, Schema> {
  const byStatus = new Map<number, Code[]>();
  for (const code of codes) {
    const { status } = CODES[code];
    byStatus.set(status, [...(byStatus.get(status) ?? []), code]);
  }
  const responses: Record<string, Schema> = {};
  for (const [status, list] of [...byStatus].sort(([a], [b]) => a - b)) {
    responses[status] = {
      description: list.map((code) => `${code}: ${CODES[code].doc}`).join('\n'),
      content: { 'application/json': { schema: reference('Failure') } },
    };
  }
  return responses;
}

function eventsOperation(): Schema {
  return {
    operationId: 'get-events',
    summary: 'Events as they happen: a WebSocket',
    description:
      'Text frames of JSON, one object a frame: a client sends ClientFrame, the verifier ServerFrame. Close codes are ' +
      '4000 plus the status of the error’s code, with the code as the reason.',
    parameters: [],
    responses: {
      101: { description: 'the socket is open' },
      ...failures([...COMMON, 'STOPPED']),
    },
  };
}

function parameters(place: 'path' | 'query', schema: z.ZodObject | undefined): Schema[] {
  if (schema === undefined) return [];
  const { properties = {}, required = [] } = jsonSchema(schema) as {
    properties?: Record<string, Schema>;
    required?: string[];
  };
  return Object.entries(properties).map(([name, value]) => ({
    name,
    in: place,
    required: required.includes(name),
    schema: value,
  }));
}

function reference(name: string): Schema {
  return { $ref: `#/components/schemas/${name}` };
}

/** What is sent, not what parsing makes of it: `input`. */
const OPTIONS = { io: 'input', target: 'draft-2020-12' } as const;

function jsonSchema(schema: ZodType): Schema {
  return z.toJSONSchema(schema, OPTIONS) as Schema;
}

function components(): Record<string, Schema> {
  const registry = z.registry<{ id: string }>();
  const named = {
    ...COMPONENTS,
    Failure: failureSchema,
    ClientFrame: clientFrameSchema,
    ServerFrame: serverFrameSchema,
  };
  for (const [id, schema] of Object.entries(named)) registry.add(schema, { id });
  const { schemas } = z.toJSONSchema(registry, { ...OPTIONS, uri: (id) => `#/components/schemas/${id}` });
  const plain: Record<string, Schema> = {};
  for (const [name, schema] of Object.entries(schemas as Record<string, Schema>)) {
    // Components are parts of one document: they have no address or dialect of their own.
    const { $id, $schema, $defs, ...rest } = schema;
    if (name !== SHARED) plain[name] = rest;
    for (const [inner, definition] of Object.entries(($defs ?? {}) as Record<string, Schema>)) {
      plain[sharedName(inner)] = definition;
    }
  }
  return redirected(plain) as Record<string, Schema>;
}

/** Where zod puts schemas that several components share, and how it refers to them. */
const SHARED = '__shared';
const SHARED_REFERENCE = /^#\/components\/schemas\/__shared#\/\$defs\/(.+)$/;

function sharedName(inner: string): string {
  return `Shared-${inner}`;
}

/** Points references to shared schemas at the components that they became. */
function redirected(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(redirected);
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).map(([name, inner]) => {
    const shared = name === '$ref' && typeof inner === 'string' ? SHARED_REFERENCE.exec(inner) : null;
    if (shared === null) return [name, redirected(inner)];
    return [name, `#/components/schemas/${sharedName(shared[1]!)}`];
  });
  return Object.fromEntries(entries);
}
