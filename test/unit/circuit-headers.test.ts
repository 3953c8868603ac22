import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';

const FOLDER = new URL('../../circuits/', import.meta.url);

/** Each template of circuits/ and the comment right above it. */
const TEMPLATES = readdirSync(FOLDER)
  .filter((file) => file.endsWith('.circom'))
  .flatMap((file) => {
    const text = readFileSync(new URL(file, FOLDER), 'utf8');
    return [...text.matchAll(/((?:^\/\/.*\n)*)^template (\w+)\(/gm)].map(([, header, name]) => ({
      name: name!,
      header: header!.replace(/\n\/\/ */g, ' '),
    }));
  });

describe.each(TEMPLATES)('the template $name', ({ name, header }) => {
  it('states its relation, its signals’ ranges and where they are enforced', () => {
    expect(header).toMatch(/Relation: +\S/);
    expect(header).toMatch(/Ranges: +\S/);
    expect(header).toMatch(/enforced here|left to the caller|any field elements|SpotCheck's/);
  });

  it('says in its name whether it leaves a range to its caller', () => {
    expect(/left to the caller/.test(header)).toBe(name.includes('Unchecked'));
  });
});
