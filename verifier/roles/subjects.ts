/** What the processes of one verifier tell and ask each other; each network has its own on a shared bus. */

/** Entries became durable; the payload is the ledger's size as decimal digits. */
export const ENTRIES_SUBJECT = 'entries';
/** What happened besides entries (refusals, evaluations), as a VerifierEvent in JSON. */
export const EVENTS_SUBJECT = 'events';
/** A policy was published; the payload is the hashes of its blobs, as JSON. */
export const POLICY_SUBJECT = 'policy';
/** Asks the sequencer to take a message whose signature was checked. */
export const SUBMIT_SUBJECT = 'submit';
/** Asks the sequencer for what only its key can sign. */
export const RECEIPT_SUBJECT = 'receipt';
export const HEAD_SUBJECT = 'head';
