import { resolve } from 'node:path';
import { z } from 'zod';
import { defineCommand } from './command.ts';
import { jsonFlag, keystoreFlag, passwordFileFlag } from './flags.ts';
import { createKeystore, inspectKeystore, loadIdentity } from './keystore.ts';
import { readPassword, terminalPrompt } from './password.ts';

export const command = defineCommand({
  name: 'keys',
  summary: 'Makes a key, or shows its address',
  notes: `
grail keys new --keystore miner.json
  makes a key and encrypts it with a password from GRAIL_PASSWORD, --password-file or a prompt.
grail keys show --keystore miner.json
  shows its address; with a password from GRAIL_PASSWORD or --password-file it checks that the password opens it.`,
  positionals: z.strictObject({ action: z.enum(['new', 'show']).describe('new or show') }),
  flags: z.strictObject({
    keystore: keystoreFlag,
    passwordFile: passwordFileFlag,
    insecureFast: z.boolean().default(false).describe('weak encryption that opens at once: for devnets only'),
    json: jsonFlag,
  }),
  async run({ positionals, flags, env, out, err }) {
    const file = resolve(flags.keystore);
    const prompt = terminalPrompt();
    const source = { passwordFile: flags.passwordFile, env, ...(prompt && { prompt }) };
    if (positionals.action === 'new') {
      const password = await readPassword(source, true);
      const identity = await createKeystore(file, password, flags.insecureFast ? 'fast' : 'standard');
      if (flags.insecureFast) err('This keystore protects nothing: use it on devnets only.');
      out(flags.json ? JSON.stringify({ address: identity.address, keystore: file }) : identity.address);
      return 0;
    }
    const info = inspectKeystore(file);
    const hasPassword = flags.passwordFile !== undefined || Boolean(env.GRAIL_PASSWORD);
    const address = hasPassword ? (await loadIdentity(file, source)).address : info.address;
    if (info.fast) err('This keystore protects nothing: use it on devnets only.');
    out(flags.json ? JSON.stringify({ address, keystore: file, opened: hasPassword }) : address);
    return 0;
  },
});
