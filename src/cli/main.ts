#!/usr/bin/env node
import { runProcess } from './process.ts';
import { run } from './run.ts';

await runProcess((io) => run(process.argv.slice(2), io));
