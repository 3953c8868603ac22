import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  childSpan,
  currentSpan,
  currentTrace,
  formatTraceparent,
  parseTraceparent,
  withTrace,
} from '../../verifier/trace.ts';

/** The examples of https://www.w3.org/TR/trace-context/#examples-of-http-traceparent-headers */
const SAMPLED = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01';
const NOT_SAMPLED = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00';

describe('a traceparent', () => {
  test('of the standard is read and written again', () => {
    expect(parseTraceparent(SAMPLED)).toEqual({
      traceId: '4bf92f3577b34da6a3ce929d0e0e4736',
      spanId: '00f067aa0ba902b7',
      sampled: true,
    });
    for (const text of [SAMPLED, NOT_SAMPLED]) expect(formatTraceparent(parseTraceparent(text)!)).toBe(text);
  });

  test('of a later version is read as far as it is known', () => {
    expect(parseTraceparent(SAMPLED.replace(/^00/, 'cc'))?.sampled).toBe(true);
    expect(parseTraceparent(`${SAMPLED.replace(/^00/, 'cc')}-what-the-future-will-be-like`)).not.toBeNull();
    expect(parseTraceparent(`${SAMPLED.replace(/^00/, 'cc')}.what`)).toBeNull();
  });

  test('keeps of its flags whether it is sampled', () => {
    const flags = (text: string) => parseTraceparent(SAMPLED.replace(/01$/, text))?.sampled;
    expect(['03', '02', 'ff', '00'].map(flags)).toEqual([true, false, true, false]);
  });

  const [version, trace, span, flags] = SAMPLED.split('-') as [string, string, string, string];
  test.each([
    ['nothing', undefined],
    ['two headers', [SAMPLED, SAMPLED]],
    ['two headers in one', `${SAMPLED}, ${SAMPLED}`],
    ['an empty one', ''],
    ['version ff', `ff-${trace}-${span}-${flags}`],
    ['version 00 with more fields', `${SAMPLED}-00`],
    ['a trace id of zeros', `${version}-${'0'.repeat(32)}-${span}-${flags}`],
    ['a span id of zeros', `${version}-${trace}-${'0'.repeat(16)}-${flags}`],
    ['capital digits', SAMPLED.toUpperCase()],
    ['a short trace id', `${version}-${trace.slice(1)}-${span}-${flags}`],
    ['a letter that is no digit', SAMPLED.replace('4bf9', '4bg9')],
    ['blanks around it', ` ${SAMPLED} `],
    ['a line behind it', `${SAMPLED}\n`],
    ['no flags', `${version}-${trace}-${span}`],
    ['another separator', SAMPLED.replaceAll('-', '_')],
    ['a long one', `01-${trace}-${span}-${flags}-${'x'.repeat(100_000)}`],
  ])('that is %s is none', (_, header) => {
    expect(parseTraceparent(header)).toBeNull();
  });

  test('is none or canonical, whatever comes', () => {
    fc.assert(
      fc.property(
        fc.oneof(fc.anything(), fc.stringMatching(/^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$/)),
        (header) => {
          const parsed = parseTraceparent(header);
          if (parsed !== null) expect(parseTraceparent(formatTraceparent(parsed))).toEqual(parsed);
        },
      ),
    );
  });
});

describe('a span', () => {
  test('belongs to its parent’s trace under an id of its own', () => {
    const parent = parseTraceparent(SAMPLED)!;
    const child = childSpan(parent);
    expect(child).toMatchObject({ traceId: parent.traceId, sampled: true });
    expect(child.spanId).not.toBe(parent.spanId);
    expect(parseTraceparent(formatTraceparent(child))).toEqual(child);
  });

  test('without a valid parent begins a trace that nobody else has', () => {
    const ids = Array.from({ length: 100 }, () => withTrace('garbage', () => currentSpan()!.traceId));
    expect(new Set(ids).size).toBe(100);
    for (const id of ids) expect(id).toMatch(/^[0-9a-f]{32}$/);
  });

  test('is there for everything that its work awaits, and for nothing beside it', async () => {
    const seen = async () => {
      await new Promise((resolve) => setTimeout(resolve, 1));
      return currentTrace();
    };
    const [one, other, none] = await Promise.all([
      withTrace(SAMPLED, seen),
      withTrace(undefined, seen),
      seen(),
    ]);
    expect(parseTraceparent(one)?.traceId).toBe('4bf92f3577b34da6a3ce929d0e0e4736');
    expect(parseTraceparent(other)?.traceId).not.toBe('4bf92f3577b34da6a3ce929d0e0e4736');
    expect(none).toBeNull();
  });
});
