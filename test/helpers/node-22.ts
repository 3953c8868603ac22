import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { packageRoot } from '../../src/storage/package-root.ts';

/** The npm package `node`, version 22, installed once outside node_modules. @throws when npm cannot have it */
export function node22(): string {
  const prefix = join(packageRoot(), '.cache', 'test', 'node-22');
  const binary = join(prefix, 'node_modules', 'node', 'bin', 'node');
  if (!existsSync(binary)) {
    mkdirSync(prefix, { recursive: true });
    const args = ['install', '--prefix', prefix, '--no-save', '--no-audit', '--no-fund', 'node@22'];
    execFileSync('npm', args, { stdio: 'inherit', shell: process.platform === 'win32' });
  }
  return binary;
}
