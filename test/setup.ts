import { useNodeCrypto } from '../src/storage/node-crypto.ts';

useNodeCrypto();
