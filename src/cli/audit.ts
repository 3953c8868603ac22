import { join } from 'node:path';
import { z } from 'zod';
import { loadBackend } from '../backends/index.ts';
import { openLedgerReadOnly } from '../ledger/log.ts';
import { loadVerificationKey } from '../proofs/artefacts.ts';
import { checkVerificationKey, createVerifier } from '../proofs/verify.ts';
import { type AuditReport, audit } from '../replica/audit.ts';
import { genesisOf } from '../replica/genesis-of.ts';
import { FolderBlobStore } from '../storage/blobs.ts';
import { createTrainer } from '../training/index.ts';
import { defineCommand } from './command.ts';

export const command = defineCommand({
  name: 'audit',
  summary: 'Replays a network from genesis and names the first divergence',
  notes: 'Exit codes: 0 no divergence, 1 a divergence or an unreadable ledger, 2 wrong usage.',
  positionals: z.strictObject({
    directory: z.string().describe('the network’s folder: ledger.sqlite and blobs/'),
  }),
  flags: z.strictObject({ json: z.boolean().default(false).describe('print the report as one JSON object') }),
  async run({ positionals, flags, signal, out, err }) {
    const ledger = openLedgerReadOnly(join(positionals.directory, 'ledger.sqlite'));
    try {
      const genesis = genesisOf(ledger);
      const { architecture, stepsPerProof, proof } = genesis;
      const { verificationKey } = await loadVerificationKey(
        { architecture, stepsPerProof, variant: proof.variant },
        { onProgress: ({ message }) => err(message), signal },
      );
      checkVerificationKey(verificationKey, proof.verificationKeys[proof.variant]!, genesis.insecureDev);
      const proofs = await createVerifier(verificationKey);
      const report = await audit({
        genesis,
        ledger,
        blobs: new FolderBlobStore(join(positionals.directory, 'blobs')),
        trainer: await createTrainer(genesis),
        backend: await loadBackend('simd'),
        checkProofs: proofs.verifyMany,
        onProgress: ({ window, index, entries }) => err(`window ${window}: entry ${index} of ${entries}`),
        signal,
      });
      if (flags.json) out(JSON.stringify(report));
      else for (const line of lines(report)) out(line);
      return report.divergence === null ? 0 : 1;
    } finally {
      ledger.close();
    }
  },
});

function lines(report: AuditReport): string[] {
  const { divergence } = report;
  const counts = [
    `network            ${report.genesisHash}${report.insecureDev ? '  (insecure-dev)' : ''}`,
    `entries            ${report.entries}`,
    `windows            ${report.windows}`,
    `signatures         ${report.signatures}`,
    `steps replayed     ${report.steps}`,
    `proofs checked     ${report.proofs}`,
    `rejections         ${report.rejections}`,
    `updates trained    ${report.updates}`,
    `blobs              ${report.blobs}`,
    `policy             version ${report.policyVersion}, root ${report.policyRoot}`,
    `trainer state      ${report.trainerStateRoot}`,
    'not visible to a replay:',
    ...report.unseen.map((line) => `  - ${line}`),
  ];
  if (divergence === null) return [...counts, 'no divergence'];
  const details = Object.entries(divergence.details).map(
    ([name, value]) => `  ${name}: ${JSON.stringify(value)}`,
  );
  return [...counts, `DIVERGENCE ${divergence.code}: ${divergence.message}`, ...details];
}
