import { ContractFactory, type Interface, type JsonRpcProvider } from 'ethers';
import type { CompiledContract } from '../../contracts/compile.ts';
import type { Anvil } from './anvil.ts';

/** A contract on the chain. */
export interface Deployed {
  readonly provider: JsonRpcProvider;
  readonly address: string;
  readonly interface: Interface;
}

/** Puts a compiled contract on the chain. */
export async function deploy(
  node: Anvil,
  { abi, creation }: CompiledContract,
  ...values: readonly unknown[]
): Promise<Deployed> {
  const factory = new ContractFactory(abi as never, creation, node.signer);
  const contract = await factory.deploy(...values);
  await contract.waitForDeployment();
  return {
    provider: node.provider,
    address: await contract.getAddress(),
    interface: contract.interface,
  };
}

/** A call's arguments, as the chain gets them. */
export function encode(contract: Deployed, method: string, ...values: readonly unknown[]): string {
  return contract.interface.encodeFunctionData(method, values);
}

/**
 * What a call that changes nothing comes to: its results, `NAME(arguments)` of the contract's error, `reverted` without a
 * reason, or `out of gas`.
 * @param gas the limit of the whole call, with what a transaction costs by itself; without one, the block's
 */
export async function outcome(
  contract: Deployed,
  data: string,
  gas?: number,
  method = 'verify',
): Promise<string> {
  const transaction = {
    to: contract.address,
    data,
    ...(gas !== undefined && { gas: `0x${gas.toString(16)}` }),
  };
  let result: string;
  try {
    result = await contract.provider.send('eth_call', [transaction, 'latest']);
  } catch (error) {
    return reason(contract, error);
  }
  return contract.interface.decodeFunctionResult(method, result).map(String).join(', ');
}

function reason(contract: Deployed, error: unknown): string {
  const { info } = error as { info?: { error?: { message: string; data?: string } } };
  if (info?.error === undefined) throw error;
  const { message, data } = info.error;
  if (data !== undefined) {
    if (data === '0x') return 'reverted';
    const described = contract.interface.parseError(data);
    if (described === null) throw error;
    return `${described.name}(${described.args.map(String).join(', ')})`;
  }
  if (OUT_OF_GAS.test(message)) return 'out of gas';
  throw new Error(message, { cause: error });
}

/** As anvil says it: within a call, in one of its opcodes, or before it because of the transaction's own cost. */
const OUT_OF_GAS = /OutOfGas|OOG|CallGasCostMoreThanGasLimit|GasFloorMoreThanGasLimit/;
