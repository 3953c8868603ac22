import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { JsonRpcProvider, NonceManager, type Signer } from 'ethers';
import { anvil } from '../runner/servers.ts';

/** A node of its own with an empty chain, on a free port; it ends with `stop`, or with this process. */
export interface Anvil {
  readonly provider: JsonRpcProvider;
  /** An account that is rich. */
  readonly signer: Signer;
  /** What the node says it is. */
  readonly version: string;
  stop(): Promise<void>;
}

/** @throws Error with what the node said, when it does not start */
export async function startAnvil(): Promise<Anvil> {
  const path = anvil.find();
  if (path === null) throw new Error('there is no anvil for this platform in node_modules');
  const child = spawn(path, ['--host', '127.0.0.1', '--port', '0', '--accounts', '1'], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const kill = () => void child.kill('SIGKILL');
  process.on('exit', kill);
  const closed = once(child, 'close');
  try {
    const url = await new Promise<string>((resolve, reject) => {
      const said: string[] = [];
      const hear = (line: string) => {
        said.push(line);
        const address = /Listening on ([\d.]+:\d+)/.exec(line)?.[1];
        if (address !== undefined) resolve(`http://${address}`);
      };
      createInterface({ input: child.stdout }).on('line', hear);
      createInterface({ input: child.stderr }).on('line', hear);
      child.on('error', reject);
      child.on('close', (code) => reject(new Error(`anvil ended with ${code}: ${said.join('\n')}`)));
    });
    // Results of calls must not come from a cache: the same call is made with other gas limits.
    const provider = new JsonRpcProvider(url, undefined, { cacheTimeout: -1, staticNetwork: true });
    provider.pollingInterval = 20;
    return {
      provider,
      signer: new NonceManager(await provider.getSigner(0)),
      version: await provider.send('web3_clientVersion', []),
      async stop() {
        provider.destroy();
        kill();
        await closed;
        process.off('exit', kill);
      },
    };
  } catch (error) {
    kill();
    throw error;
  }
}
