import { siblingModule } from '../storage/fork-module.ts';
import type { AnyCommand } from './command.ts';

/**
 * The subcommands, in the order in which help shows them. Each is one file of this folder that exports `command`; it is
 * loaded only when it is asked for, so that `grail --help` does not wait for TensorFlow.js.
 */
export const COMMANDS = [
  {
    name: 'demo',
    summary: 'Trains a policy through a network of one verifier and three miners on this machine',
  },
  { name: 'verifier', summary: 'Runs the verifier of a network, or one of its processes' },
  { name: 'miner', summary: 'Mines for a verifier' },
  { name: 'explain', summary: 'Explains a receipt, and checks it' },
  { name: 'keys', summary: 'Makes a key, or shows its address' },
  { name: 'ceremony', summary: 'Makes the keys of a circuit by many hands, and verifies such keys' },
  { name: 'audit', summary: 'Replays a network from genesis and names the first divergence' },
  {
    name: 'export',
    summary: 'Writes a network as tables (Parquet, CSV, JSON lines, TensorBoard), or a window as a bundle',
  },
  { name: 'env', summary: 'Lists, describes or plays the environments' },
  { name: 'inspect', summary: 'Shows a rollout, proof, patch or policy of a network' },
  { name: 'circuit', summary: 'Builds the circuit of a policy network, or shows what it costs' },
  { name: 'pulse', summary: 'Makes and applies lossless sparse patches of safetensors files' },
  { name: 'doctor', summary: 'Checks what this machine can do' },
] as const;

export type CommandName = (typeof COMMANDS)[number]['name'];

export function isCommandName(name: string): name is CommandName {
  return COMMANDS.some((command) => command.name === name);
}

/** Loads a command's file: .ts in a checkout, .js in an installed package. */
export async function loadCommand(name: CommandName): Promise<AnyCommand> {
  const file = siblingModule(import.meta.url, name);
  const { command } = (await import(file.href)) as { command: AnyCommand };
  return command;
}
