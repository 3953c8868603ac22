import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { CODES } from '../../src/protocol/codes.ts';
import { createApp } from '../../verifier/app.ts';
import { HealthChecks } from '../../verifier/health.ts';
import { DEFAULT_LIMITS } from '../../verifier/limits.ts';
import { createMetrics } from '../../verifier/metrics/index.ts';
import { openApiDocument, templated } from '../../verifier/openapi.ts';
import { TokenBuckets } from '../../verifier/rates.ts';
import { KeptLog } from '../helpers/gateway.ts';
import { TestNetwork } from '../helpers/network.ts';

type Node = Record<string, unknown>;

const document = openApiDocument() as Node & {
  openapi: string;
  paths: Record<string, Record<string, Operation>>;
  components: { schemas: Record<string, Node> };
};

interface Operation {
  operationId: string;
  parameters: { name: string; in: string; required: boolean; schema: Node }[];
  requestBody?: { content: Record<string, { schema: Node }> };
  responses: Record<string, { description: string; content?: Record<string, { schema: Node }> }>;
}

function references(value: unknown): string[] {
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([name, inner]) =>
    name === '$ref' && typeof inner === 'string' ? [inner] : references(inner),
  );
}

function resolve(reference: string): unknown {
  expect(reference).toMatch(/^#\//);
  return reference
    .slice(2)
    .split('/')
    .reduce<unknown>((value, name) => (value as Node | undefined)?.[name], document);
}

describe('the OpenAPI document', () => {
  let network: TestNetwork;
  const log = new KeptLog();
  let routes: string[];

  beforeAll(() => {
    network = new TestNetwork();
    const now = () => 0;
    const requests = new TokenBuckets({ perSecond: 1, burst: 1 }, 1, now);
    const parts = { sequencer: network, blobs: network.blobs, limits: DEFAULT_LIMITS, log, now, requests };
    const app = createApp({
      ...parts,
      answerBytes: requests,
      metrics: createMetrics(),
      health: new HealthChecks(),
    });
    const stack = app.router.stack as unknown as {
      route?: { path: string; methods: Record<string, boolean> };
    }[];
    routes = stack.flatMap(({ route }) => {
      const methods = Object.keys(route?.methods ?? {}).filter((method) => method !== '_all');
      return methods.map((method) => `${method} ${templated(route!.path)}`);
    });
  });

  afterAll(() => network.remove());

  test('documents every route of the router, the socket, and nothing else', () => {
    const documented = Object.entries(document.paths).flatMap(([path, operations]) =>
      Object.keys(operations).map((method) => `${method} ${path}`),
    );
    expect(documented.sort()).toEqual([...routes, 'get /v1/events'].sort());
    expect(routes.length).toBeGreaterThan(10);
  });

  test('is version 3.1 and plain JSON', () => {
    expect(document.openapi).toMatch(/^3\.1\./);
    expect(JSON.parse(JSON.stringify(document))).toEqual(document);
  });

  test('has no reference that leads nowhere', () => {
    const all = references(document);
    expect(all.length).toBeGreaterThan(20);
    for (const reference of all) expect(typeof resolve(reference)).toBe('object');
  });

  test('declares every parameter of a path, as required', () => {
    for (const [path, operations] of Object.entries(document.paths)) {
      const inPath = [...path.matchAll(/\{([^}]+)\}/g)].map(([, name]) => name);
      for (const { parameters } of Object.values(operations)) {
        const declared = parameters.filter((parameter) => parameter.in === 'path');
        expect(declared.map(({ name }) => name)).toEqual(inPath);
        for (const { required, schema } of declared)
          expect([required, typeof schema.type]).toEqual([true, 'string']);
      }
    }
  });

  test('gives every operation a name of its own', () => {
    const names = Object.values(document.paths).flatMap((operations) =>
      Object.values(operations).map(({ operationId }) => operationId),
    );
    expect(new Set(names).size).toBe(names.length);
  });

  test('describes every failure by the shape that all failures have, under its code’s status', () => {
    for (const operations of Object.values(document.paths)) {
      for (const { responses } of Object.values(operations)) {
        const failures = Object.entries(responses).filter(([status]) => Number(status) >= 400);
        expect(failures.map(([status]) => status)).toEqual(expect.arrayContaining(['400', '429', '500']));
        for (const [status, { content, description }] of failures) {
          expect(content!['application/json']!.schema).toEqual({ $ref: '#/components/schemas/Failure' });
          for (const line of description.split('\n')) {
            const code = line.split(':')[0] as keyof typeof CODES;
            expect(CODES[code].status).toBe(Number(status));
          }
        }
      }
    }
  });

  test('says what a message looks like, fields that nobody knows excluded', () => {
    const { content } = document.paths['/v1/messages']!.post!.requestBody!;
    expect(content['application/json']!.schema).toEqual({ $ref: '#/components/schemas/Message' });
    const { oneOf } = document.components.schemas.Message as { oneOf: Node[] };
    expect(oneOf.length).toBe(5);
    for (const schema of oneOf) expect(schema.additionalProperties).toBe(false);
  });
});
