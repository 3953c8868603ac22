/** Prints the adapter that Dawn finds with the Vulkan driver that the environment names, as JSON; `null` for none. */
import { writeSync } from 'node:fs';

interface Dawn {
  readonly globals: object;
  create(options: string[]): {
    requestAdapter(options: object): Promise<{
      readonly info: {
        readonly [name in 'vendor' | 'architecture' | 'device' | 'description']: string;
      } & { readonly isFallbackAdapter?: boolean };
    } | null>;
  };
}

const dawn = (await import('webgpu')) as unknown as Dawn;
Object.assign(globalThis, dawn.globals);
const adapter = await dawn.create([]).requestAdapter({ powerPreference: 'high-performance' });
const { vendor, architecture, device, description, isFallbackAdapter } = adapter?.info ?? {};
writeSync(
  1,
  JSON.stringify(
    adapter && { vendor, architecture, device, description, emulated: isFallbackAdapter === true },
  ),
);
// Dawn keeps Node alive.
process.exit(0);
