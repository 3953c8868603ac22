import { useNodeSha256 } from '../src/storage/node-hash.ts';

useNodeSha256();
