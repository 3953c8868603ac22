import { join } from 'node:path';
import { become, ensureInstalled, NODE_FLAGS, nodePath, root } from './runtime.mjs';

ensureInstalled();
become(nodePath(), [...NODE_FLAGS, join(root, 'test', 'runner', 'main.ts'), ...process.argv.slice(2)]);
