/** What @types/node leaves out of WebAssembly, which is there in every runtime. */
declare namespace WebAssembly {
  /** Opaque. Where lib.dom is loaded as well, the two declarations merge. */
  type Module = object;
  function compile(bytes: Uint8Array): Promise<Module>;
  function instantiate(module: Module, imports: Record<string, Record<string, unknown>>): Promise<Instance>;
}
