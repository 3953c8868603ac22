import { GrailError } from '../protocol/errors.ts';
import { FIELD_ORDER } from './fields.ts';

/** A circuit's inputs by signal name: one number (or its decimal text), or nested arrays, flattened row by row. */
export type CircuitInput = { readonly [signal: string]: CircuitValue };
export type CircuitValue = bigint | number | string | readonly CircuitValue[];

const WORDS = 8;
const REASONS: Readonly<Record<number, string>> = {
  1: 'a signal was not found',
  2: 'too many signals were set',
  3: 'a signal was set twice',
  4: 'a constraint is not satisfied',
  5: 'the circuit ran out of memory',
  6: 'an input array is too long',
};

/** 64-bit FNV-1a of a signal's name, as the compiler hashes it: [high, low] words. */
function nameHash(name: string): [number, number] {
  let hash = 0xcbf29ce484222325n;
  for (const byte of new TextEncoder().encode(name)) {
    hash = BigInt.asUintN(64, (hash ^ BigInt(byte)) * 0x100000001b3n);
  }
  return [Number(hash >> 32n), Number(hash & 0xffff_ffffn)];
}

function flatten(value: CircuitValue, out: bigint[] = []): bigint[] {
  if (Array.isArray(value)) for (const item of value as readonly CircuitValue[]) flatten(item, out);
  else {
    const reduced = BigInt(value as bigint | number | string) % FIELD_ORDER;
    out.push(reduced < 0n ? reduced + FIELD_ORDER : reduced);
  }
  return out;
}

/**
 * Runs the witness generator that circom (2.x) makes of a circuit. Written here instead of using circom's own so that
 * a failure comes as a typed error with the constraint's text and nothing is printed.
 */
export class WitnessCalculator {
  readonly #module: WebAssembly.Module;

  private constructor(module: WebAssembly.Module) {
    this.#module = module;
  }

  static async compile(wasm: Uint8Array): Promise<WitnessCalculator> {
    return new WitnessCalculator(await WebAssembly.compile(wasm));
  }

  /**
   * The witness of an input, as a .wtns file (version 2).
   * @throws GrailError WITNESS_FAILED when an input is missing, unknown or of the wrong size, or when a constraint is
   *   not satisfied; `details.constraint` is then circom's text: template, line, and component path.
   */
  async calculate(input: CircuitInput): Promise<Uint8Array> {
    const message: string[] = [];
    // An instance is used once: after a failed constraint its memory is in no defined state.
    const instance = await WebAssembly.instantiate(this.#module, {
      runtime: {
        exceptionHandler: (code: number) => {
          const reason = REASONS[code] ?? `error ${code}`;
          const text = message.join('').trim();
          throw new GrailError('WITNESS_FAILED', `no witness: ${reason}${text === '' ? '' : `: ${text}`}`, {
            constraint: text,
            reason,
          });
        },
        printErrorMessage: () => {
          message.push(readMessage(), '\n');
        },
        writeBufferMessage: () => readMessage(),
        showSharedRWMemory: () => {},
      },
    });
    const wasm = instance.exports as unknown as Record<string, (...args: number[]) => number>;
    const call = (name: string, ...args: number[]): number => wasm[name]!(...args);
    function readMessage(): string {
      let text = '';
      for (let c = call('getMessageChar'); c !== 0; c = call('getMessageChar'))
        text += String.fromCharCode(c);
      return text;
    }

    const memory = instance.exports.memory as WebAssembly.Memory;
    const { setInputSignal } = wasm as {
      setInputSignal: (high: number, low: number, index: number) => number;
    };
    const shared = call('getSharedRWMemoryStart');
    call('init', 0);
    let set = 0;
    for (const [name, value] of Object.entries(input)) {
      const values = flatten(value);
      const [high, low] = nameHash(name);
      const size = call('getInputSignalSize', high, low);
      if (size !== values.length) {
        throw new GrailError(
          'WITNESS_FAILED',
          size < 0
            ? `the circuit has no input ${name}`
            : `input ${name} takes ${size} values, not ${values.length}`,
          { signal: name, expected: Math.max(size, 0), got: values.length },
        );
      }
      // The element that is handed over lies in the module's memory, which the circuit itself may have let grow.
      for (const [i, element] of values.entries()) {
        writeElement(new BigUint64Array(memory.buffer, shared, WORDS / 2), element);
        setInputSignal(high, low, i);
        set++;
      }
    }
    const expected = call('getInputSize');
    if (set !== expected) {
      throw new GrailError('WITNESS_FAILED', `the circuit takes ${expected} input values, not ${set}`, {
        expected,
        got: set,
      });
    }
    return wtns(call, memory, shared);
  }
}

function writeElement(words: BigUint64Array, element: bigint): void {
  for (let word = 0; word < words.length; word++) {
    words[word] = BigInt.asUintN(64, element >> BigInt(64 * word));
  }
}

/** iden3's .wtns file: a header section with the prime, and the values. */
function wtns(
  call: (name: string, ...args: number[]) => number,
  memory: WebAssembly.Memory,
  shared: number,
): Uint8Array {
  const size = call('getWitnessSize');
  const words = new Uint32Array(11 + WORDS + WORDS * size);
  const bytes = WORDS * 4;
  words.set([0x736e7477, 2, 2, 1, 8 + bytes, 0, bytes]);
  const element = new Uint32Array(memory.buffer, shared, WORDS);
  call('getRawPrime');
  words.set(element, 7);
  words.set([size, 2, bytes * size, 0], 7 + WORDS);
  for (let i = 0, at = 11 + WORDS; i < size; i++, at += WORDS) {
    call('getWitness', i);
    for (let word = 0; word < WORDS; word++) words[at + word] = element[word]!;
  }
  return new Uint8Array(words.buffer);
}
