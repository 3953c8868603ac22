import type { VerifiedCeremony } from '../proofs/ceremony/verify.ts';

/** A verified ceremony as JSON. */
export function summary({ transcript, transcriptHash, key, zkey, verificationKeyHash }: VerifiedCeremony) {
  const { circuit, spec, r1csSha256, circuitHash, phase1, tools } = transcript;
  return {
    verified: true,
    circuit,
    spec,
    r1csSha256,
    circuitHash,
    phase1,
    tools,
    steps: transcript.steps.slice(1),
    transcriptHash,
    zkey,
    zkeySha256: key.sha256,
    verificationKeyHash,
  };
}

/** The same for people. */
export function describeCeremony(ceremony: VerifiedCeremony): string[] {
  const { transcript, transcriptHash, key, zkey, verificationKeyHash } = ceremony;
  const { circuit, r1csSha256, circuitHash, phase1 } = transcript;
  const steps = transcript.steps.slice(1).map((step, index) => {
    const place = `${index + 1}.`.padEnd(4);
    if (step.kind === 'contribution') return `  ${place} ${step.name}: ${step.contributionHash}`;
    if (step.kind === 'new') return '';
    const { value, iterationsExp, source } = step;
    return `  ${place} beacon ${value}, hashed 2^${iterationsExp} times (${source}): ${step.contributionHash}`;
  });
  const contributed = transcript.steps.some(({ kind }) => kind === 'contribution');
  return [
    `circuit            ${circuit}`,
    `constraint system  ${r1csSha256}, compiled here`,
    `circuit hash       ${circuitHash}`,
    `phase 1            ${phase1.sha256}, 2^${phase1.power}, ${phase1.contributions} contributions, verified here`,
    contributed ? 'contributions' : 'contributions      none yet: this key is worth nothing',
    ...steps,
    `transcript         ${transcriptHash}`,
    `proving key        ${key.sha256} (${zkey})`,
    `verification key   ${verificationKeyHash}`,
    transcript.steps.at(-1)!.kind === 'beacon' ? 'verified' : 'verified; no beacon has ended it',
  ];
}
