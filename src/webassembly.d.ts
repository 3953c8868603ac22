/** What @types/node leaves out of WebAssembly, which is there in every runtime. */
declare namespace WebAssembly {
  /** Opaque. Where lib.dom is loaded as well, the two declarations merge. */
  type Module = object;
  const Module: { new (bytes: Uint8Array): Module };
  const Instance: { new (module: Module, imports: Record<string, Record<string, unknown>>): Instance };
  const Memory: {
    new (pages: { readonly initial: number; readonly maximum?: number; readonly shared?: boolean }): Memory;
  };
  interface Memory {
    readonly buffer: ArrayBuffer;
    /** Adds 64 KiB pages; throws RangeError where there is no room. */
    grow(pages: number): number;
  }
  function validate(bytes: Uint8Array): boolean;
  function compile(bytes: Uint8Array): Promise<Module>;
  function instantiate(module: Module, imports: Record<string, Record<string, unknown>>): Promise<Instance>;
}
