import { mkdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { Genesis } from '../params/genesis.ts';
import { toHex, utf8 } from '../protocol/bytes.ts';
import type { SigningDomain } from '../protocol/messages.ts';
import type { Receipt } from '../protocol/wire.ts';
import { onDisk } from '../storage/disk-errors.ts';
import { StagedFile } from '../storage/staged-file.ts';

/** The file in which a folder of receipts keeps the genesis that they are checked against. */
export const GENESIS_FILE = 'genesis.json';

/** A folder in which a miner keeps its receipts: FOLDER/NETWORK/WINDOW-ADDRESS.json, with the network's genesis.json. */
export class ReceiptFolder {
  readonly path: string;

  /** @throws GrailError STORAGE_UNAVAILABLE */
  constructor(folder: string, network: { readonly genesis: Genesis; readonly domain: SigningDomain }) {
    this.path = join(resolve(folder), toHex(network.domain.genesisHash));
    onDisk(this.path, () => mkdirSync(this.path, { recursive: true }));
    this.#write(GENESIS_FILE, network.genesis);
  }

  /** Keeps a receipt, on disk when it returns. @throws GrailError STORAGE_UNAVAILABLE */
  keep(receipt: Receipt): void {
    this.#write(`${receipt.window}-${receipt.miner}.json`, receipt);
  }

  #write(name: string, value: object): void {
    const file = new StagedFile(join(this.path, name));
    try {
      file.write(utf8(`${JSON.stringify(value, null, 2)}\n`));
      file.commit();
    } finally {
      file.close();
    }
  }
}
