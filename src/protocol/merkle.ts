import { equalBytes } from './bytes.ts';
import { sha256 } from './hash.ts';

/**
 * The Merkle tree of RFC 6962, section 2.1, with SHA-256: `leaf = H(0x00 ‖ data)`, `node = H(0x01 ‖ left ‖ right)`, and
 * a tree of n leaves splits at the largest power of two below n. Verification follows RFC 9162, section 2.1.3 and
 * 2.1.4. Everything here is 32-byte hashes in, 32-byte hashes out; nothing depends on the order in which it is called.
 */

const LEAF_PREFIX = Uint8Array.of(0);
const NODE_PREFIX = Uint8Array.of(1);

/** SHA-256(0x00 ‖ data). */
export function leafHash(data: Uint8Array): Uint8Array {
  return sha256(LEAF_PREFIX, data);
}

/** SHA-256(0x01 ‖ left ‖ right). */
export function nodeHash(left: Uint8Array, right: Uint8Array): Uint8Array {
  return sha256(NODE_PREFIX, left, right);
}

/** The root of the empty tree: SHA-256 of nothing. */
export function emptyRoot(): Uint8Array {
  return sha256();
}

/** The largest power of two that is smaller than `size` (≥ 2), and its exponent. */
function split(size: number): { width: number; level: number } {
  let width = 1;
  let level = 0;
  while (width * 2 < size) {
    width *= 2;
    level += 1;
  }
  return { width, level };
}

const HASH_BYTES = 32;
/** Hashes of a page: an array of its own for each hash would take four times their bytes. */
const PAGE_HASHES = 1024;

/** A list of hashes in pages of memory. */
class HashList {
  readonly #pages: Uint8Array[] = [];
  #length = 0;

  get length(): number {
    return this.#length;
  }

  at(index: number): Uint8Array {
    const page = this.#pages[Math.floor(index / PAGE_HASHES)]!;
    const from = (index % PAGE_HASHES) * HASH_BYTES;
    return page.subarray(from, from + HASH_BYTES);
  }

  push(hash: Uint8Array): void {
    if (this.#length % PAGE_HASHES === 0) {
      this.#pages.push(new Uint8Array(PAGE_HASHES * HASH_BYTES));
    }
    this.#pages.at(-1)!.set(hash, (this.#length % PAGE_HASHES) * HASH_BYTES);
    this.#length += 1;
  }

  truncate(length: number): void {
    this.#pages.length = Math.ceil(length / PAGE_HASHES);
    this.#length = length;
  }
}

/**
 * An append-only tree that keeps every complete subtree's hash: 64 bytes a leaf in memory, an append costs one hash
 * amortised, and the root and all proofs of *any* size up to the present one cost O(log² n) at most.
 */
export class MerkleTree {
  /** `#levels[k]` at i is the root of leaves [i·2^k, (i+1)·2^k). */
  readonly #levels: HashList[] = [new HashList()];

  /** @param leaves leaf hashes, as `leafHash` gives them */
  constructor(leaves: Iterable<Uint8Array> = []) {
    for (const leaf of leaves) this.append(leaf);
  }

  /** Number of leaves. */
  get size(): number {
    return this.#levels[0]!.length;
  }

  /** The leaf hash at `index`. @throws RangeError when there is none. */
  leaf(index: number): Uint8Array {
    if (!Number.isSafeInteger(index) || index < 0 || index >= this.size) {
      throw new RangeError(`the tree has no leaf ${index}`);
    }
    return this.#levels[0]!.at(index);
  }

  /** Appends a leaf hash and gives its index. */
  append(leaf: Uint8Array): number {
    const index = this.size;
    let hash = leaf;
    let at = index;
    for (let level = 0; ; level++) {
      let row = this.#levels[level];
      if (row === undefined) {
        row = new HashList();
        this.#levels.push(row);
      }
      row.push(hash);
      if (at % 2 === 0) return index;
      hash = nodeHash(row.at(at - 1), hash);
      at = (at - 1) / 2;
    }
  }

  /** Forgets all leaves but the first `size`. @throws RangeError when the tree is smaller. */
  truncate(size: number): void {
    this.#check(size);
    let length = size;
    for (const row of this.#levels) {
      row.truncate(length);
      length = Math.floor(length / 2);
    }
  }

  /** The root of the first `size` leaves. @throws RangeError when the tree is smaller. */
  root(size = this.size): Uint8Array {
    this.#check(size);
    return size === 0 ? emptyRoot() : this.#subtree(0, size);
  }

  /** The audit path of leaf `index` in the tree of `size` leaves (RFC 6962, 2.1.1), from the leaf up. */
  inclusionProof(index: number, size = this.size): Uint8Array[] {
    this.#check(size);
    if (!Number.isSafeInteger(index) || index < 0 || index >= size) {
      throw new RangeError(`a tree of ${size} leaves has no leaf ${index}`);
    }
    const path: Uint8Array[] = [];
    let start = 0;
    let count = size;
    while (count > 1) {
      const { width } = split(count);
      if (index < start + width) {
        path.push(this.#subtree(start + width, count - width));
        count = width;
      } else {
        path.push(this.#subtree(start, width));
        start += width;
        count -= width;
      }
    }
    return path.reverse();
  }

  /**
   * The proof that the tree of `from` leaves is a prefix of that of `to` leaves (RFC 6962, 2.1.2). Empty when
   * `from` is 0 or equals `to`.
   */
  consistencyProof(from: number, to = this.size): Uint8Array[] {
    this.#check(to);
    if (!Number.isSafeInteger(from) || from < 0 || from > to) {
      throw new RangeError(`a tree of ${to} leaves has no prefix of ${from}`);
    }
    if (from === 0 || from === to) return [];
    const path: Uint8Array[] = [];
    let start = 0;
    let count = to;
    let prefix = from;
    let whole = true;
    while (prefix < count) {
      const { width } = split(count);
      if (prefix <= width) {
        path.push(this.#subtree(start + width, count - width));
        count = width;
      } else {
        path.push(this.#subtree(start, width));
        start += width;
        count -= width;
        prefix -= width;
        whole = false;
      }
    }
    if (!whole) path.push(this.#subtree(start, count));
    return path.reverse();
  }

  /** Root of leaves [start, start + count), where start is a multiple of the smallest power of two ≥ count. */
  #subtree(start: number, count: number): Uint8Array {
    if (count === 1) return this.#levels[0]!.at(start);
    const { width, level } = split(count);
    if (width * 2 === count) return this.#levels[level + 1]!.at(start / count);
    return nodeHash(this.#levels[level]!.at(start / width), this.#subtree(start + width, count - width));
  }

  #check(size: number): void {
    if (!Number.isSafeInteger(size) || size < 0 || size > this.size) {
      throw new RangeError(`the tree has ${this.size} leaves, not ${size}`);
    }
  }
}

/** The root over leaf *data*: MTH(D[n]) of RFC 6962. */
export function merkleRoot(leaves: readonly Uint8Array[]): Uint8Array {
  return rootOfHashes(leaves.map(leafHash));
}

/** The root over leaf *hashes*. */
export function rootOfHashes(hashes: readonly Uint8Array[]): Uint8Array {
  return new MerkleTree(hashes).root();
}

/** The audit path of leaf `index` among the first `size` of `hashes`, from the leaf up. */
export function inclusionProof(
  hashes: readonly Uint8Array[],
  index: number,
  size = hashes.length,
): Uint8Array[] {
  return new MerkleTree(hashes.slice(0, size)).inclusionProof(index, size);
}

/** The proof that the first `from` of `hashes` are a prefix of the first `to`. */
export function consistencyProof(
  hashes: readonly Uint8Array[],
  from: number,
  to = hashes.length,
): Uint8Array[] {
  return new MerkleTree(hashes.slice(0, to)).consistencyProof(from, to);
}

const isSize = (value: number) => Number.isSafeInteger(value) && value >= 0;
const isHash = (value: Uint8Array) => value.length === 32;

/** Whether `proof` shows that `leaf` (a leaf hash) stands at `index` in the tree of `size` leaves with this root. */
export function verifyInclusion(input: {
  leaf: Uint8Array;
  index: number;
  size: number;
  proof: readonly Uint8Array[];
  root: Uint8Array;
}): boolean {
  const { index, size, proof } = input;
  if (!isSize(index) || !isSize(size) || index >= size) return false;
  if (!isHash(input.leaf) || !proof.every(isHash)) return false;
  let node = index;
  let last = size - 1;
  let hash = input.leaf;
  for (const sibling of proof) {
    if (last === 0) return false;
    if (node % 2 === 1 || node === last) {
      hash = nodeHash(sibling, hash);
      while (node % 2 === 0 && node !== 0) {
        node = node / 2;
        last = Math.floor(last / 2);
      }
    } else {
      hash = nodeHash(hash, sibling);
    }
    node = Math.floor(node / 2);
    last = Math.floor(last / 2);
  }
  return last === 0 && equalBytes(hash, input.root);
}

/** Whether `proof` shows that the tree of `from` leaves is a prefix of the tree of `to` leaves, by their roots. */
export function verifyConsistency(input: {
  from: number;
  to: number;
  fromRoot: Uint8Array;
  toRoot: Uint8Array;
  proof: readonly Uint8Array[];
}): boolean {
  const { from, to, fromRoot, toRoot, proof } = input;
  if (!isSize(from) || !isSize(to) || from > to || !proof.every(isHash)) return false;
  if (from === to) return proof.length === 0 && equalBytes(fromRoot, toRoot);
  if (from === 0) return proof.length === 0 && equalBytes(fromRoot, emptyRoot());
  let node = from - 1;
  let last = to - 1;
  while (node % 2 === 1) {
    node = Math.floor(node / 2);
    last = Math.floor(last / 2);
  }
  // A prefix of exactly a power of two is itself a subtree of the larger tree: its root needs no sending.
  const path = node === 0 ? [fromRoot, ...proof] : [...proof];
  const first = path.shift();
  if (first === undefined) return false;
  let fromHash = first;
  let toHash = first;
  for (const sibling of path) {
    if (last === 0) return false;
    if (node % 2 === 1 || node === last) {
      fromHash = nodeHash(sibling, fromHash);
      toHash = nodeHash(sibling, toHash);
      while (node % 2 === 0 && node !== 0) {
        node = node / 2;
        last = Math.floor(last / 2);
      }
    } else {
      toHash = nodeHash(toHash, sibling);
    }
    node = Math.floor(node / 2);
    last = Math.floor(last / 2);
  }
  return last === 0 && equalBytes(fromHash, fromRoot) && equalBytes(toHash, toRoot);
}
