import { swiftShader } from '../runner/servers.ts';

/** Makes every WebGPU device of this process and its children SwiftShader, whatever GPU the machine has. */
export function useSwiftShader(): void {
  const manifest = swiftShader.find();
  if (manifest === null) throw new Error('SwiftShader is not installed: apt-get install chromium');
  process.env.VK_ICD_FILENAMES = manifest;
  process.env.VK_DRIVER_FILES = manifest;
}
