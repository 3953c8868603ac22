/** Tells a listener; what it throws is its own bug, and neither ends the bus nor keeps others from hearing. */
export function hear(listener: (bytes: Uint8Array) => void, bytes: Uint8Array): void {
  try {
    listener(bytes);
  } catch (error) {
    process.emitWarning(
      `a listener of the bus failed: ${error instanceof Error ? error.stack : String(error)}`,
    );
  }
}
