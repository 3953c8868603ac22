import { natsServer, type Program, postgres } from '../../deploy/servers/programs.ts';
import { anvil, chromium, swiftShader, vulkan, xdelta3, zstd } from './servers.ts';

/** A folder of test/. */
export interface Suite {
  readonly name: string;
  /** Files that run at once. Files that start processes mostly wait for them; those of servers get the machine for themselves. */
  readonly workers: number;
  readonly needs: readonly Program[];
}

/** The suites, in the order in which they run: quick ones first, so that a mistake shows early. */
export const SUITES: readonly Suite[] = [
  { name: 'vectors', workers: 2, needs: [] },
  { name: 'unit', workers: 2, needs: [] },
  { name: 'property', workers: 2, needs: [] },
  { name: 'integration', workers: 2, needs: [] },
  { name: 'services', workers: 1, needs: [postgres, natsServer] },
  { name: 'chain', workers: 1, needs: [anvil] },
  { name: 'programs', workers: 1, needs: [xdelta3, zstd] },
  { name: 'browser', workers: 1, needs: [chromium] },
  { name: 'gpu', workers: 1, needs: [chromium, swiftShader, vulkan] },
];
