import { join } from 'node:path';
import { z } from 'zod';
import { loadBackend } from '../backends/index.ts';
import type { Genesis } from '../params/genesis.ts';
import { loadNetworkKey } from '../proofs/network-key.ts';
import type { VerificationKey } from '../proofs/verification-key.ts';
import { createVerifier } from '../proofs/verify.ts';
import { GrailError } from '../protocol/errors.ts';
import { type AuditReport, audit } from '../replica/audit.ts';
import { auditBundle } from '../replica/audit-bundle.ts';
import { useNodeCrypto } from '../storage/node-crypto.ts';
import { createTrainer } from '../training/index.ts';
import { defineCommand } from './command.ts';
import { keyFileFlag } from './flags.ts';
import { type BundleSource, maxMibFlag, type NetworkSource, openSource, sourcePositional } from './source.ts';

export const command = defineCommand({
  name: 'audit',
  summary: 'Replays a network from genesis and names the first divergence',
  notes:
    'A verifier’s network is fetched first, as far as its newest signed head. A bundle is judged from the policies and\n' +
    'trainer state that the ledger names before its window; the report says what that does not show.\n' +
    'Exit codes: 0 no divergence, 1 a divergence or an unreadable ledger, 2 wrong usage.',
  positionals: z.strictObject({ source: sourcePositional }),
  flags: z.strictObject({
    key: keyFileFlag,
    maxMib: maxMibFlag,
    json: z.boolean().default(false).describe('print the report as one JSON object'),
  }),
  async run({ positionals, flags, signal, out, err }) {
    useNodeCrypto();
    const source = await openSource(positionals.source, { ...flags, withBlobs: true, err, signal });
    try {
      const { key } = flags;
      const report =
        source.kind === 'bundle'
          ? await auditOfBundle(source, key, signal)
          : await auditOfNetwork(source, key, err, signal);
      const bundle = source.kind === 'bundle' ? placeOf(source) : null;
      if (flags.json) out(JSON.stringify(bundle === null ? report : { bundle, ...report }));
      else {
        if (bundle !== null) {
          out(`window             ${bundle.window} alone, from a bundle`);
          out(`signed head        ${bundle.treeSize} entries, root ${bundle.treeRoot}`);
        }
        for (const line of lines(report)) out(line);
      }
      return report.divergence === null ? 0 : 1;
    } finally {
      source.close();
    }
  },
});

function placeOf({ bundled: { bundle } }: BundleSource) {
  const { treeSize, treeRoot } = bundle.head;
  return { window: bundle.window, treeSize, treeRoot };
}

/** What replaying takes besides what is replayed. */
async function replayer(genesis: Genesis, verificationKey: VerificationKey) {
  return {
    checkProofs: (await createVerifier(verificationKey)).verifyMany,
    trainer: await createTrainer(genesis),
    backend: await loadBackend('simd'),
  };
}

async function auditOfBundle(
  { bundled }: BundleSource,
  key: string | undefined,
  signal: AbortSignal,
): Promise<AuditReport> {
  if (key !== undefined) {
    throw new GrailError('USAGE', '--key is not needed: a bundle has the key that its genesis pins');
  }
  const parts = await replayer(bundled.genesis, bundled.bundle.verificationKey);
  return auditBundle({ bundled, signal, ...parts });
}

async function auditOfNetwork(
  { genesis, ledger, blobs, directory, fetched }: NetworkSource,
  key: string | undefined,
  err: (line: string) => void,
  signal: AbortSignal,
): Promise<AuditReport> {
  const { verificationKey } = await loadNetworkKey(genesis, {
    ...(key !== undefined && { keyFile: key }),
    keyFolder: join(directory, 'keys'),
    onProgress: ({ message }) => err(message),
    signal,
  });
  return audit({
    genesis,
    ledger,
    blobs,
    newestHeadOnly: fetched,
    onProgress: ({ window, index, entries }) => err(`window ${window}: entry ${index} of ${entries}`),
    signal,
    ...(await replayer(genesis, verificationKey)),
  });
}

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
