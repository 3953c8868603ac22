import { PROGRAM_RIVALS, SLOW_RIVALS } from '../../bench/pulse/rivals/index.ts';
import { testRivals } from '../helpers/rival-cases.ts';

// Run here, not mocked: what the benchmark says of them is said of these programs.
testRivals([...PROGRAM_RIVALS, ...SLOW_RIVALS]);
