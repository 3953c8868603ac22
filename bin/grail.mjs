#!/usr/bin/env node
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import {
  become,
  ensureInstalled,
  isCheckout,
  NODE_FLAGS,
  nodePath,
  root,
  supported,
  unsupported,
} from './runtime.mjs';

if (isCheckout()) {
  ensureInstalled();
  become(nodePath(), [...NODE_FLAGS, join(root, 'src', 'cli', 'main.ts'), ...process.argv.slice(2)]);
} else {
  if (!supported(process.versions.node)) unsupported();
  await import(pathToFileURL(join(root, 'dist', 'src', 'cli', 'main.js')).href);
}
